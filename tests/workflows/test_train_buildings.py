"""What workflows/train_buildings.py makes of the data: coarser scenes, in their places."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import click
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


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_tiles_of_a_web_map_become_one_scene_in_its_place(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "tiles_z21"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "labels.geojson").write_text("{}")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 512, 768), np.uint8)
    for row in range(2):
        for column in range(3):
            with rasterio.open(
                folder / f"OAM-{COLUMN + column}-{ROW + row}-{ZOOM}.png",
                "w",
                driver="PNG",
                count=3,
                height=256,
                width=256,
                dtype="uint8",
            ) as file:
                file.write(pixels[:, row * 256 : row * 256 + 256, column * 256 : column * 256 + 256])
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
