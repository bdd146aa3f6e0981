"""Maps as wide as the earth, or wider than their CRS: valid polygons of all of it, or an error in words."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import geoseg
from geoseg.errors import InputError
from geoseg.writers.formats import FORMATS
from tests.raster.makers import write

SINUSOIDAL = "+proj=sinu +R=6371007.181 +units=m"
MODIS = 1111950.5197 / 120


def area(path: Path) -> float:
    layer = "landcover" if path.suffix == ".gpkg" else None
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path, layer=layer)
    assert frame.geometry.is_valid.all()
    return float(shapely.area(frame.geometry.values).sum())


@pytest.mark.parametrize("suffix", [f.suffix for f in FORMATS if f.suffix != ".pmtiles"])
@pytest.mark.parametrize("half", [89, 91, 179, 180])
def test_nothing_of_a_wide_map_is_lost(tmp_path: Path, suffix: str, half: int) -> None:
    a = np.ones((8, 2 * half), np.uint8)
    a[2, 5] = 2
    path = write(tmp_path / "w.tif", a, nodata=255, crs="EPSG:4326", transform=Affine(1, 0, -half, 0, -1, 40))
    geoseg.vectorize(path, out=tmp_path / f"w{suffix}")
    assert area(tmp_path / f"w{suffix}") == pytest.approx(a.size, rel=1e-9)


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg"])
def test_a_map_from_0_to_360_degrees_is_valid(tmp_path: Path, suffix: str) -> None:
    a = np.ones((18, 36), np.uint8)
    a[4:9, 3:30] = 2
    a[12:, :] = 3
    path = write(tmp_path / "g.tif", a, nodata=255, crs="EPSG:4326", transform=Affine(10, 0, 0, 0, -10, 90))
    geoseg.vectorize(path, out=tmp_path / f"g{suffix}", crs="EPSG:4326")
    assert area(tmp_path / f"g{suffix}") == pytest.approx(360 * 180, rel=1e-9)


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:32633", "EPSG:2154", "EPSG:3031", "EPSG:3857"])
def test_what_lies_beyond_a_crs_is_refused(tmp_path: Path, crs: str) -> None:
    a = np.ones((18, 36), np.uint8)
    a[4:9, 3:30] = 2
    path = write(tmp_path / "g.tif", a, nodata=255, crs="EPSG:4326", transform=Affine(10, 0, 0, 0, -10, 90))
    with pytest.raises(InputError, match=r"beyond where|torn|has no place"):
        geoseg.vectorize(path, out=tmp_path / "g.gpkg", crs=crs)
    assert [p.name for p in tmp_path.iterdir()] == ["g.tif"]


def test_a_global_map_of_one_country_is_not_refused(tmp_path: Path) -> None:
    a = np.full((180, 360), 255, np.uint8)
    a[38:46, 178:188] = 1  # 44 to 52 north, 2 west to 8 east
    path = write(tmp_path / "g.tif", a, nodata=255, crs="EPSG:4326", transform=Affine(1, 0, -180, 0, -1, 90))
    for crs in ("EPSG:2154", "EPSG:3035", "EPSG:32632"):
        result = geoseg.vectorize(path, out=tmp_path / "g.parquet", crs=crs, overwrite=True)
        assert area(tmp_path / "g.parquet") / 1e4 == pytest.approx(
            result.hectares["class 1"], rel=0.03 if crs != "EPSG:3035" else 0.001
        )


def test_pixels_off_the_earth_are_left_out_with_a_note(tmp_path: Path) -> None:
    a = np.repeat([1, 2, 3], 40)[:, None].repeat(120, axis=1).astype(np.uint8)
    transform = Affine(MODIS, 0, 0, 0, -MODIS, 9 * 1111950.5197)
    crs = rasterio.CRS.from_string(SINUSOIDAL).to_wkt()
    path = write(tmp_path / "s.tif", a, nodata=255, crs=crs, transform=transform)
    rows, cols = np.mgrid[:121, :121]
    x, y = transform * (cols, rows)
    on = x / (6371007.181 * np.cos(y / 6371007.181)) <= np.pi
    inside = (on[1:, 1:] & on[:-1, 1:] & (y[1:, 1:] >= 0)).sum()
    for name in ("s.geojson", "s.gpkg"):
        result = geoseg.vectorize(path, out=tmp_path / name, crs="EPSG:4326")
        assert any("off the earth" in note for note in result.notes)
        assert result.pixels == inside
        frame = gpd.read_file(tmp_path / name, layer=None if name == "s.geojson" else "landcover")
        assert frame.geometry.is_valid.all()
        sphere = frame.geometry.set_crs("+proj=longlat +R=6371007.181", allow_override=True)
        back = sphere.to_crs("+proj=cea +R=6371007.181").area.sum()
        assert back == pytest.approx(inside * MODIS**2, rel=2e-3)


def test_a_map_that_runs_on_beyond_a_whole_turn_of_a_cylinder_keeps_it(tmp_path: Path) -> None:
    world = 20037508.342789244
    step = world / 18
    a = np.ones((6, 12), np.uint8)
    path = write(tmp_path / "m.tif", a, nodata=255, crs="EPSG:3857",
                 transform=Affine(step, 0, 12 * step, 0, -step, 3 * step))  # fmt: skip
    result = geoseg.vectorize(path, out=tmp_path / "m.geojson")
    assert not any("earth" in note for note in result.notes)
    assert result.pixels == a.size
    west, _, east, _ = gpd.read_file(tmp_path / "m.geojson").total_bounds
    assert (west, east) == pytest.approx((-180, 180))
    assert area(tmp_path / "m.geojson") == pytest.approx(
        120 * 2 * np.degrees(np.arctan(np.sinh(3 * step / 6378137))), rel=1e-3
    )
