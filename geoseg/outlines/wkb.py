"""Polygons from pixel corners to map coordinates and well-known binary, in whole batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.outlines.seams import Rings

WKB_LITTLE_ENDIAN, WKB_POLYGON, WKB_MULTIPOLYGON = 1, 3, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPolygons:
    """Geometries of a batch as well-known binary (OGC 06-103r4, 8.2), all MultiPolygon of one polygon.

    Attributes
    ----------
    wkb
        (bytes,) uint8, one after the other.
    offsets
        (polygons + 1,) int64 into `wkb`.
    bounds
        (polygons, 4) float64: min x, min y, max x, max y.
    """

    wkb: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    bounds: NDArray[np.float64]


def encode(
    points: NDArray[np.int32] | NDArray[np.float64], rings: Rings, *, transform: Affine, reverse: bool = False
) -> EncodedPolygons:
    """Well-known binary of polygons.

    Parameters
    ----------
    points
        (n, 2) of (row, col), in the place of ``rings.points``.
    rings
        How they form polygons.
    transform
        From (col, row) to (x, y); neither rotated nor sheared.
    reverse
        Turn every ring round, keeping its first point: for grids whose rows run north, so that exterior rings
        are counter-clockwise in map space as RFC 7946 asks.
    """
    corners, scale = np.ascontiguousarray(points), _scale_and_shift(transform)
    wkb, offsets, bounds = _encode(corners, rings.ring_offsets, rings.polygon_offsets, scale, reverse)
    return EncodedPolygons(wkb=wkb, offsets=offsets, bounds=bounds)


def _scale_and_shift(t: Affine) -> tuple[float, float, float, float]:
    return float(t.a), float(t.c), float(t.e), float(t.f)


@kernel("f8[:,:], i8[:], i8[:], (f8, f8, f8, f8), b1", "i4[:,:], i8[:], i8[:], (f8, f8, f8, f8), b1")
def _encode(points, ring_offsets, polygon_offsets, scale, reverse):  # type: ignore[no-untyped-def]
    a, c, e, f = scale
    polygons = polygon_offsets.shape[0] - 1
    offsets = np.empty(polygons + 1, np.int64)
    offsets[0] = 0
    for k in range(polygons):
        begin, end = polygon_offsets[k], polygon_offsets[k + 1]
        corners = ring_offsets[end] - ring_offsets[begin] + end - begin
        offsets[k + 1] = offsets[k] + 18 + 4 * (end - begin) + 16 * corners
    out = np.empty(offsets[polygons], np.uint8)
    bounds = np.empty((polygons, 4))
    integer, number = np.empty(1, np.uint32), np.empty(2, np.float64)
    integer_bytes, number_bytes = integer.view(np.uint8), number.view(np.uint8)
    for k in range(polygons):
        n = offsets[k]
        begin, end = polygon_offsets[k], polygon_offsets[k + 1]
        for kind, count in ((WKB_MULTIPOLYGON, 1), (WKB_POLYGON, end - begin)):
            out[n] = WKB_LITTLE_ENDIAN
            n = _put(out, n + 1, integer, integer_bytes, kind)
            n = _put(out, n, integer, integer_bytes, count)
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for i in range(begin, end):
            first, last = ring_offsets[i], ring_offsets[i + 1] - 1
            size = last - first + 1
            n = _put(out, n, integer, integer_bytes, size + 1)
            for j in range(size + 1):
                at = first if j == size else (first + (size - j if reverse and j > 0 else j))
                x, y = a * points[at, 1] + c, e * points[at, 0] + f
                low_x, low_y, high_x, high_y = min(low_x, x), min(low_y, y), max(high_x, x), max(high_y, y)
                number[0], number[1] = x, y
                for b in range(16):
                    out[n + b] = number_bytes[b]
                n += 16
        bounds[k, 0], bounds[k, 1], bounds[k, 2], bounds[k, 3] = low_x, low_y, high_x, high_y
    return out, offsets, bounds


@kernel()
def _put(out, n, integer, integer_bytes, value):  # type: ignore[no-untyped-def]
    integer[0] = value
    for b in range(4):
        out[n + b] = integer_bytes[b]
    return n + 4
