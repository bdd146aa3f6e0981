"""Simplified polygons as the verb writes them, on made-up and on real maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from pyproj import CRS, Geod
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

import geoseg
from geoseg.cli.main import cli
from geoseg.errors import UsageError
from geoseg.outlines.borders import CELL
from geoseg.outlines.coverage import Generalization
from geoseg.writers.formats import FORMATS
from tests.raster.makers import TRANSFORM, UTM, write

UTM_NORTH = "EPSG:32632"


def blobs(height: int, width: int, *, sigma: float = 6.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((height, width), np.float32), sigma)
    a = np.digitize(field, np.quantile(field[::9, ::9], [0.2, 0.5, 0.8])).astype(np.uint8)
    a[height // 3 : height // 2, width // 4 : width // 3] = 255
    return a


def read(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_parquet(path)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of three cells."""
    folder = tmp_path_factory.mktemp("wide")
    return write(folder / "classes.tif", blobs(220, 2 * CELL + 100), nodata=255)


@pytest.mark.parametrize(
    "options", [{"simplify": 15.0}, {"simplify": 25.0, "method": "douglas-peucker"}, {"smooth": 2}]
)
def test_the_same_for_every_chunk_size(wide: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    tables = []
    for i, chunk in enumerate([None, 300, 3 * CELL]):
        result = geoseg.vectorize(wide, out=tmp_path / f"{i}.parquet", chunk=chunk, **options)
        tables.append(read(result.path).to_wkb())
    for other in tables[1:]:
        pd.testing.assert_frame_equal(tables[0], other, check_exact=True)


@pytest.mark.slow
def test_the_same_for_two_processes(wide: Path, tmp_path: Path) -> None:
    one = geoseg.vectorize(wide, out=tmp_path / "1.parquet", simplify=20, smooth=1)
    two = geoseg.vectorize(wide, out=tmp_path / "2.parquet", simplify=20, smooth=1, workers=2)
    pd.testing.assert_frame_equal(read(one.path).to_wkb(), read(two.path).to_wkb(), check_exact=True)
    assert one.classes == two.classes


def test_exact_attributes_with_simplified_shapes(wide: Path, tmp_path: Path) -> None:
    exact = geoseg.vectorize(wide, out=tmp_path / "e.parquet")
    made = geoseg.vectorize(wide, out=tmp_path / "s.parquet", simplify=15)
    one, other = read(exact.path), read(made.path)
    for column in ("class_id", "area_ha", "n_pix"):
        assert one[column].equals(other[column])
    assert other.is_valid.all()
    assert shapely.coverage_is_valid(other.geometry.explode(index_parts=False).values)
    assert shapely.get_num_coordinates(other.geometry.values).sum() < 0.4 * (
        shapely.get_num_coordinates(one.geometry.values).sum()
    )
    for total in made.classes:
        drawn = other.geometry[other.class_id == total.class_id].area.sum()
        assert drawn / 100 / total.pixels - 1 == pytest.approx(total.area_error, abs=1e-9)
        assert abs(total.area_error) < 0.005
    assert all(c.area_error is None for c in exact.classes)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, TRANSFORM),
        ("EPSG:4326", rasterio.transform.from_origin(10, 60, 0.002, 0.001)),
        ("ESRI:102001", rasterio.transform.from_origin(1_500_000, 2_000_000, 300, 300)),
    ],
)
def test_perimeters_are_geodesic_along_slanted_edges(
    tmp_path: Path, crs: str, transform: rasterio.Affine
) -> None:
    source = write(tmp_path / "a.tif", blobs(250, 300, sigma=4), nodata=255, crs=crs, transform=transform)
    metres = 1.2 * max(rasterio_ground(source))
    frame = read(geoseg.vectorize(source, out=tmp_path / "a.parquet", simplify=metres, smooth=1).path)
    geod = Geod(ellps="WGS84" if crs != "ESRI:102001" else "GRS80")
    dense = frame.geometry.segmentize(transform.a).to_crs(frame.crs.geodetic_crs)
    expected = [geod.geometry_length(line) for line in dense.boundary]
    assert frame.perim_m.to_numpy() == pytest.approx(expected, rel=2e-5)


def rasterio_ground(source: Path) -> tuple[float, float]:
    return geoseg.raster.classmap.open_class_map(source).grid.ground_size


