"""Geometries for formats that always are in longitude and latitude."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

LONLAT = CRS.from_epsg(4326)
"""CRS of a layer of such a format: GDAL would bring it there once more from any other."""


def to_lonlat(shapes: NDArray[np.object_], crs: CRS) -> NDArray[np.object_]:
    """Geometries in longitude and latitude on WGS 84."""
    transformer = Transformer.from_crs(crs, LONLAT, always_xy=True)

    def lonlat(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(xy[:, 0], xy[:, 1], errcheck=False))

    return np.asarray(shapely.transform(shapes, lonlat), object)
