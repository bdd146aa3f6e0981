from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from geoseg.errors import OutputConflictError, UsageError
from geoseg.geometry import Grid
from geoseg.raster.write import write_geotiff


def _grid(height: int, width: int) -> Grid:
    return Grid(
        crs=CRS.from_epsg(32720),
        transform=Affine(10, 0, 500_000, 0, -10, 8_900_000),
        height=height,
        width=width,
    )


@settings(max_examples=12)
@given(
    height=st.sampled_from([1, 33, 512, 700]),
    width=st.sampled_from([1, 17, 530]),
    count=st.integers(1, 4),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, count: int, dtype: str
) -> None:
    path = tmp_path_factory.mktemp("w") / "deeper" / "scene.tif"
    pixels = np.random.default_rng(0).integers(0, 200, (count, height, width)).astype(dtype)
    grid = _grid(height, width)
    names = tuple(f"band {i}" for i in range(count))
    assert write_geotiff(path, grid, pixels, nodata=0, band_names=names, tags={"SEED": "7"}) == path
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(), pixels)
        assert file.transform == grid.transform and file.crs.to_epsg() == 32720
        assert file.nodata == 0 and file.descriptions == names and file.tags()["SEED"] == "7"
    assert [p.name for p in path.parent.iterdir()] == ["scene.tif"]


def test_one_band_may_be_flat_and_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for value in (1, 2):
        write_geotiff(path, _grid(5, 6), np.full((5, 6), value, np.uint8))
    with rasterio.open(path) as file:
        assert (file.read(1) == 2).all()


def test_wrong_shapes_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not fit the grid"):
        write_geotiff(tmp_path / "a.tif", _grid(5, 6), np.zeros((6, 5), np.uint8))
    with pytest.raises(UsageError, match="names for 1 bands"):
        write_geotiff(tmp_path / "a.tif", _grid(5, 6), np.zeros((5, 6), np.uint8), band_names=("a", "b"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_output_conflict(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputConflictError, match="cannot be written"):
        write_geotiff(tmp_path / "file" / "a.tif", _grid(5, 6), np.zeros((5, 6), np.uint8))


def test_bands_named_red_green_and_blue_open_in_true_colour(tmp_path: Path) -> None:
    grid = Grid(crs=CRS(32633), transform=Affine(10, 0, 5e5, 0, -10, 5e6), height=8, width=9)
    path = write_geotiff(
        tmp_path / "a.tif", grid, np.ones((4, 8, 9), np.uint16), band_names=("blue", "green", "red", "nir")
    )
    with rasterio.open(path) as file:
        assert [c.name for c in file.colorinterp] == ["blue", "green", "red", "undefined"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
