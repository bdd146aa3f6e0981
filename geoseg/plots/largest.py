"""The largest of a series' events that each plot holds a part of, asked of the index of its GeoPackage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Grid
from geoseg.writers.sqlite.blob import well_known_binary

_NEAR = """SELECT e.area_ha, e.geom FROM events e JOIN rtree_events_geom r ON r.id = e.fid
WHERE r.minx <= ? AND r.maxx >= ? AND r.miny <= ? AND r.maxy >= ? ORDER BY e.area_ha DESC"""
_NOTHING = 0.001
"""Pixels in common that count as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events of a series.

    Attributes
    ----------
    path
        Their GeoPackage.
    grid
        Of the series.
    """

    path: Path
    grid: Grid

    def largest(self, placed: NDArray[np.object_]) -> NDArray[np.float64]:
        """(n,) hectares of the largest event of which shapes in columns and rows hold a part; NaN of none."""
        out = np.full(len(placed), np.nan)
        pixel = abs(self.grid.transform.determinant)
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
                for i, shape in enumerate(shapely.transform(placed, self._on_map)):
                    out[i] = _largest(database, shape, pixel)
        except sqlite3.DatabaseError as error:
            raise InputError("events cannot be read", where=self.path, why=str(error)) from None
        return out

    def _on_map(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(self.grid.corner(places[:, 1], places[:, 0]))


def _largest(database: sqlite3.Connection, shape: Any, pixel: float) -> float:
    left, bottom, right, top = shapely.bounds(shape).tolist()
    is_point = shapely.get_dimensions(shape) == 0
    for hectares, blob in database.execute(_NEAR, (right, left, top, bottom)):
        event = shapely.from_wkb(well_known_binary(blob))
        if is_point:
            meets = shapely.intersects(event, shape)
        else:
            meets = shapely.area(shapely.intersection(event, shape)) > _NOTHING * pixel
        if meets:
            return float(hectares)
    return float("nan")