def test_tolerance_is_in_metres_on_the_ground(tmp_path: Path) -> None:
    a = blobs(120, 120, sigma=3)
    degrees = rasterio.transform.from_origin(10, 60, 0.0002, 0.0001)
    source = write(tmp_path / "a.tif", a, nodata=255, crs="EPSG:4326", transform=degrees)
    exact = read(geoseg.vectorize(source, out=tmp_path / "e.parquet").path).to_crs(UTM_NORTH)
    made = read(geoseg.vectorize(source, out=tmp_path / "s.parquet", simplify=18).path).to_crs(UTM_NORTH)
    moved = shapely.hausdorff_distance(exact.boundary.values, made.boundary.values, densify=0.1)
    assert 9 < moved.max() < 18.1


@pytest.mark.parametrize("suffix", [f.suffix for f in FORMATS if f.suffix not in (".parquet", ".pmtiles")])
def test_every_format_takes_it(tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / "a.tif", blobs(80, 90, sigma=3), nodata=255)
    geoseg.vectorize(source, out=tmp_path / f"a{suffix}", simplify=15, smooth=2)
    layer = {"layer": "landcover"} if suffix == ".gpkg" else {}
    frame = gpd.read_file(tmp_path / f"a{suffix}", **layer)
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.to_crs(UTM).geometry.explode(index_parts=False).values, 1e-6)


def test_the_command_reports_the_error_of_every_class(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", blobs(90, 90), nodata=255)
    out = tmp_path / "a.gpkg"
    options = ["--simplify", "15", "--method", "douglas-peucker", "--smooth", "1"]
    result = CliRunner().invoke(cli, ["vectorize", str(source), "--out", str(out), *options])
    assert result.exit_code == 0, result.output
    assert "area error" in result.output
    assert result.output.count("%") == 4


@pytest.mark.parametrize(
    "options",
    [{"simplify": 0}, {"simplify": -3}, {"simplify": float("nan")}, {"smooth": 4}, {"method": "chaikin"}],
)
def test_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    source = write(tmp_path / "a.tif", blobs(20, 20), nodata=255)
    with pytest.raises(UsageError):
        geoseg.vectorize(source, out=tmp_path / "a.gpkg", **options)
    assert not (tmp_path / "a.gpkg").exists()


def test_smoothing_tells_when_a_map_is_too_large_for_its_numbers() -> None:
    from geoseg.geometry import Grid

    grid = Grid(crs=CRS.from_user_input(UTM), transform=TRANSFORM, height=100, width=1_100_000)
    with pytest.raises(UsageError, match="fewer rounds"):
        Generalization.of(grid, 10.0, "visvalingam", 3)
    assert Generalization.of(grid, 10.0, "visvalingam", 2) is not None
    assert Generalization.of(grid, None, "visvalingam", 0) is None


def test_a_real_map_crop(shared_data: Path, tmp_path: Path) -> None:
    check_chesapeake(shared_data, tmp_path, Window(2300, 900, 1500, 1500), fewer=3.0)


@pytest.mark.slow
def test_a_real_map_of_62_megapixels(shared_data: Path, tmp_path: Path) -> None:
    check_chesapeake(shared_data, tmp_path, None, fewer=5.0)


def check_chesapeake(shared_data: Path, tmp_path: Path, window: Window | None, *, fewer: float) -> None:
    source = shared_data / "landcover_maps_large" / "chesapeake_lc_palette_7168x8704.tif"
    if window is not None:
        with rasterio.open(source) as dataset:
            crop, transform = dataset.read(1, window=window), dataset.window_transform(window)
        source = write(tmp_path / "crop.tif", crop, nodata=0, crs=dataset.crs, transform=transform)
    exact = read(geoseg.vectorize(source, out=tmp_path / "e.parquet").path)
    made = geoseg.vectorize(source, out=tmp_path / "s.parquet", simplify=4.0)
    frame = read(made.path)
    corners = [shapely.get_num_coordinates(f.geometry.values).sum() for f in (exact, frame)]
    assert corners[0] > fewer * corners[1]
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.explode(index_parts=False).values)
    for total in made.classes:
        assert abs(total.area_error) <= 0.005 or total.pixels < 2000, total
