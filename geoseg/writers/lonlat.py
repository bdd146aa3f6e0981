"""Geometries for formats that always are in longitude and latitude."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer


def to_lonlat(shapes: NDArray[np.object_], crs: CRS) -> NDArray[np.object_]:
    """Geometries in longitude and latitude on WGS 84."""
    transformer = Transformer.from_crs(crs, 4326, always_xy=True)

    def lonlat(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1], errcheck=False))

    return np.asarray(shapely.transform(shapes, lonlat), object)
