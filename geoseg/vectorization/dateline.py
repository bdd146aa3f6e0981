"""Longitude and latitude kept within 180 degrees: polygons cut at the antimeridian (RFC 7946, 3.1.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geoseg.writers.layer import BOUNDS, GEOMETRY

_HALF, _TURN = 180.0, 360.0
_EARTH = (-180.0, -90.0, 180.0, 90.0)


def cut_at_antimeridian(batches: Iterable[pa.RecordBatch], *, continuous: bool) -> Iterator[pa.RecordBatch]:
    """Batches in which every longitude is from -180 to 180 and no polygon crosses from one to the other.

    A polygon that crosses becomes one MultiPolygon with its parts on both sides; one around a pole is led
    along the antimeridian to the pole and back. All others pass through untouched.

    Parameters
    ----------
    batches
        Rows with `GEOMETRY` in longitude and latitude, exterior rings counter-clockwise, and `BOUNDS`.
    continuous
        True where longitudes run on beyond 180 (a map whose own CRS is geographic), False where they jump to
        the other side (they were computed from a projected CRS). Edges must be shorter than 180 degrees then.
    """
    for batch in batches:
        low, _, high, _ = (batch[name].to_numpy() for name in BOUNDS)
        doubtful = (low < -_HALF) | (high > _HALF)
        if not continuous:
            doubtful |= high - low > _HALF
        yield _replaced(batch, np.flatnonzero(doubtful), continuous) if doubtful.any() else batch


def _replaced(batch: pa.RecordBatch, rows: NDArray[np.intp], continuous: bool) -> pa.RecordBatch:
    geometries = batch[GEOMETRY].to_numpy(zero_copy_only=False).copy()
    corners = [batch[name].to_numpy().copy() for name in BOUNDS]
    for row in rows:
        shape = shapely.from_wkb(geometries[row])
        if continuous:
            parts = _at_home(shape)
        else:
            parts = [part for polygon in shape.geoms for part in _without_jumps(polygon)]
        parts = _joined(parts)
        geometries[row] = shapely.to_wkb(shapely.MultiPolygon(parts), byte_order=1)
        for column, value in zip(corners, shapely.total_bounds(parts), strict=True):
            column[row] = value
    new = {GEOMETRY: geometries, **dict(zip(BOUNDS, corners, strict=True))}
    return pa.RecordBatch.from_arrays(
        [pa.array(new[f.name], f.type) if f.name in new else batch[f.name] for f in batch.schema],
        schema=batch.schema,
    )


def _joined(parts: list[shapely.Polygon]) -> list[shapely.Polygon]:
    """The parts, those merged that meet where the map itself begins and ends (one from 0 to 360 degrees)."""
    if len(parts) == 1 or shapely.MultiPolygon(parts).is_valid:
        return parts
    return _polygons(shapely.union_all(parts))


def _without_jumps(polygon: shapely.Polygon) -> list[shapely.Polygon]:
    """Parts of a polygon whose edges may jump over the antimeridian."""
    rings = [_unrolled(shapely.get_coordinates(ring)) for ring in (polygon.exterior, *polygon.interiors)]
    turns = [round((ring[-1, 0] - ring[0, 0]) / _TURN) for ring in rings]
    closed = [ring for ring, turn in zip(rings, turns, strict=True) if turn == 0]
    if any(turns):
        # it holds a pole or goes round one: what lies on the inner side of every ring that goes round
        shape: shapely.Geometry = shapely.box(*_EARTH)
        for ring, turn in zip(rings, turns, strict=True):
            if turn:
                shape = shapely.intersection(shape, _side(ring, turn))
        holes = closed
    else:
        shape, holes = shapely.MultiPolygon(_at_home(shapely.Polygon(closed[0]))), closed[1:]
    for hole in holes:
        shape = shapely.difference(shape, shapely.MultiPolygon(_at_home(shapely.Polygon(hole))))
    return _polygons(shape)


def _unrolled(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ring with longitudes that run on instead of jumping."""
    jumps = np.concatenate([[0.0], np.rint(np.diff(ring[:, 0]) / _TURN)])
    return ring - np.column_stack([np.cumsum(jumps) * _TURN, np.zeros(len(ring))])


def _side(ring: NDArray[np.float64], turn: int) -> shapely.Polygon:
    """All that lies to the left of a ring around the earth, from -180 to 180: north of one that runs east."""
    base = np.floor((ring[:, 0].min() + _HALF) / _TURN) * _TURN
    laps = [ring[:-1] + np.array([k * turn * _TURN - base, 0.0]) for k in range(-2, 3)]
    line = np.concatenate(laps)
    pole = 90.0 * turn
    return shapely.Polygon([*line, (line[-1, 0], pole), (line[0, 0], pole)])


def _at_home(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Parts of a shape whose longitudes run on, moved to -180 to 180 turn by turn."""
    low, _, high, _ = shape.bounds
    parts: list[shapely.Polygon] = []
    for turn in range(int(np.floor((low + _HALF) / _TURN)), int(np.ceil((high + _HALF) / _TURN))):
        shift = np.array([turn * _TURN, 0.0])
        lap = shapely.box(shift[0] - _HALF, -90.0, shift[0] + _HALF, 90.0)
        inside = shapely.intersection(shape, lap)
        parts += _polygons(shapely.transform(inside, lambda xy, shift=shift: xy - shift))
    return parts


def _polygons(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Polygons of a geometry, exteriors counter-clockwise, without lines and points where edges touch."""
    found = shapely.get_parts(shapely.get_parts(shape))
    return [p for p in shapely.orient_polygons(found) if p.geom_type == "Polygon" and p.area > 0]
