"""Scenes before a model: opened with the bands that it names, looked at, and refused where need be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.models.bundle import Bundle
from geoseg.models.contract import InputContract, SceneProfile
from geoseg.models.experience import Experience, look
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.scene import Scene

_SAMPLE_SIDE = 64


def open_for(
    contract: InputContract,
    source: str | list[str],
    bands: Sequence[int | str] | None,
    reading: ReadingOptions,
) -> Scene:
    """Scene of a model; of a product whose bands nobody chose, the bands that the model names."""
    scene = open_scene(source, bands=bands, **reading)
    order = contract.order_among(scene.band_names)
    if bands is not None or not scene.product or order is None:
        return scene
    return open_scene(source, bands=order, **reading)


def admit(
    bundles: Sequence[Bundle],
    scene: Scene,
    *,
    override: bool,
    coarser: int = 1,
    without: Sequence[str] = (),
) -> tuple[str, ...]:
    """Notes of every bundle's input contract; where there are several, each says whose it is.

    Parameters
    ----------
    override
        Whether a refusal becomes a note.
    coarser
        Pixels of the scene along one that the model sees.
    without
        Sensors of the models that the scene lacks.

    Raises
    ------
    InputError
        A contract that refuses the scene.
    """
    several = len(bundles) > 1
    width, height = scene.grid.ground_size
    profile = SceneProfile(
        count=scene.count,
        dtype=scene.dtype,
        band_names=scene.band_names,
        pixel_size_m=(width * coarser, height * coarser),
        value_sample=sample_values(scene),
        scaling=scene.scaling,
        level=scene.level,
    )
    notes: list[str] = []
    for bundle in bundles:
        try:
            contract = bundle.contract.without(without)
            found = contract.check(profile, override=override, where=scene.paths[0])
        except InputError as error:
            if not several:
                raise
            what = f"{error.what} for the model {bundle.name}"
            raise InputError(what, where=error.where, why=error.why, hint=error.hint) from None
        if (
            bundle.experience is not None
            and not without
            and (remark := _remark(bundle.experience, bundle.contract, scene))
        ):
            found = (*found, remark)
        notes += [f"{bundle.name}: {note}" if several else note for note in found]
    return tuple(dict.fromkeys(notes))


def completed(bundles: Sequence[Bundle], scene: Scene, without: Sequence[str]) -> tuple[Scene, str]:
    """(the scene with the bands of sensors that it lacks, a note): they hold what normalises to zero.

    So did they in training, where a sensor was taken away. UsageError for several models whose zeros differ.
    """
    first = bundles[0]
    at = first.contract.positions(without)
    values = [tuple(b.contract.fill[i] for i in b.contract.positions(without)) for b in bundles]
    if len(set(values)) > 1:
        raise UsageError(
            f"{' and '.join(b.name for b in bundles)} cannot be averaged without {', '.join(without)}",
            why="what stands for its bands differs between them",
            hint="one `model`",
        )
    names = [first.contract.band_names[i] for i in at]
    note = f"mapped without {', '.join(without)}: {', '.join(names)} hold the mean of the training"
    known = [first.scores.get("without", {}).get(name) for name in without]
    if len(bundles) == len(known) == 1 and isinstance(known[0], dict):
        scores = (
            f"{key.replace('_', ' ').replace('iou', 'IoU')} {value:.3f}"
            for key, value in known[0].items()
            if value is not None
        )
        note += f"; so it reached {', '.join(scores)} on its held-out part"
    return scene.with_constants(list(zip(at, names, values[0], strict=True))), note


def _remark(experience: Experience, contract: InputContract, scene: Scene) -> str | None:
    """How far the scene is from what a model has seen."""
    looks = [look(pixels, valid, contract) for pixels, valid in _lattice(scene, experience.side)]
    return experience.remark(np.stack(looks)) if looks else None


def sample_values(scene: Scene) -> NDArray[Any] | None:
    """Raw valid values from a lattice of small windows over the scene; None where none is valid."""
    found = [pixels[:, valid].ravel() for pixels, valid in _lattice(scene, _SAMPLE_SIDE)]
    return np.concatenate(found) if any(part.size for part in found) else None


def _lattice(scene: Scene, side: int) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    """Raw pixels (B, h, w) and their validity (h, w) in at most 25 windows evenly spread over the scene."""
    for window in scene.grid.window.spread(side):
        try:
            yield scene.read(window)
        except InputError:
            continue  # a corrupt block is reported by whoever needs it
