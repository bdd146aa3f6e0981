"""One look at a scene: a regular sample of its pixels, the same on every run, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.raster.scene import Scene

SIDE = 64
MOST_WINDOWS = 1024
MOST_PIXELS = 2**18
_FEWEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Valid pixels of a scene.

    Attributes
    ----------
    values
        (n, B) raw values.
    looked_at
        Pixels sampled, valid or not.
    """

    values: NDArray[Any]
    looked_at: int

    @property
    def mean(self) -> NDArray[np.float64]:
        """(B,) mean of each band."""
        return np.asarray(self.values.mean(axis=0, dtype=np.float64))

    @property
    def std(self) -> NDArray[np.float64]:
        """(B,) standard deviation of each band."""
        return np.asarray(self.values.std(axis=0, dtype=np.float64))


def sample_scene(scene: Scene, *, seed: int) -> Sample:
    """Sample of a scene: all of it while small, else a lattice of pixels in windows spread over it.

    Raises
    ------
    InputError
        Fewer than 100 valid pixels.
    """
    windows = list(sample_windows(*scene.grid.shape, seed=seed))
    step = int(np.ceil(np.sqrt(sum(w.area for w in windows) / MOST_PIXELS)))
    found, looked_at = [], 0
    for window in windows:
        pixels, valid = scene.read(window)
        pixels, valid = pixels[:, ::step, ::step], valid[::step, ::step]
        looked_at += valid.size
        found.append(pixels[:, valid].T)
    values = np.concatenate(found)
    if len(values) < _FEWEST:
        raise InputError(
            "too few valid pixels to fit a model to",
            where=scene.name,
            why=f"{len(values)} of {looked_at} sampled are valid, at least {_FEWEST} are needed",
            hint="another scene, or `nodata` if a value is wrongly taken for no data",
        )
    return Sample(values=values, looked_at=looked_at)


def sample_windows(height: int, width: int, *, seed: int) -> Iterator[Window]:
    """Windows of at most 64 x 64 pixels, one at a random place in every cell of a grid, row by row."""
    cell = max(SIDE, int(np.ceil(np.sqrt(height * width / MOST_WINDOWS))))
    rng = np.random.default_rng(seed)
    for held in Window(0, 0, height, width).blocks(cell, cell):
        down, across = rng.random(2)
        rows, cols = min(SIDE, held.height), min(SIDE, held.width)
        row = held.row + int(down * (held.height - rows + 1))
        col = held.col + int(across * (held.width - cols + 1))
        yield Window(row, col, rows, cols)
