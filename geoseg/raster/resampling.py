"""Bands of larger pixels put on a scene's grid by bilinear interpolation, alike for every window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Grid, Window
from geoseg.geometry.grid import pixel_index

_COARSER = 1.5
"""How many times larger pixels are at least; nearly equal ones are two scenes, not two sharpnesses of one."""

_STEPS = 2**20
"""Positions are rounded to that part of a source pixel: no rounding of coordinates becomes a weight."""

Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_]]]


def is_coarser(grid: Grid, fine: Grid) -> bool:
    """Whether a grid shows the place of `fine` in larger pixels.

    Same coordinate reference system and direction of rows, pixels at least half as wide and high again, and
    no edge off by more than one of its pixels.
    """
    if not grid.crs.equals(fine.crs, ignore_axis_order=True):
        return False
    across, down = grid.transform.a / fine.transform.a, grid.transform.e / fine.transform.e
    if min(across, down) < _COARSER:
        return False
    pixel = (grid.transform.a, abs(grid.transform.e)) * 2
    edges = zip(grid.bounds, fine.bounds, pixel, strict=True)
    return all(abs(own - other) <= side * (1 + 1e-6) for own, other, side in edges)


def read_bilinear(
    grid: Grid, window: Window, source: Grid, read: Read
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels (B, h, w) of a window of `grid` in the source's dtype, and where they are valid (h, w).

    A value is the mean of the four nearest source pixels, weighted by nearness to the pixel's centre; beyond
    the outermost centres the edge's pixels stand alone. It is valid where the centre lies inside the source
    and all that have a weight are valid. It depends on the pixel's global (row, col) alone, never on the
    window it is asked through; whole numbers are rounded to the nearest, halves up, as GDAL does.

    Parameters
    ----------
    grid, window
        Where pixels are wanted.
    source, read
        A grid in the same coordinate reference system, and its windowed reader.
    """
    x, _ = grid.corner(0.0, np.arange(window.col, window.col_end) + 0.5)
    _, y = grid.corner(np.arange(window.row, window.row_end) + 0.5, 0.0)
    rows, down, row_inside = _neighbours(pixel_index(source, np.zeros(1), y)[0], source.height)
    cols, across, col_inside = _neighbours(pixel_index(source, x, np.zeros(1))[1], source.width)
    under = Window(int(rows.min()), int(cols.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
    pixels, valid = read(under)
    rows, cols = rows - under.row, cols - under.col
    work = np.dtype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    lower, right = down.astype(work)[:, None], across.astype(work)
    above, below = (pixels[:, r].astype(work) for r in rows)
    lines = above * (1 - lower) + below * lower
    found = np.take(lines, cols[0], axis=2) * (1 - right) + np.take(lines, cols[1], axis=2) * right
    ok = valid[rows[0]] & (valid[rows[1]] | (lower == 0))
    ok = ok[:, cols[0]] & (ok[:, cols[1]] | (right == 0))
    ok &= row_inside[:, None] & col_inside
    if pixels.dtype.kind != "f":
        found = np.floor(found + 0.5)
    return found.astype(pixels.dtype), ok


def _neighbours(
    corner: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """(the two nearest pixels (2, n), weight of the second, whether the position lies inside)."""
    position = np.rint((corner - 0.5) * _STEPS) / _STEPS
    first = np.floor(position)
    inside = (position >= -0.5) & (position <= size - 0.5)
    pair = np.clip(np.stack([first, first + 1]), 0, size - 1).astype(np.int64)
    return pair, position - first, inside
