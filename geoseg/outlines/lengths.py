"""Sizes of polygons: lengths of their rings on the ellipsoid, and exact areas in units of their points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Grid, geod_of, to_geographic
from geoseg.kernels import kernel
from geoseg.outlines.seams import Rings

_LENGTH_NODES = 64
_NODE_METRES = 20_000.0
_MOST_NODES = 256


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


@kernel("i4[:,:], i8[:], i8[:], f8[:,:], f8[:,:], i8")
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


@kernel()
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


def doubled_areas(rings: Rings) -> NDArray[np.int64]:
    """(polygons,) int64: twice the area of every polygon in units of its points, exact."""
    made: NDArray[np.int64] = _doubled_areas(rings.points, rings.ring_offsets, rings.polygon_offsets)
    return made


@kernel("i4[:,:], i8[:], i8[:]")
def _doubled_areas(points, ring_offsets, polygon_offsets):  # type: ignore[no-untyped-def]
    out = np.zeros(polygon_offsets.shape[0] - 1, np.int64)
    for k in range(out.shape[0]):
        for i in range(polygon_offsets[k], polygon_offsets[k + 1]):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            # from its first point, for small products; rows run down, so that exteriors come out above 0
            r, c = np.int64(points[begin, 0]), np.int64(points[begin, 1])
            for j in range(begin + 1, end - 1):
                out[k] += (points[j, 0] - r) * (points[j + 1, 1] - c)
                out[k] -= (points[j, 1] - c) * (points[j + 1, 0] - r)
    return out


def in_pixels(rings: Rings, scale: int) -> Rings:
    """The same polygons with points as float64 in pixels, from points in 1 / `scale` pixels; exact."""
    points: NDArray[Any] = rings.points / scale
    return replace(rings, points=points)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlantLengths:
    """Squared metres per pixel at the nodes of a lattice: the metric of the ground in rows and columns.

    Attributes
    ----------
    metric
        (nodes down, nodes across, 3) float64: along rows, along columns, and their mixed term, so that the
        edge (dr, dc) is as long as the root of ``m0 dc**2 + m1 dr**2 + 2 m2 dr dc``.
    step
        Pixels between nodes.
    scale
        Units of the polygons' points per pixel.
    """

    metric: NDArray[np.float64]
    step: int
    scale: int

    @classmethod
    def of(cls, grid: Grid, scale: int) -> SlantLengths:
        """The one of a grid, from geodesics between points one step apart."""
        edges = EdgeLengths.of(grid)
        step = edges.step
        rows, cols = (np.arange(-(-n // step) + 1, dtype=np.float64) * step for n in grid.shape)
        c, r = np.meshgrid(cols, rows)
        half = step / 2
        diagonal = distances(grid, (r - half, c - half), (r + half, c + half)) / step
        along, across = edges.across**2, edges.down**2
        mixed = (diagonal**2 - along - across) / 2
        return cls(metric=np.stack([along, across, mixed], axis=-1), step=step, scale=scale)

    def perimeters(self, rings: Rings) -> NDArray[np.float64]:
        """(polygons,) float64: length of every polygon's rings in metres."""
        made: NDArray[np.float64] = _slant_perimeters(
            rings.points, rings.ring_offsets, rings.polygon_offsets, self.metric, self.step, self.scale
        )
        return made


@kernel("i4[:,:], i8[:], i8[:], f8[:,:,:], i8, i8")
def _slant_perimeters(points, ring_offsets, polygon_offsets, metric, step, scale):  # type: ignore[no-untyped-def]
    out = np.zeros(polygon_offsets.shape[0] - 1)
    for k in range(out.shape[0]):
        for i in range(polygon_offsets[k], polygon_offsets[k + 1]):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            last = end - 1
            for j in range(begin, end):
                out[k] += _length(points[last], points[j], metric, step, scale)
                last = j
    return out


@kernel()
def _length(a, b, metric, step, scale):  # type: ignore[no-untyped-def]
    """Length of an edge, by the metric in the middle of its pieces of up to one step."""
    # the same way round for both polygons beside it
    if a[0] > b[0] or (a[0] == b[0] and a[1] > b[1]):
        a, b = b, a
    r, c = a[0] / scale, a[1] / scale
    dr, dc = b[0] / scale - r, b[1] / scale - c
    pieces = int(max(abs(dr), abs(dc)) // step) + 1
    total = 0.0
    for piece in range(pieces):
        t = (piece + 0.5) / pieces
        y, x = (r + t * dr) / step, (c + t * dc) / step
        i, j = min(int(y), metric.shape[0] - 2), min(int(x), metric.shape[1] - 2)
        y -= i
        x -= j
        square = 0.0
        for m in range(3):
            upper = metric[i, j, m] * (1 - x) + metric[i, j + 1, m] * x
            lower = metric[i + 1, j, m] * (1 - x) + metric[i + 1, j + 1, m] * x
            factor = dc * dc if m == 0 else dr * dr if m == 1 else 2 * dr * dc
            square += (upper * (1 - y) + lower * y) * factor
        total += np.sqrt(max(square, 0.0))
    return total / pieces
