"""Versions of the raster libraries, without what loads slowly."""

from __future__ import annotations

import rasterio


def library_versions() -> dict[str, str]:
    """Versions of rasterio and of the GDAL, PROJ and GEOS inside it."""
    return {
        "rasterio": rasterio.__version__,
        "GDAL": rasterio.__gdal_version__,
        "PROJ": rasterio.__proj_version__,
        "GEOS": rasterio.__geos_version__,
    }
