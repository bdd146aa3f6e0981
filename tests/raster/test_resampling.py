"""Bands of larger pixels on a scene's grid: against GDAL, and the same through every window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geoseg.errors import InputError
from geoseg.geometry import Grid, Window
from geoseg.raster.opening import open_scene
from geoseg.raster.resampling import is_coarser, read_bilinear

from . import makers

FINE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def grid(height, width, pixel, left=500_000.0, top=5_000_000.0):
    transform = Affine(pixel, 0, left, 0, -pixel, top)
    return Grid(crs=CRS(32633), transform=transform, height=height, width=width)


def reader(pixels, valid=None):
    ok = np.ones(pixels.shape[1:], np.bool_) if valid is None else valid

    def read(window):
        return pixels[:, *window.slices_in(Window(0, 0, *pixels.shape[1:]))], ok[
            window.slices_in(Window(0, 0, *pixels.shape[1:]))
        ]

    return read


def noise(height, width, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(0, 10_000, (2, height, width)).astype(dtype)


@pytest.mark.parametrize(("ratio", "dtype"), [(2, np.uint16), (2, np.float32), (6, np.int16)])
def test_values_are_those_of_gdal(ratio, dtype):
    fine, coarse = grid(24 * ratio, 31 * ratio, 10), grid(24, 31, 10 * ratio)
    pixels = noise(24, 31, dtype)
    expected = np.zeros((2, *fine.shape), dtype)
    reproject(
        pixels, expected, src_transform=coarse.transform, src_crs="EPSG:32633",
        dst_transform=fine.transform, dst_crs="EPSG:32633", resampling=Resampling.bilinear,
    )  # fmt: skip
    found, valid = read_bilinear(fine, fine.window, coarse, reader(pixels))
    assert found.dtype == dtype
    assert valid.all()
    if ratio == 2:
        np.testing.assert_array_equal(found, expected)
    else:  # weights of a twelfth are rounded differently
        assert np.abs(found.astype(int) - expected).max() <= 1
        assert (found == expected).mean() > 0.98


@given(st.data())
def test_every_window_gives_the_same_bits(data):
    seed = data.draw(st.integers(0, 9))
    pixel = data.draw(st.sampled_from([16.3, 20.0, 23.7, 60.0]))
    fine, pixels = grid(60, 70, 10.0), noise(60, 70, np.float32, seed)
    coarse = grid(60, 70, pixel, left=500_003.1)
    ok = np.random.default_rng(seed).random((60, 70)) > 0.05
    whole, valid = read_bilinear(fine, fine.window, coarse, reader(pixels, ok))
    row, col = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 69))
    window = Window(row, col, data.draw(st.integers(1, 60 - row)), data.draw(st.integers(1, 70 - col)))
    part, held = read_bilinear(fine, window, coarse, reader(pixels, ok))
    np.testing.assert_array_equal(part, whole[:, *window.slices_in(fine.window)])
    np.testing.assert_array_equal(held, valid[window.slices_in(fine.window)])


def test_no_value_is_made_of_an_invalid_pixel():
    fine, coarse = grid(12, 12, 10), grid(6, 6, 20)
    pixels, ok = np.full((1, 6, 6), 7, np.uint16), np.ones((6, 6), np.bool_)
    pixels[0, 2, 3], ok[2, 3] = 60_000, False
    found, valid = read_bilinear(fine, fine.window, coarse, reader(pixels, ok))
    assert (found[0][valid] == 7).all()
    assert (~valid).sum() == 16  # its own four, and the ring that it would reach
    assert not valid[3:7, 5:9].any()


def test_the_edge_stands_alone_and_beyond_it_nothing_is_valid():
    fine, coarse = grid(10, 13, 10), grid(5, 6, 20)  # one column of 10 m more than 6 of 20 m
    pixels = noise(5, 6)
    found, valid = read_bilinear(fine, fine.window, coarse, reader(pixels))
    assert valid[:, :12].all()
    assert not valid[:, 12].any()
    np.testing.assert_array_equal(found[:, 0, 0], pixels[:, 0, 0])


def test_what_counts_as_the_same_place():
    fine = grid(100, 100, 10)
    assert is_coarser(grid(50, 50, 20), fine)
    assert is_coarser(grid(17, 17, 60), fine)
    assert not is_coarser(grid(100, 100, 10.04), fine)
    assert not is_coarser(grid(50, 50, 20, left=500_030), fine)
    assert not is_coarser(replace(grid(50, 50, 20), crs=CRS(32634)), fine)


@pytest.fixture
def two(tmp_path):
    sharp = makers.write(tmp_path / "10m.tif", noise(64, 80), names=("B02", "B03"))
    coarse = makers.write(
        tmp_path / "20m.tif", noise(32, 40, seed=1), names=("B05", "B11"), transform=FINE * Affine.scale(2),
        nodata=0,
    )  # fmt: skip
    return coarse, sharp


def test_a_scene_has_the_smallest_pixels(two):
    scene = open_scene(two)
    assert scene.grid.shape == (64, 80)
    assert scene.band_names == ("B05", "B11", "B02", "B03")
    assert any("2 times larger pixels" in note and "B05, B11" in note for note in scene.notes)
    pixels, valid = scene.read(scene.grid.window)
    with rasterio.open(two[1]) as file:
        np.testing.assert_array_equal(pixels[2:], file.read())
    for window in scene.grid.window.blocks(17, 23):
        part, held = scene.read(window)
        np.testing.assert_array_equal(part[:, held], pixels[:, *window.slices_in(scene.grid.window)][:, held])
        np.testing.assert_array_equal(held, valid[window.slices_in(scene.grid.window)])
    said = scene.fingerprint()
    assert said["bilinear"]["20m.tif"]["size"] == [32, 40]
    assert "bilinear" not in open_scene(two[1]).fingerprint()


def test_bands_of_the_larger_pixels_alone_keep_theirs(two):
    scene = open_scene(two, bands=["B05", "B11"])
    assert scene.grid.shape == (32, 40)
    assert not any(scene.coarser)


def test_another_place_is_refused(two, tmp_path):
    away = makers.write(
        tmp_path / "away.tif", noise(32, 40), transform=FINE * Affine.translation(40, 0) * Affine.scale(2)
    )
    with pytest.raises(InputError, match="not on one grid"):
        open_scene([two[1], away])
