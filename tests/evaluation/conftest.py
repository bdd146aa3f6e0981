"""Small class maps and references on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from geoseg.geometry import Grid
from geoseg.raster.write import write_geotiff

NAMES = {1: "forest", 2: "pasture", 3: "water"}
TRANSFORM = Affine(30, 0, 400_000, 0, -30, 9_000_000)


@pytest.fixture
def make_map(tmp_path: Path) -> Callable[..., Path]:
    """Write a class map and give its path."""

    def make(
        labels: np.ndarray,
        name: str = "classes.tif",
        *,
        crs: str = "EPSG:32720",
        transform: Affine = TRANSFORM,
        names: dict[int, str] | None = NAMES,
        nodata: int | None = 255,
    ) -> Path:
        height, width = labels.shape
        grid = Grid(crs=CRS.from_user_input(crs), transform=transform, height=height, width=width)
        tags = {f"CLASS_{i}": n for i, n in (names or {}).items()}
        return write_geotiff(tmp_path / name, grid, labels, nodata=nodata, tags=tags)

    return make


@pytest.fixture
def make_vector(tmp_path: Path) -> Callable[..., Path]:
    """Write a GeoPackage of geometries given in pixel coordinates (col, row) and give its path."""

    def make(
        shapes: list, columns: dict[str, list], name: str = "reference.gpkg", crs: str | None = "EPSG:32720"
    ) -> Path:
        frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=None)
        t = TRANSFORM
        frame["geometry"] = frame.geometry.affine_transform([t.a, t.b, t.d, t.e, t.c, t.f])
        if crs is not None:
            frame = frame.set_crs("EPSG:32720").to_crs(crs)
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")  # some tests want none
            frame.to_file(path)
        return path

    return make
