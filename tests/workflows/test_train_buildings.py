"""What workflows/train_buildings.py makes of the data: coarser scenes, in their places."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import click
import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_bounds

from tests.workflows.scripts import load_script

ZOOM, COLUMN, ROW = 21, 1238448, 1046528


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("train_buildings")


def degrees(column: int, row: int) -> tuple[float, float]:
    """Longitude and latitude of a tile's upper left corner, by the formula of OpenStreetMap's wiki."""
    count = 2**ZOOM
    return column / count * 360 - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * row / count))))


def save(path: Path, driver: str, pixels: np.ndarray) -> None:
    """Write a picture (3, h, w) that lies nowhere."""
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype="uint8"
    ) as file:
        file.write(pixels)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tiles_of_a_web_map_become_one_scene_in_its_place(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "tiles_z21"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "labels.geojson").write_text("{}")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 512, 768), np.uint8)
    for row in range(2):
        for column in range(3):
            path = folder / f"OAM-{COLUMN + column}-{ROW + row}-{ZOOM}.png"
            save(path, "PNG", pixels[:, row * 256 : row * 256 + 256, column * 256 : column * 256 + 256])
    target = tmp_path / "work" / "place"
    script.lay_out_tiles(tmp_path / "data", target)
    assert target.with_suffix(".geojson").read_text() == "{}"
    with rasterio.open(target.with_suffix(".tif")) as file:
        found, bounds = file.read(), transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    west, north = degrees(COLUMN, ROW)
    east, south = degrees(COLUMN + 3, ROW + 2)
    assert bounds == pytest.approx((west, south, east, north), abs=1e-9)
    assert found.shape == (3, 128, 192)
    assert abs(found[:, 5, 7] - pixels[:, 20:24, 28:32].mean((1, 2))).max() <= 0.5


def test_a_folder_without_scenes_is_named(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="GEOSEG_DATA"):
        script.lay_out(tmp_path, tmp_path / "work")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_buildings_of_a_land_cover_are_those_that_stand_apart(script: ModuleType, tmp_path: Path) -> None:
    """A house, a block of a hectare, a speck, and a strip without labels."""
    cover = np.full((200, 900, 3), (0x84, 0x29, 0xF6), np.uint8)
    cover[10:40, 10:40] = cover[50:160, 300:800] = cover[100:104, 100:104] = script._BUILDING
    cover[190:] = (0x9B, 0x9B, 0x9B)
    pixels = np.random.default_rng(0).integers(0, 256, cover.shape, np.uint8)
    for kind, values in (("images", pixels), ("masks", cover)):
        save(tmp_path / f"tile_2_{kind}.vrt", "GTiff", np.moveaxis(values, -1, 0))
    target = tmp_path / "work" / "town"
    script.lay_out_cover(tmp_path, 2, script.Window(5, 0, 800, 200), target)
    found = geopandas.read_file(target.with_suffix(".gpkg"))
    areas = found.assign(m2=found.area).groupby("kind").m2.apply(sorted)
    assert areas["building"] == pytest.approx([30 * 30 * 0.09])
    assert areas["unknown"] == pytest.approx([16 * 0.09, 800 * 10 * 0.09, 110 * 500 * 0.09])
    with rasterio.open(target.with_suffix(".tif")) as file:
        assert np.array_equal(file.read(), np.moveaxis(pixels[:, 5:805], -1, 0))
        house = found[found.kind == "building"].total_bounds
        assert file.index(house[0] + 0.1, house[3] - 0.1) == (10, 5)
