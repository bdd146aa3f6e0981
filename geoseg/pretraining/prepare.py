"""Everything that is settled before the first step: scenes, where they have data, constants, identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Window
from geoseg.models.contract import InputContract
from geoseg.models.encoder_weights import digest_of
from geoseg.pretraining.job import PretrainJob
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
from geoseg.training.collection import filled, require_alike
from geoseg.training.statistics import MOST_WINDOWS, Tone, band_statistics, contract_of, scene_tones
from geoseg.version import __version__

LEAST = 0.25
"""Share of pixels with data below which a place is passed over."""

_WINDOWS_A_SCENE = 64


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """A pretraining that can start.

    Attributes
    ----------
    homes
        For each scene, windows of a crop's side that have data.
    shares
        (S,) probability of each scene: its pixels, by the share of the looked at ones that have data.
    tones
        How light each scene is.
    identity
        SHA-256 of the job, the data and the version.
    """

    job: PretrainJob
    scenes: tuple[Scene, ...]
    homes: tuple[tuple[Window, ...], ...]
    shares: NDArray[np.float64]
    tones: tuple[Tone, ...]
    contract: InputContract
    identity: str
    notes: tuple[str, ...]


def prepare(job: PretrainJob, *, root: Path | None = None) -> Preparation:
    """Preparation of a job; looks at no more than 512 windows of all scenes together, or one of each.

    Raises
    ------
    InputError, UsageError
        Files that cannot be used or do not go together; a scene smaller than a crop or without data.
    """
    scenes = _open(job, root)
    require_alike(scenes)
    if scenes[0].count % job.augment.dates:
        raise UsageError(
            f"{scenes[0].count} bands are not those of {job.augment.dates} dates",
            hint="as many bands of each date, or another dates in augment",
        )
    most = max(1, min(_WINDOWS_A_SCENE, MOST_WINDOWS // len(scenes)))
    seen = [_with_data(scene, job.crop, most) for scene in scenes]
    homes = tuple(windows for windows, _ in seen)
    weights = np.array([share * np.prod(s.grid.shape) for s, (_, share) in zip(scenes, seen, strict=True)])
    windows = [(scene, window) for scene, own in zip(scenes, homes, strict=True) for window in own]
    contract = contract_of(
        scenes, band_statistics(windows), scenes[0].band_names, scale=job.augment.scale, ranged=False
    )
    return Preparation(
        job=job,
        scenes=tuple(scenes),
        homes=homes,
        shares=weights / weights.sum(),
        tones=scene_tones(scenes, job.crop, np.array(contract.fill)),
        contract=contract,
        identity=_identity(job, scenes),
        notes=tuple(dict.fromkeys(note for scene in scenes for note in scene.notes)),
    )


def _open(job: PretrainJob, root: Path | None) -> list[Scene]:
    """Scenes of the job, none smaller than a crop."""
    scenes = []
    for entry in job.scenes:
        for paths in filled([entry] if isinstance(entry, str) else entry, root):
            scene = open_scene(paths[0] if isinstance(entry, str) else paths, bands=job.bands, **job.reading)
            scenes.append(scene)
    for scene in scenes:
        least = min(scene.grid.shape)
        if least < job.crop:
            raise InputError(
                f"is smaller than a crop of {job.crop} px",
                where=scene.name,
                why=f"it has {scene.grid.shape[0]} x {scene.grid.shape[1]} pixels",
                hint=f"`crop={least // 32 * 32}`" if least >= 32 else "without this scene",
            )
    return scenes


def _with_data(scene: Scene, crop: int, most: int) -> tuple[tuple[Window, ...], float]:
    """Of at most so many windows spread over a scene those that have data, and the share of data in all."""
    height, width = scene.grid.shape
    places = [(w.row, w.col) for w in scene.grid.window.blocks(crop, crop)]
    chosen = np.unique(np.linspace(0, len(places) - 1, most).round().astype(int)).tolist()
    windows = [
        Window(min(row, height - crop), min(col, width - crop), crop, crop)
        for row, col in (places[at] for at in chosen)
    ]
    shares = [float(scene.read(window)[1].mean()) for window in windows]
    found = tuple(window for window, share in zip(windows, shares, strict=True) if share >= LEAST)
    if not found:
        raise InputError(
            "has no data to learn from",
            where=scene.name,
            why=f"in none of {len(windows)} windows of {crop} px a quarter of the pixels is valid",
            hint="without this scene, or a smaller `crop`",
        )
    return found, float(np.mean(shares))


def _identity(job: PretrainJob, scenes: Sequence[Scene]) -> str:
    content = {
        # without defaults, so that a field added later does not make another pretraining of an old job
        "job": job.model_dump(mode="json", exclude={"out", "encoder_weights"}, exclude_defaults=True),
        "scenes": [scene.fingerprint() for scene in scenes],
        "weights": None if job.encoder_weights is None else digest_of(job.encoder_weights),
        "geoseg": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
