"""Sizes of simplified polygons, whose edges run in any direction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geoseg.geometry import Grid
from geoseg.vectorization.measure import EdgeLengths, distances
from geoseg.vectorization.seams import Rings


def doubled_areas(rings: Rings) -> NDArray[np.int64]:
    """(polygons,) int64: twice the area of every polygon in units of its points, exact."""
    made: NDArray[np.int64] = _doubled_areas(rings.points, rings.ring_offsets, rings.polygon_offsets)
    return made


@njit(nogil=True, cache=True)
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
        made: NDArray[np.float64] = _perimeters(
            rings.points, rings.ring_offsets, rings.polygon_offsets, self.metric, self.step, self.scale
        )
        return made


@njit(nogil=True, cache=True)
def _perimeters(points, ring_offsets, polygon_offsets, metric, step, scale):  # type: ignore[no-untyped-def]
    out = np.zeros(polygon_offsets.shape[0] - 1)
    for k in range(out.shape[0]):
        for i in range(polygon_offsets[k], polygon_offsets[k + 1]):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            last = end - 1
            for j in range(begin, end):
                out[k] += _length(points[last], points[j], metric, step, scale)
                last = j
    return out


@njit(nogil=True, cache=True)
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
