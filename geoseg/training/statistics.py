"""What the bands look like in the training windows: normalisation and range, in one streamed pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.contract import InputContract
from geoseg.models.experience import Experience, look
from geoseg.training.samples import CellIndex, Source, crop_window

_MOST_WINDOWS = 512
_WINDOWS_A_SCENE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BandStatistics:
    """Mean, standard deviation and range of each band, (B,) float64 each, over valid pixels."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def band_statistics(sources: Sequence[Source], index: CellIndex) -> BandStatistics:
    """Statistics over at most 512 training windows, evenly spread over the index.

    Means and squares are joined window by window (Chan et al. 1979), so that nothing cancels.

    Raises
    ------
    InputError
        No valid pixel, or a band that is constant.
    """
    chosen = np.unique(np.linspace(0, len(index.row) - 1, _MOST_WINDOWS).round().astype(int))
    bands = sources[0].scene.count
    number, mean, squares = 0, np.zeros(bands), np.zeros(bands)
    low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
    for at in chosen.tolist():
        source = sources[int(index.source[at])]
        row, col = index.home[at].tolist()
        raw, valid = source.scene.read(crop_window(row, col, index.crop, source.scene.grid.shape))
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
        raise InputError("no valid pixel in any training window", where=sources[0].scene.name)
    std = np.sqrt(squares / number)
    flat = np.flatnonzero(std <= 0)
    if flat.size:
        raise InputError(
            "a band is constant over all training windows",
            where=sources[0].scene.name,
            why=f"band {sources[0].scene.band_names[flat[0]]} is {mean[flat[0]]:g}",
            hint="leave it out with bands",
        )
    return BandStatistics(mean=mean, std=std, low=low, high=high)


def experience_of(sources: Sequence[Source], index: CellIndex, contract: InputContract) -> Experience:
    """What at most 512 training windows look like."""
    chosen = np.unique(np.linspace(0, len(index.row) - 1, _MOST_WINDOWS).round().astype(int))
    looks = []
    for at in chosen.tolist():
        scene = sources[int(index.source[at])].scene
        row, col = index.home[at].tolist()
        pixels, valid = scene.read(crop_window(row, col, index.crop, scene.grid.shape))
        looks.append(look(pixels, valid, contract))
    return Experience.of(np.stack(looks), index.crop)


def scene_levels(sources: Sequence[Source], crop: int, fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean raw value (S, B) of each scene's bands, over windows spread over it; `fill` where none is valid.

    Windows of the validation part count too: a level is of the scene, whatever is known of its classes.
    """
    most = max(1, min(_WINDOWS_A_SCENE, _MOST_WINDOWS // len(sources)))
    return np.stack([_level(source, crop, most, fill) for source in sources])


def _level(source: Source, crop: int, most: int, fill: NDArray[np.float64]) -> NDArray[np.float64]:
    windows = list(source.scene.grid.window.blocks(crop, crop))
    total, number = np.zeros(len(fill)), 0
    for at in np.unique(np.linspace(0, len(windows) - 1, most).round().astype(int)).tolist():
        raw, valid = source.scene.read(windows[at])
        total += raw[:, valid].sum(axis=1, dtype=np.float64)
        number += int(valid.sum())
    return total / number if number else fill.copy()
