"""Small versions of large rasters, read block by block: a picture needs no more memory than itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Grid, Window
from geoseg.raster.classmap import ClassMap
from geoseg.raster.scene import Scene

_BLOCK = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallImage:
    """A decimated scene.

    Attributes
    ----------
    pixels
        (bands, height, width) float32, means of `step` x `step` pixels; NaN where none of them is valid.
    step
        Pixels of the scene per pixel of the picture, along a side.
    """

    pixels: NDArray[np.float32]
    step: int


def step_for(grid: Grid, size: int) -> int:
    """Smallest whole step with which neither side of the picture exceeds `size` pixels."""
    return max(-(-max(grid.shape) // size), 1)


def read_image(scene: Scene, bands: Sequence[int | str] | None, size: int) -> SmallImage:
    """Scene with its longer side at most `size` pixels, each the mean of the valid pixels it covers."""
    step = step_for(scene.grid, size)
    count = scene.count if bands is None else len(bands)
    small = np.full((count, *_small(scene.grid, step)), np.nan, np.float32)
    for window, target in _blocks(scene.grid, step):
        pixels, valid = scene.read(window, bands)
        small[:, *target] = _means(pixels, valid, step)
    return SmallImage(pixels=small, step=step)


def read_classes(classes: ClassMap, size: int) -> tuple[NDArray[np.uint8], int]:
    """Class numbers with the longer side at most `size` pixels, and the step; every class it shows is there.

    Each value is that of one pixel in the middle of its cell: classes are never mixed.
    """
    step = step_for(classes.grid, size)
    small = np.empty(_small(classes.grid, step), np.uint8)
    for window, target in _blocks(classes.grid, step):
        small[target] = _middles(classes.read(window), step)
    return small, step


def read_numbers(scene: Scene, size: int) -> tuple[NDArray[np.float64], int]:
    """First band with the longer side at most `size` pixels, NaN where it is not valid, and the step.

    Each value is that of one pixel in the middle of its cell: years are never averaged.
    """
    step = step_for(scene.grid, size)
    small = np.empty(_small(scene.grid, step))
    for window, target in _blocks(scene.grid, step):
        pixels, valid = scene.read(window, [1])
        small[target] = _middles(np.where(valid, pixels[0], np.nan), step)
    return small, step


def _small(grid: Grid, step: int) -> tuple[int, int]:
    height, width = (-(-n // step) for n in grid.shape)
    return height, width


def _middles(block: NDArray[Any], step: int) -> NDArray[Any]:
    """The pixel in the middle of each cell."""
    rows, cols = (np.minimum(np.arange(0, n, step) + step // 2, n - 1) for n in block.shape)
    return block[np.ix_(rows, cols)]


def _blocks(grid: Grid, step: int) -> Iterator[tuple[Window, tuple[slice, slice]]]:
    """Windows of whole cells, and where their cells lie in the picture."""
    side = max(_BLOCK // step, 1) * step
    for window in grid.window.blocks(side, side):
        top, left = window.row // step, window.col // step
        yield (
            window,
            (slice(top, top + -(-window.height // step)), slice(left, left + -(-window.width // step))),
        )


def _means(pixels: NDArray[np.generic], valid: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    starts = [np.arange(0, n, step) for n in valid.shape]
    values = np.where(valid, pixels, 0).astype(np.float64)
    total = np.add.reduceat(np.add.reduceat(values, starts[0], axis=-2), starts[1], axis=-1)
    counts = np.add.reduceat(np.add.reduceat(valid.astype(np.int64), starts[0], axis=0), starts[1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: NDArray[np.float32] = (total / counts).astype(np.float32)
    return means
