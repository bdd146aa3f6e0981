"""Sampling one grid on another: GDAL as oracle, chunks cannot move a pixel, memory stays bounded."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.warp import Resampling, reproject

from geoseg.geometry import Grid, Window, alignment
from geoseg.geometry.alignment import nearest_pixels, sample_nearest


def grid_of(crs, transform, height, width):
    return Grid(crs=CRS.from_user_input(crs), transform=transform, height=height, width=width)


MAP = grid_of("EPSG:32720", Affine(30, 0, 400_000, 0, -30, 9_000_000), 90, 120)
SOURCES = {
    "same": MAP,
    "finer": grid_of("EPSG:32720", Affine(10, 0, 399_990, 0, -10, 9_000_020), 280, 380),
    "coarser": grid_of("EPSG:32720", Affine(70, 0, 400_100, 0, -70, 8_999_900), 30, 40),
    "south-up": grid_of("EPSG:32720", Affine(30, 0, 400_000, 0, 30, 8_997_300), 90, 120),
    "geographic": grid_of("EPSG:4326", Affine(0.0003, 0, -63.92, 0, -0.0003, -9.04), 130, 150),
    "next zone": grid_of("EPSG:32719", Affine(30, 0, 1_060_000, 0, -30, 8_998_000), 170, 200),
}


def coordinates_image(grid):
    """Labels that tell neighbours apart: a pixel that moved shows."""
    row, col = np.indices(grid.shape)
    return ((row * 31 + col * 7) % 251).astype(np.uint8)


def reader(image, log=None):
    def read(window):
        if log is not None:
            log.append(window.area)
        return image[window.row : window.row_end, window.col : window.col_end]

    return read


@pytest.mark.parametrize("name", SOURCES)
def test_equals_the_warp_of_gdal(name):
    source = SOURCES[name]
    image = coordinates_image(source)
    ours = sample_nearest(MAP, MAP.window, source, reader(image), fill=255)
    theirs = np.full(MAP.shape, 255, np.uint8)
    with rasterio.Env():
        reproject(
            image,
            theirs,
            src_transform=source.transform,
            src_crs=source.crs.to_wkt(),
            dst_transform=MAP.transform,
            dst_crs=MAP.crs.to_wkt(),
            resampling=Resampling.nearest,
            src_nodata=None,
            dst_nodata=255,
            init_dest_nodata=True,
            tolerance=0.0,
        )
    assert (ours != 255).mean() > 0.1
    # ties and the last source row are GDAL's own choice: a pixel in a thousand may differ
    assert (ours != theirs).mean() <= 0.001


@given(name=st.sampled_from(sorted(SOURCES)), height=st.integers(1, 50), width=st.integers(1, 50))
def test_no_window_moves_a_pixel(name, height, width):
    source = SOURCES[name]
    read = reader(coordinates_image(source))
    whole = sample_nearest(MAP, MAP.window, source, read, fill=255)
    pieces = np.zeros_like(whole)
    for block in MAP.window.blocks(height * 3, width * 3):
        pieces[block.slices_in(MAP.window)] = sample_nearest(MAP, block, source, read, fill=255)
    assert np.array_equal(pieces, whole)


@pytest.mark.parametrize("name", ["geographic", "next zone"])
def test_interpolated_positions_are_within_a_hundredth_of_a_pixel(name):
    source = SOURCES[name]
    transformer = Transformer.from_crs(MAP.crs, source.crs, always_xy=True)
    rows, cols = alignment._interpolated(MAP, MAP.window, source, transformer)
    r, c = np.indices(MAP.shape) + 0.5
    exact = alignment._exact(MAP, r, c, source, transformer)
    assert np.abs(rows - exact[0]).max() < 0.01
    assert np.abs(cols - exact[1]).max() < 0.01


def test_a_much_finer_source_is_read_in_bounded_pieces(monkeypatch):
    monkeypatch.setattr(alignment, "_MOST_SOURCE_PIXELS", 1000)
    source = SOURCES["finer"]
    sizes = []
    image = coordinates_image(source)
    small = sample_nearest(MAP, MAP.window, source, reader(image, sizes), fill=255)
    monkeypatch.undo()
    assert max(sizes) <= 1000
    assert np.array_equal(small, sample_nearest(MAP, MAP.window, source, reader(image), fill=255))


def test_only_what_lies_under_the_window_is_read():
    read_sizes = []
    source = SOURCES["finer"]
    sample_nearest(MAP, Window(10, 20, 5, 5), source, reader(coordinates_image(source), read_sizes), fill=255)
    assert sum(read_sizes) <= 15 * 15


def test_antimeridian_and_longitudes_from_0_to_360():
    fiji = grid_of("EPSG:32760", Affine(500, 0, 700_000, 0, -500, 8_200_000), 200, 500)
    west = grid_of("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90), 360, 720)
    east = grid_of("EPSG:4326", Affine(0.5, 0, 0, 0, -0.5, 90), 360, 720)
    image = coordinates_image(west)
    turned = np.roll(image, 360, axis=1)
    one = sample_nearest(fiji, fiji.window, west, reader(image), fill=255)
    other = sample_nearest(fiji, fiji.window, east, reader(turned), fill=255)
    assert (one != 255).all()
    assert np.array_equal(one, other)


def test_nothing_under_the_map_is_all_fill():
    far = grid_of("EPSG:32720", Affine(30, 0, 100_000, 0, -30, 1_000_000), 10, 10)
    rows, _ = nearest_pixels(MAP, MAP.window, far)
    assert (rows < 0).all()
    assert (sample_nearest(MAP, MAP.window, far, reader(coordinates_image(far)), fill=255) == 255).all()
