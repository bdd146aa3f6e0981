"""Polygons in another CRS: straight pixel edges bend there, so long ones get corners on the way first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, pixel_index, to_geographic
from geoseg.kernels import kernel
from geoseg.outlines.seams import Rings
from geoseg.vectorization.job import VectorizeJob
from geoseg.writers.formats import format_of
from geoseg.writers.layer import GEOMETRY

_STEP_PIXELS = 64
_STEP_METRES = 20_000.0
_NEAR = 16
_NODES = 128
_HALF, _TURN = 180.0, 360.0
_WIDE = 90.0
_LEAST_MARGIN = 20.0  # all of Norway is mapped in one zone of 6 degrees


def output_crs(job: VectorizeJob) -> CRS | None:
    """CRS that was asked for, by option or by the format; None for the map's own.

    Raises
    ------
    UsageError
        A CRS that is not known, does not lie flat, or is not what the format holds.
    """
    wgs84 = CRS.from_epsg(4326)
    is_fixed = format_of(job.out).is_lonlat
    if job.crs is None:
        return wgs84 if is_fixed else None
    try:
        crs = CRS.from_user_input(job.crs)
    except CRSError as error:
        raise UsageError(f"`crs={job.crs}` is not known", why=" ".join(str(error).split())) from None
    if not (crs.is_geographic or crs.is_projected):
        raise UsageError(f"`crs={job.crs}` is no CRS for maps", why=f"{crs.name} is a {crs.type_name}")
    if is_fixed and not crs.equals(wgs84, ignore_axis_order=True):
        raise UsageError(
            f"`crs={job.crs}` does not go with {job.out.suffix}",
            why="it is always in longitude and latitude on WGS 84",
            hint="another format, or no `crs`",
        )
    return crs


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a map reaches beyond what a CRS is good for, seen on a lattice over the map.

    Attributes
    ----------
    off_earth
        Some of it has no place on earth.
    beyond
        Some of it lies beyond the CRS's area of use, and by more than that is wide on either side.
    is_wide
        It spans more than 90 degrees, so that a CRS may tear its polygons.
    """

    off_earth: bool
    beyond: bool
    is_wide: bool

    @classmethod
    def of(cls, grid: Grid, crs: CRS) -> Reach:
        """The one of a map that is moved to `crs`."""
        rows, cols = (np.linspace(0, n, min(n, _NODES) + 1) for n in grid.shape)
        c, r = np.meshgrid(cols, rows)
        off = grid.off_earth(r, c)
        lon, lat = lonlat(grid, r[~off], c[~off])
        width = float(np.ptp(np.unwrap(np.sort(lon), period=_TURN))) if len(lon) else 0.0
        return cls(
            off_earth=bool(off.any()), beyond=bool(_beyond(crs, lon, lat).any()), is_wide=width > _WIDE
        )


