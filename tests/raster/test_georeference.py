"""A CRS that is bound to a datum shift keeps it, all the way to the files that are written."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_bounds
from shapely.geometry import box

import geoseg
from geoseg.raster.opening import open_scene
from tests.raster.makers import write

BOUND = (
    "+proj=tmerc +lat_0=0 +lon_0=19 +k=1 +x_0=500000 +y_0=0 +ellps=bessel "
    "+towgs84=595.75,121.09,515.50,8.2270,-1.5193,5.5971,-2.6729 +units=m"
)
UNBOUND = BOUND.replace("+towgs84=595.75,121.09,515.50,8.2270,-1.5193,5.5971,-2.6729 ", "")


@pytest.fixture
def bound_map(tmp_path: Path) -> Path:
    labels = np.full((60, 80), 1, np.uint8)
    labels[20:40, 30:70] = 2
    transform = Affine(10, 0, 500_000, 0, -10, 5_260_000)
    return write(tmp_path / "bound.tif", labels, crs=BOUND, transform=transform, nodata=255)


def test_polygons_lie_where_gdal_puts_the_raster(bound_map: Path, tmp_path: Path) -> None:
    with rasterio.open(bound_map) as file:
        expected = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        unshifted = transform_bounds(UNBOUND, "EPSG:4326", *file.bounds)
    assert not np.allclose(expected, unshifted, atol=1e-4)
    for name in ("a.geojson", "a.fgb", "a.gpkg"):
        geoseg.vectorize(bound_map, out=tmp_path / name)
        layer = "landcover" if name.endswith("gpkg") else None
        found = geopandas.read_file(tmp_path / name, layer=layer).to_crs(4326)
        np.testing.assert_allclose(found.total_bounds, expected, atol=2e-7)


def test_a_reference_in_degrees_lies_on_the_map(bound_map: Path, tmp_path: Path) -> None:
    with rasterio.open(bound_map) as file:
        west, south, east, north = file.bounds
    part = box(west + 300, north - 400, west + 700, north - 200)
    shapes = [box(west, south, east, north) - part, part]
    frame = geopandas.GeoDataFrame({"class": [1, 2]}, geometry=shapes, crs=BOUND)
    frame.to_crs(4326).to_file(tmp_path / "reference.gpkg")
    scores = geoseg.evaluate(bound_map, tmp_path / "reference.gpkg", field="class")
    assert scores.overall["overall_accuracy"] > 0.999


def test_written_rasters_keep_the_shift(bound_map: Path, tmp_path: Path) -> None:
    geoseg.change(bound_map, bound_map, out=tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "change.tif") as made, rasterio.open(bound_map) as given:
        assert made.crs == given.crs
        assert "TOWGS84" in made.crs.to_wkt()


def test_a_bound_grid_is_measured_on_its_own_ellipsoid(bound_map: Path) -> None:
    grid = open_scene(bound_map).grid
    assert grid.ground_size == pytest.approx((10, 10), rel=1e-4)
    assert grid.crs.ellipsoid.name == "Bessel 1841"
