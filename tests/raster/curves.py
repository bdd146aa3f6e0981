"""Layers with curves, and with coordinates beyond x and y, written as bytes: shapely has no such thing."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import geopandas
import shapely

from tests.raster.makers import UTM

Place = tuple[float, ...]


def ring(centre: Place, radius: float, *more: float) -> list[Place]:
    """Five points of a circle; `more` are their z and m."""
    x, y = centre
    steps = ((-radius, 0), (0, radius), (radius, 0), (0, -radius), (-radius, 0))
    return [(x + dx, y + dy, *more) for dx, dy in steps]


def _points(kind: int, places: Sequence[Place]) -> bytes:
    """Well-known binary of a line (2) or of arcs (8)."""
    return _head(kind, places) + b"".join(struct.pack(f"<{len(p)}d", *p) for p in places)


def _head(kind: int, parts: Sequence[Any], dimensions: int = 0) -> bytes:
    size = dimensions or len(parts[0])
    return struct.pack("<BII", 1, kind + {2: 0, 3: 1000, 4: 3000}[size], len(parts))


def circle(centre: Place, radius: float, *more: float) -> bytes:
    """CURVEPOLYGON of one ring of arcs."""
    size = 2 + len(more)
    return _head(10, [0], size) + _points(8, ring(centre, radius, *more))


def half_circle(centre: Place, radius: float) -> bytes:
    """CURVEPOLYGON of an arc and its chord, a COMPOUNDCURVE."""
    west, north, east, *_ = ring(centre, radius)
    arc, chord = _points(8, [west, north, east]), _points(2, [east, west])
    return _head(10, [0], 2) + _head(9, [0, 0], 2) + arc + chord


def several(kind: int, *parts: bytes) -> bytes:
    """A MULTISURFACE (12), GEOMETRYCOLLECTION (7) or other set of parts."""
    return _head(kind, parts, 2) + b"".join(parts)


def geopackage(path: Path, shapes: Sequence[bytes], *, kind: str = "Unknown", **fields: Any) -> Path:
    """GeoPackage of these geometries, with z and m or not."""
    dummies = [shapely.box(k, 0, k + 1, 1) for k in range(len(shapes))]
    frame = geopandas.GeoDataFrame(fields or {"n": range(len(shapes))}, geometry=dummies, crs=UTM)
    frame.to_file(path, layer="a", engine="pyogrio", geometry_type=kind, SPATIAL_INDEX="NO")
    header = b"GP" + struct.pack("<BBi", 0, 1, 32633)
    with closing(sqlite3.connect(path)) as database, database:
        for number, shape in enumerate(shapes, 1):
            database.execute("UPDATE a SET geom = ? WHERE fid = ?", (header + shape, number))
        database.execute("UPDATE gpkg_geometry_columns SET z = 2, m = 2")
    return path
