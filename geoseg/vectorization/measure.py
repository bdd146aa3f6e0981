"""Sizes on the ellipsoid, fast: pixel areas as integers, and lengths of pixel edges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geoseg.geometry import Grid, Window, area_nodes, geod_of, pixel_areas, to_geographic
from geoseg.vectorization.seams import Rings

_LENGTH_NODES = 64
_NODE_METRES = 20_000.0
_MOST_NODES = 256


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


@njit(nogil=True, cache=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLengths:
    """Metres per pixel along rows and columns, at the nodes of a lattice over a grid's pixel corners.

    Attributes
    ----------
    across, down
        (nodes down, nodes across) float64: metres per pixel along a row and along a column.
    step
        Pixels between nodes. Between them it is linear: below 1e-5 off for pixels up to 1 km.
    """

    across: NDArray[np.float64]
    down: NDArray[np.float64]
    step: int

    @classmethod
    def of(cls, grid: Grid) -> EdgeLengths:
        """Edge lengths of a grid, from geodesics between points one step apart (Karney 2013)."""
        pixel = max(*grid.ground_size, 1e-9)
        fine = min(_LENGTH_NODES, int(_NODE_METRES / pixel))
        step = max(fine, -(-max(grid.shape) // _MOST_NODES), 1)
        rows, cols = (np.arange(-(-n // step) + 1, dtype=np.float64) * step for n in grid.shape)
        c, r = np.meshgrid(cols, rows)
        half = step / 2
        across = distances(grid, (r, c - half), (r, c + half)) / step
        down = distances(grid, (r - half, c), (r + half, c)) / step
        return cls(across=across, down=down, step=step)

    def perimeters(self, rings: Rings) -> NDArray[np.float64]:
        """(polygons,) float64: length of every polygon's rings in metres."""
        made: NDArray[np.float64] = _perimeters(
            rings.points, rings.ring_offsets, rings.polygon_offsets, self.across, self.down, self.step
        )
        return made


def distances(
    grid: Grid,
    a: tuple[NDArray[np.float64], NDArray[np.float64]],
    b: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Metres along geodesics between (rows, cols) of pixel corners; 0 where there is no place on earth."""
    transformer, geod = to_geographic(grid.crs), geod_of(grid.crs)
    ends = []
    for row, col in (a, b):
        lon, lat = transformer.transform(*grid.corner(row, col), errcheck=False)
        ends += [lon, np.clip(lat, -90.0, 90.0)]
    inside = np.isfinite(np.stack(ends)).all(axis=0)
    length = np.zeros(inside.shape)
    length[inside] = geod.inv(*(np.asarray(e)[inside] for e in ends))[2]
    return length


@njit(nogil=True, cache=True)
def _perimeters(points, ring_offsets, polygon_offsets, across, down, step):  # type: ignore[no-untyped-def]
    polygons = polygon_offsets.shape[0] - 1
    out = np.zeros(polygons)
    for k in range(polygons):
        total = 0.0
        for i in range(polygon_offsets[k], polygon_offsets[k + 1]):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            r0, c0 = np.int64(points[end - 1, 0]), np.int64(points[end - 1, 1])
            for j in range(begin, end):
                r1, c1 = np.int64(points[j, 0]), np.int64(points[j, 1])
                if r0 == r1:
                    total += _along(across, r0, min(c0, c1), max(c0, c1), step, False)
                else:
                    total += _along(down, c0, min(r0, r1), max(r0, r1), step, True)
                r0, c0 = r1, c1
        out[k] = total
    return out


@njit(nogil=True, cache=True, inline="always")
def _along(nodes, fixed, low, high, step, is_column):  # type: ignore[no-untyped-def]
    """Integral of a bilinear field along a straight edge: its middle value in each cell, times pixels."""
    total = 0.0
    across_cells = (nodes.shape[1] if is_column else nodes.shape[0]) - 2
    i = min(fixed // step, across_cells)
    s = fixed / step - i
    while low < high:
        j = low // step
        stop = min(high, (j + 1) * step)
        t = (low + stop) * 0.5 / step - j
        if is_column:
            value = (nodes[j, i] * (1 - s) + nodes[j, i + 1] * s) * (1 - t)
            value += (nodes[j + 1, i] * (1 - s) + nodes[j + 1, i + 1] * s) * t
        else:
            value = (nodes[i, j] * (1 - t) + nodes[i, j + 1] * t) * (1 - s)
            value += (nodes[i + 1, j] * (1 - t) + nodes[i + 1, j + 1] * t) * s
        total += value * (stop - low)
        low = stop
    return total
