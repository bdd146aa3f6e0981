"""What the bands look like in the training windows: normalisation and range, in one streamed pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.models.contract import Band, InputContract
from geoseg.raster.scene import Scene
from geoseg.training.samples import CellIndex, Source, crop_window

MOST_WINDOWS = 512
"""That constants are taken from."""
_WINDOWS_A_SCENE = 64
_DARK = 0.01
"""Quantile: shadows and water, but no single broken pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """How light a scene is, raw values (B,) float64 of its bands.

    Attributes
    ----------
    level
        Mean.
    dark
        The 1 % quantile of the window where it is least, or 0 if that is negative.
    """

    level: NDArray[np.float64]
    dark: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandStatistics:
    """Mean, standard deviation and range of each band, (B,) float64 each, over valid pixels."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def training_windows(sources: Sequence[Source], index: CellIndex) -> list[tuple[Scene, Window]]:
    """At most 512 windows that crops are drawn from, evenly spread over the index."""
    chosen = np.unique(np.linspace(0, len(index.row) - 1, MOST_WINDOWS).round().astype(int)).tolist()
    scenes = [sources[int(index.source[at])].scene for at in chosen]
    starts = index.home[chosen].tolist()
    return [
        (scene, crop_window(row, col, index.crop, scene.grid.shape))
        for scene, (row, col) in zip(scenes, starts, strict=True)
    ]


def band_statistics(windows: Sequence[tuple[Scene, Window]]) -> BandStatistics:
    """Statistics over all pixels of windows of scenes.

    Means and squares are joined window by window (Chan et al. 1979), so that nothing cancels.

    Raises
    ------
    InputError
        No valid pixel, or a band that is constant.
    """
    first = windows[0][0]
    bands = first.count
    number, mean, squares = 0, np.zeros(bands), np.zeros(bands)
    low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
    for scene, window in windows:
        raw, valid = scene.read(window)
        values = raw[:, valid].astype(np.float64)
        n = values.shape[1]
        if not n:
            continue
        own = values.mean(axis=1)
        gap = own - mean
        squares += ((values - own[:, None]) ** 2).sum(axis=1) + gap**2 * (number * n / (number + n))
        mean += gap * (n / (number + n))
        number += n
        low, high = np.minimum(low, values.min(axis=1)), np.maximum(high, values.max(axis=1))
    if not number:
        raise InputError("no valid pixel in any training window", where=first.name)
    std = np.sqrt(squares / number)
    flat = np.flatnonzero(std <= 0)
    if flat.size:
        raise InputError(
            "a band is constant over all training windows",
            where=first.name,
            why=f"band {first.band_names[flat[0]]} is {mean[flat[0]]:g}",
            hint="leave it out with bands",
        )
    return BandStatistics(mean=mean, std=std, low=low, high=high)


def contract_of(
    scenes: Sequence[Scene], found: BandStatistics, names: Sequence[str], *, scale: float, ranged: bool
) -> InputContract:
    """Contract of a network for what such scenes hold.

    Parameters
    ----------
    names
        Of the bands.
    scale
        By which crops were made larger and smaller on the ground.
    ranged
        Each band has a range of its own, else there is one for all.
    """
    sizes = [float(np.sqrt(abs(np.prod(scene.grid.ground_size)))) for scene in scenes]
    dtype, reach = scenes[0].dtype, 1.5 * (1 + scale)
    ranges = [_value_range(low, high, dtype) for low, high in zip(found.low, found.high, strict=True)]
    return InputContract(
        bands=tuple(
            Band(name=name, value_range=own if ranged else None)
            for name, own in zip(names, ranges, strict=True)
        ),
        dtype=str(dtype),
        value_range=_value_range(found.low.min(), found.high.max(), dtype),
        mean=tuple(float(f"{v:.8g}") for v in found.mean),
        std=tuple(float(f"{v:.8g}") for v in found.std),
        pixel_size=(float(f"{min(sizes) / reach:.4g}"), float(f"{max(sizes) * reach:.4g}")),
    )


def _value_range(low: float, high: float, dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """Range seen in training, a quarter wider on both sides; uint8 has its own."""
    if dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(low), float(high)
    wider = 0.25 * (high - low)
    return (max(low - wider, 0.0) if low >= 0 else low - wider), high + wider


def scene_tones(scenes: Sequence[Scene], crop: int, fill: NDArray[np.float64]) -> tuple[Tone, ...]:
    """Tone of each scene, over windows spread over it; that of `fill` (B,) where no pixel is valid.

    Windows of the validation part count too: a tone is of the scene, whatever is known of its classes.
    """
    most = max(1, min(_WINDOWS_A_SCENE, MOST_WINDOWS // len(scenes)))
    return tuple(_tone(scene, crop, most, fill) for scene in scenes)


def _tone(scene: Scene, crop: int, most: int, fill: NDArray[np.float64]) -> Tone:
    windows = list(scene.grid.window.blocks(crop, crop))
    total, number, dark = np.zeros(len(fill)), 0, np.full(len(fill), np.inf)
    for at in np.unique(np.linspace(0, len(windows) - 1, most).round().astype(int)).tolist():
        raw, valid = scene.read(windows[at])
        values = raw[:, valid]
        total += values.sum(axis=1, dtype=np.float64)
        number += values.shape[1]
        if values.shape[1]:
            dark = np.minimum(dark, np.quantile(values, _DARK, axis=1))
    if not number:
        return Tone(level=fill.copy(), dark=np.zeros(len(fill)))
    return Tone(level=total / number, dark=np.maximum(dark, 0))
