"""Whether GDAL and PROJ work on this machine: what `geoseg doctor` asks of the raster libraries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.drivers import raster_driver_extensions
from rasterio.warp import transform

from geoseg.geometry import Grid
from geoseg.raster.classmap import open_class_map
from geoseg.raster.write import write_geotiff


def projection_disagreement() -> float:
    """Metres by which the PROJ inside rasterio and the one inside pyproj disagree on a point in UTM.

    They are separate copies with separate databases; a stale ``PROJ_DATA`` breaks one or both, which raises
    whatever the library raises.
    """
    x, y = transform("EPSG:4326", "EPSG:32633", [14.5], [46.0])
    u, v = Transformer.from_crs(4326, 32633, always_xy=True).transform(14.5, 46.0)
    return float(np.hypot(x[0] - u, y[0] - v))


def round_trip(folder: Path) -> bool:
    """Whether a small class map, written as a Cloud Optimized GeoTIFF in `folder`, reads back unchanged."""
    labels = (np.arange(600 * 700, dtype=np.uint32) // 977 % 5).astype(np.uint8).reshape(600, 700)
    grid = Grid(crs=CRS(32633), transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), height=600, width=700)
    plain = write_geotiff(folder / "plain.tif", grid, labels, nodata=255)
    target = folder / "cog.tif"
    rasterio.shutil.copy(plain, target, driver="COG", compress="deflate", overview_resampling="mode")
    back = open_class_map(target)
    return back.grid.difference(grid) is None and np.array_equal(back.read(back.grid.window), labels)


def has_cog_driver() -> bool:
    """Whether GDAL was built with the driver that writes Cloud Optimized GeoTIFFs."""
    with rasterio.Env() as environment:
        return "COG" in environment.drivers() and "tif" in raster_driver_extensions()
