"""Grids: where pixels lie, against rasterio and pyproj."""

from __future__ import annotations

import re

import numpy as np
import pytest
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import CRS, Geod
from rasterio.windows import Window as RioWindow
from rasterio.windows import transform as window_transform

from geoseg.geometry import Grid, Window, pixel_index

from .strategies import windows


def grid(
    epsg: int = 32633, x: float = 500_000.0, y: float = 5_000_000.0, dx: float = 10.0, dy: float = -10.0
) -> Grid:
    return Grid(crs=CRS(epsg), transform=Affine(dx, 0, x, 0, dy, y), height=300, width=200)


@given(windows())
def test_crop_agrees_with_rasterio(window: Window) -> None:
    g = grid()
    crop = g.crop(window)
    expected = window_transform(RioWindow(window.col, window.row, window.width, window.height), g.transform)
    assert crop.shape == window.shape
    assert crop.transform.almost_equals(expected, precision=1e-6)


@given(windows(low=0), st.floats(0, 100), st.floats(0, 100))
def test_pixels_stay_where_they_are_in_a_crop(window: Window, row: float, col: float) -> None:
    g = grid()
    np.testing.assert_allclose(
        g.crop(window).corner(row, col), g.corner(row + window.row, col + window.col), rtol=0, atol=1e-6
    )


@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(-50, 400)), min_size=1, max_size=9))
def test_pixel_index_undoes_corner(points: list[tuple[float, float]]) -> None:
    g = grid(dy=7.5)
    rows, cols = np.array(points).T
    back = pixel_index(g, *g.corner(rows, cols))
    np.testing.assert_allclose(back, (rows, cols), rtol=0, atol=1e-6)


def test_bounds_are_ordered_for_north_up_and_south_up() -> None:
    assert grid().bounds == (500_000, 4_997_000, 502_000, 5_000_000)
    assert grid(dy=10.0).bounds == (500_000, 5_000_000, 502_000, 5_003_000)


@pytest.mark.parametrize(("dx", "dy"), [(10.0, -10.0), (30.0, -20.0), (10.0, 10.0)])
def test_ground_size_in_utm_is_the_pixel_over_the_scale_factor(dx: float, dy: float) -> None:
    # on the central meridian of a UTM zone the map is 0.9996 of the ground
    width, height = grid(dx=dx, dy=dy, x=500_000 - 100 * dx).ground_size
    assert width == pytest.approx(abs(dx) / 0.9996, rel=1e-5)
    assert height == pytest.approx(abs(dy) / 0.9996, rel=1e-5)


def test_ground_size_in_degrees_is_metres() -> None:
    step = 0.0001
    g = Grid(crs=CRS(4326), transform=Affine(step, 0, -60.0, 0, -step, -10.0), height=100, width=100)
    _, _, across = Geod(ellps="WGS84").inv(-60.0, -10.005, -60.0 + step, -10.005)
    _, _, down = Geod(ellps="WGS84").inv(-60.0, -10.005, -60.0, -10.005 - step)
    assert g.ground_size == (pytest.approx(across, rel=1e-4), pytest.approx(down, rel=1e-4))


def test_ground_size_in_feet_is_metres() -> None:
    g = Grid(crs=CRS(2263), transform=Affine(10, 0, 990_000, 0, -10, 200_000), height=100, width=100)
    assert g.ground_size == (pytest.approx(3.048, rel=1e-3), pytest.approx(3.048, rel=1e-3))


def test_equal_grids_have_no_difference() -> None:
    assert grid().difference(grid()) is None
    # rounding of a written transform is not a difference
    assert grid().difference(grid(x=500_000.0000001)) is None


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (grid(epsg=32634), "CRS .*33N against .*34N"),
        (grid(x=500_005.0), r"corner \(row 0, column 0\)"),
        (grid(dx=10.001), r"corner \(row 300, column 200\)"),
        (grid().crop(Window(0, 0, 300, 199)), "size 300 x 200 against 300 x 199"),
    ],
)
def test_the_first_difference_is_named(other: Grid, says: str) -> None:
    assert re.search(says, grid().difference(other) or "")


@given(st.floats(-0.3, 0.3))
def test_a_visible_shift_is_a_difference(shift: float) -> None:
    assume(abs(shift) > 0.02)
    assert grid().difference(grid(y=5_000_000.0 + 10 * shift))