def lonlat(grid: Grid, row: NDArray[np.float64], col: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """(longitude, latitude) in degrees of pixel corners."""
    lon, lat = to_geographic(grid.crs).transform(*grid.corner(row, col), errcheck=False)
    return np.asarray(lon), np.asarray(lat)


def _beyond(crs: CRS, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether places lie farther from a CRS's area of use than this is wide and high."""
    area = crs.area_of_use
    if area is None or crs.is_geographic:
        return np.zeros(np.shape(lon), np.bool_)
    width = (area.east - area.west) % _TURN or _TURN
    # longitudes are compared modulo 360, from the middle of the area
    away = abs((lon - (area.west + width / 2) + _HALF) % _TURN - _HALF) - width / 2
    over = np.maximum(area.south - lat, lat - area.north)
    return np.asarray(
        (away > max(width, _LEAST_MARGIN)) | (over > max(area.north - area.south, _LEAST_MARGIN))
    )


def whole(batches: Iterable[pa.RecordBatch], crs: CRS) -> Iterator[pa.RecordBatch]:
    """Batches whose polygons are all valid; InputError for one that the CRS tore."""
    for batch in batches:
        shapes = shapely.from_wkb(batch[GEOMETRY].to_numpy(zero_copy_only=False))
        torn = np.flatnonzero(~shapely.is_valid(shapes))
        if len(torn):
            raise InputError(
                f"polygons of this map are torn in {crs.name}",
                why=f"one would be no valid polygon: {shapely.is_valid_reason(shapes[torn[0]])}",
                hint="a `crs` that holds all of the map, or none: the map's own",
            )
        yield batch


def reprojected(
    rings: Rings, grid: Grid, crs: CRS, *, watched: bool = False
) -> tuple[NDArray[np.float64], Rings]:
    """((n, 2) float64 of (y, x) in `crs`, rings): the polygons with corners added where edges are long.

    Without them an edge of 100 km would miss its true place by some 200 m, and neighbours whose corners lie
    along it would come apart. x is always the easting or longitude, whatever order the CRS's definition has:
    GeoPackage, GeoParquet, FlatGeobuf, Shapefile and GeoJSON all store it first.

    `watched` also looks where the points lie, for a map that reaches beyond the CRS's area of use.

    Raises
    ------
    InputError
        A point of the map that has no place in `crs`, or one far beyond its area of use.
    """
    if grid.crs.equals(crs, ignore_axis_order=True):
        dense = rings
    else:
        dense = densified(rings, step_of(grid), _poles(grid) if crs.is_geographic else None)
    x, y = grid.corner(*dense.points.T.astype(np.float64))
    moved = np.column_stack(Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y))
    if not np.isfinite(moved).all():
        k = int(np.flatnonzero(~np.isfinite(moved).all(axis=1))[0])
        raise InputError(
            f"({x[k]:.6f}, {y[k]:.6f}) has no place in {crs.name}",
            why=f"the map is in {grid.crs.name}",
            hint="another `crs`, or none: the map's own",
        )
    if watched and (area := crs.area_of_use) is not None:
        lon, lat = lonlat(grid, *dense.points.T.astype(np.float64))
        outside = np.flatnonzero(_beyond(crs, lon, lat))
        if len(outside):
            k = int(outside[0])
            raise InputError(
                f"longitude {lon[k]:.4f}, latitude {lat[k]:.4f} lies far beyond where {crs.name} is used",
                why=f"that is {area.west:g} to {area.east:g}, {area.south:g} to {area.north:g}",
                hint="another `crs`, or none: the map's own",
            )
    return moved[:, ::-1], dense


def step_of(grid: Grid) -> int:
    """Most pixels between corners: a power of two up to 64, or 20 km, on which an edge hardly bends."""
    longest = max(min(_STEP_PIXELS, int(_STEP_METRES / max(*grid.ground_size, 1e-9))), 1)
    return int(2 ** math.floor(math.log2(longest)))


def _poles(grid: Grid) -> NDArray[np.float64]:
    """(n, 2) float64: (row, col) of the poles in or near the grid; longitudes turn fast around them."""
    found = []
    for latitude in (-90.0, 90.0):
        x, y = to_geographic(grid.crs).transform(0.0, latitude, direction="INVERSE", errcheck=False)
        if not np.isfinite([x, y]).all() or grid.crs.is_geographic:
            continue
        row, col = (float(v[0]) for v in pixel_index(grid, np.array([x]), np.array([y])))
        away = max(-row, row - grid.height, -col, col - grid.width)
        if away < _NEAR * _STEP_PIXELS:
            found.append((row, col))
    return np.array(found, np.float64).reshape(-1, 2)


def densified(rings: Rings, step: int, poles: NDArray[np.float64] | None = None) -> Rings:
    """Polygons with corners added so that none of their edges is longer than `step` pixels.

    An edge along a row or a column gets them where it crosses every `step`-th column or row of the grid,
    any other edge in equal parts counted from its smaller end: neighbours get the same corners.

    Parameters
    ----------
    rings
        Polygons in pixel corners.
    step
        A power of two.
    poles
        (n, 2) float64 (row, col): edges nearer to one than 16 times their length get shorter, down to
        a pixel.
    """
    near = np.empty((0, 2)) if poles is None else poles
    points, offsets = _densified(rings.points, rings.ring_offsets, step, near)
    return Rings(points=points, ring_offsets=offsets, polygon_offsets=rings.polygon_offsets)


@kernel("f8[:,:], i8[:], i8, f8[:,:]", "i4[:,:], i8[:], i8, f8[:,:]")
def _densified(points, ring_offsets, step, poles):  # type: ignore[no-untyped-def]
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
                edge = (r0, c0, r1, c1)
                if write:
                    out[n, 0], out[n, 1] = r0, c0
                n += 1
                if r0 == r1 or c0 == c1:
                    n = _along_lattice(out, n, write, edge, step, poles)
                else:
                    n = _in_equal_parts(out, n, write, edge, step, poles)
            offsets[i + 1] = n
        count = n
    return out, offsets


@kernel()
def _along_lattice(out, n, write, edge, step, poles):  # type: ignore[no-untyped-def]
    r0, c0, r1, c1 = edge
    is_row = r0 == r1
    start, stop = (c0, c1) if is_row else (r0, r1)
    low, high = min(start, stop), max(start, stop)
    pace = step if poles.shape[0] == 0 else 1
    first = int(np.floor(low / pace)) + 1
    inner = max(int(np.ceil(high / pace)) - first, 0)
    for m in range(inner):
        at = (first + m if stop > start else first + inner - 1 - m) * pace
        r, c = (r0, float(at)) if is_row else (float(at), c0)
        # a place is chosen by where it lies alone, never by the edge it lies on
        if poles.shape[0] > 0 and at % _shorter(step, r, c, poles) != 0:
            continue
        if write:
            out[n, 0], out[n, 1] = r, c
        n += 1
    return n


@kernel()
def _in_equal_parts(out, n, write, edge, step, poles):  # type: ignore[no-untyped-def]
    r0, c0, r1, c1 = edge
    pace = min(_shorter(step, r0, c0, poles), _shorter(step, r1, c1, poles))
    pace = min(pace, _shorter(step, (r0 + r1) / 2, (c0 + c1) / 2, poles))
    inner = int(np.ceil(np.hypot(r1 - r0, c1 - c0) / pace)) - 1
    turn = r1 < r0
    ra, ca, rb, cb = (r1, c1, r0, c0) if turn else (r0, c0, r1, c1)
    for m in range(inner):
        t = ((inner - m) if turn else (m + 1)) / (inner + 1)
        if write:
            out[n, 0], out[n, 1] = ra + (rb - ra) * t, ca + (cb - ca) * t
        n += 1
    return n


@kernel()
def _shorter(step, r, c, poles):  # type: ignore[no-untyped-def]
    """Step at a place: the largest power of two up to `step` and to a 16th of the way to a pole."""
    for i in range(poles.shape[0]):
        away = np.hypot(r - poles[i, 0], c - poles[i, 1]) / 16
        while step > 1 and step > away:
            step //= 2
    return step
