"""Areas of pixels on the ellipsoid as integers, so that sums do not depend on how they are cut."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry.areas import area_nodes, pixel_areas
from geoseg.geometry.grid import Grid
from geoseg.geometry.window import Window
from geoseg.kernels import kernel


def area_unit(grid: Grid) -> float:
    """Square metres of one unit of integer area: a power of two, about 2**-54 of the grid's area.

    Areas are added up as integers, so that a region's area does not depend on how it was cut into chunks; the
    headroom of 512 covers projections whose pixels grow away from the centre.
    """
    width, height = grid.ground_size
    return math.ldexp(1.0, math.ceil(math.log2(max(width * height, 1e-9) * grid.height * grid.width)) - 54)


def integer_areas(grid: Grid, window: Window, unit: float) -> NDArray[np.int64]:
    """Areas (h, 1) or (h, w) of a window's pixels in whole units; each depends on its own place alone."""
    if grid.crs.is_geographic:
        return np.rint(pixel_areas(grid, window) / unit).astype(np.int64)
    nodes, step = area_nodes(grid, window)
    areas: NDArray[np.int64] = _interpolated(nodes, step, *_as_tuple(window), 1.0 / unit)
    return areas


def _as_tuple(window: Window) -> tuple[int, int, int, int]:
    return window.row, window.col, window.height, window.width


@kernel("f8[:,:], i8, i8, i8, i8, i8, f8")
def _interpolated(nodes, step, row, col, height, width, scale):  # type: ignore[no-untyped-def]
    """`pixel_areas` in a projected CRS, as integers: bilinear between nodes, at pixel centres."""
    out = np.empty((height, width), np.int64)
    first_row, first_col = row // step, col // step
    for i in range(height):
        down = row + i + 0.5
        k = int(down // step)
        s = down / step - k
        k -= first_row
        for cell in range(nodes.shape[1] - 1):
            left = nodes[k, cell] * (1 - s) + nodes[k + 1, cell] * s
            right = nodes[k, cell + 1] * (1 - s) + nodes[k + 1, cell + 1] * s
            begin = (first_col + cell) * step
            for c in range(max(begin, col), min(begin + step, col + width)):
                t = (c - begin + 0.5) / step
                out[i, c - col] = np.int64((left * (1 - t) + right * t) * scale + 0.5)
    return out
