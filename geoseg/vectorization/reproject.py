"""Polygons in another CRS: straight pixel edges bend there, so long ones get corners on the way first."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid
from geoseg.vectorization.formats import GEOGRAPHIC
from geoseg.vectorization.job import VectorizeJob
from geoseg.vectorization.seams import Rings

_STEP_PIXELS = 64
_STEP_METRES = 20_000.0


def output_crs(job: VectorizeJob) -> CRS | None:
    """CRS that was asked for, by option or by the format; None for the map's own.

    Raises
    ------
    UsageError
        A CRS that is not known, does not lie flat, or is not what the format holds.
    """
    wgs84 = CRS.from_epsg(4326)
    is_fixed = job.out.suffix.lower() in GEOGRAPHIC
    if job.crs is None:
        return wgs84 if is_fixed else None
    try:
        crs = CRS.from_user_input(job.crs)
    except CRSError as error:
        raise UsageError(f"--crs {job.crs!r} is not known", why=" ".join(str(error).split())) from None
    if not (crs.is_geographic or crs.is_projected):
        raise UsageError(f"--crs {job.crs!r} is no CRS for maps", why=f"{crs.name} is a {crs.type_name}")
    if is_fixed and not crs.equals(wgs84, ignore_axis_order=True):
        raise UsageError(
            f"--crs {job.crs!r} does not go with {job.out.suffix}",
            why="it is always in longitude and latitude on WGS 84",
            hint="another format, or no --crs",
        )
    return crs


def reprojected(rings: Rings, grid: Grid, crs: CRS) -> tuple[NDArray[np.float64], Rings]:
    """((n, 2) float64 of (y, x) in `crs`, rings): the polygons with corners added where edges are long.

    Without them an edge of 100 km would miss its true place by some 200 m, and neighbours whose corners lie
    along it would come apart. x is always the easting or longitude, whatever order the CRS's definition has:
    GeoPackage, GeoParquet, FlatGeobuf, Shapefile and GeoJSON all store it first.

    Raises
    ------
    InputError
        A point of the map that has no place in `crs`.
    """
    dense = rings if _keeps_lines_straight(grid.crs, crs) else densified(rings, step_of(grid))
    x, y = grid.corner(*dense.points.T.astype(np.float64))
    moved = np.column_stack(Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y))
    if not np.isfinite(moved).all():
        k = int(np.flatnonzero(~np.isfinite(moved).all(axis=1))[0])
        raise InputError(
            f"({x[k]:.6f}, {y[k]:.6f}) has no place in {crs.name}",
            why=f"the map is in {grid.crs.name}",
            hint="another --crs, or none: the map's own",
        )
    return moved[:, ::-1], dense


def step_of(grid: Grid) -> int:
    """Pixels between corners on a long edge: 64, or 20 km; edges bend less than 0.03 pixels on that way."""
    return max(min(_STEP_PIXELS, int(_STEP_METRES / max(*grid.ground_size, 1e-9))), 1)


def _keeps_lines_straight(one: CRS, other: CRS) -> bool:
    return one.equals(other, ignore_axis_order=True)


def densified(rings: Rings, step: int) -> Rings:
    """Polygons with corners added so that none of their edges is longer than `step` pixels.

    An edge along a row or a column gets them where it crosses every `step`-th column or row of the grid,
    any other edge in equal parts counted from its smaller end: neighbours get the same corners.
    """
    points, offsets = _densified(rings.points, rings.ring_offsets, step)
    return Rings(points=points, ring_offsets=offsets, polygon_offsets=rings.polygon_offsets)


@njit(nogil=True, cache=True)
def _densified(points, ring_offsets, step):  # type: ignore[no-untyped-def]
    count = 0
    for write in (False, True):
        out = np.empty((count if write else 0, 2), np.float64)
        offsets = np.empty(ring_offsets.shape[0], np.int64)
        offsets[0] = 0
        n = 0
        for i in range(ring_offsets.shape[0] - 1):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            for j in range(begin, end):
                k = j + 1 if j + 1 < end else begin
                r0, c0 = float(points[j, 0]), float(points[j, 1])
                r1, c1 = float(points[k, 0]), float(points[k, 1])
                if write:
                    out[n, 0], out[n, 1] = r0, c0
                n += 1
                if r0 == r1 or c0 == c1:
                    from_, to = (c0, c1) if r0 == r1 else (r0, r1)
                    low, high = min(from_, to), max(from_, to)
                    first = int(np.floor(low / step)) + 1
                    inner = max(int(np.ceil(high / step)) - first, 0)
                    for m in range(inner):
                        at = float((first + m if to > from_ else first + inner - 1 - m) * step)
                        if write:
                            out[n, 0], out[n, 1] = (r0, at) if r0 == r1 else (at, c0)
                        n += 1
                else:
                    inner = int(np.ceil(np.hypot(r1 - r0, c1 - c0) / step)) - 1
                    turn = r1 < r0
                    ra, ca, rb, cb = (r1, c1, r0, c0) if turn else (r0, c0, r1, c1)
                    for m in range(inner):
                        t = ((inner - m) if turn else (m + 1)) / (inner + 1)
                        if write:
                            out[n, 0], out[n, 1] = ra + (rb - ra) * t, ca + (cb - ca) * t
                        n += 1
            offsets[i + 1] = n
        count = n
    return out, offsets
