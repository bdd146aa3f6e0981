"""Pixel areas against geodesic polygons of pyproj."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from geoseg.geometry import Grid, Window, decimals, pixel_areas
from geoseg.geometry.grid import to_geographic

# Where, in its own units: pixel size, top left corner.
PLACES: dict[str, tuple[str, float, float, float]] = {
    "degrees at the equator": ("EPSG:4326", 0.0001, -60.0, 0.01),
    "degrees in the north": ("EPSG:4326", 0.0003, 25.0, 68.0),
    "degrees in the south": ("EPSG:4326", 0.00025, -70.0, -45.0),
    "coarse degrees": ("EPSG:4326", 0.05, 10.0, 50.0),
    "Sentinel-2 in UTM": ("EPSG:32633", 10.0, 399_960.0, 5_000_040.0),
    "UTM at the zone's edge": ("EPSG:32633", 30.0, 820_000.0, 1_000_000.0),
    "web Mercator": ("EPSG:3857", 10.0, 1_500_000.0, 6_500_000.0),
    "Massachusetts in metres": ("EPSG:26986", 1.0, 230_000.0, 900_000.0),
    "New York in feet": ("EPSG:2263", 3.0, 990_000.0, 200_000.0),
    "polar stereographic": ("EPSG:3413", 30.0, -200_000.0, -2_000_000.0),
    "Mollweide": ("ESRI:54009", 100.0, -5_500_000.0, -1_000_000.0),
}


def test_decimals_tell_a_ten_thousandth_of_a_pixel() -> None:
    found = {}
    for side in (0.1, 1.0, 10.0, 5000.0):
        transform = Affine(side, 0, 500_000, 0, -side, 5_000_000)
        found[side] = decimals(Grid(crs=CRS.from_epsg(32633), transform=transform, height=2, width=2))
    assert found == {0.1: (10, 5), 1.0: (8, 4), 10.0: (6, 3), 5000.0: (4, 2)}


def grid_at(place: str, height: int = 700, width: int = 500) -> Grid:
    name, pixel, x, y = PLACES[place]
    return Grid(
        crs=CRS.from_user_input(name),
        transform=Affine(pixel, 0, x, 0, -pixel, y),
        height=height,
        width=width,
    )


def polygon_area(grid: Grid, window: Window, points: int = 4000) -> float:
    """Geodesic area of a window's outline, densified so that geodesics follow the grid's lines."""
    t = np.linspace(0, 1, points, endpoint=False)
    rows = window.row + window.height * np.concatenate([0 * t, t, 1 + 0 * t, 1 - t])
    cols = window.col + window.width * np.concatenate([t, 1 + 0 * t, 1 - t, 0 * t])
    to_geographic = Transformer.from_crs(grid.crs, grid.crs.geodetic_crs, always_xy=True)
    lon, lat = to_geographic.transform(*grid.corner(rows, cols))
    geod: Geod = grid.crs.get_geod()
    return abs(geod.polygon_area_perimeter(lon, lat)[0])


def summed(grid: Grid, window: Window) -> float:
    return float(np.broadcast_to(pixel_areas(grid, window), window.shape).sum())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("window", [Window(0, 0, 700, 500), Window(100, 300, 64, 64), Window(651, 77, 7, 90)])
def test_sums_equal_the_geodesic_polygon(place: str, window: Window) -> None:
    grid = grid_at(place)
    assert summed(grid, window) == pytest.approx(polygon_area(grid, window), rel=1e-7)


@pytest.mark.parametrize("place", ["Sentinel-2 in UTM", "web Mercator", "Massachusetts in metres"])
def test_pixels_of_ten_metres_are_as_exact_as_documented(place: str) -> None:
    grid = grid_at(place)
    assert summed(grid, grid.window) == pytest.approx(polygon_area(grid, grid.window, 8000), rel=1e-8)


@pytest.mark.parametrize(
    ("crs", "pixel", "x", "y", "within"),
    [
        ("ESRI:54009", 1_000.0, -6_000_000, 3_000_000, 2e-6),
        ("ESRI:54009", 5_000.0, -6_000_000, 3_000_000, 2e-6),
        ("EPSG:3857", 1_000.0, 1_000_000, 11_500_000, 1e-5),
        ("EPSG:3857", 5_000.0, 1_000_000, 11_500_000, 4e-5),
        ("EPSG:3857", 30_000.0, 1_000_000, 11_500_000, 1e-4),
        ("EPSG:3031", 500.0, -1_000_000, 2_000_000, 6e-6),
    ],
)
def test_coarse_pixels_are_as_exact_as_documented(
    crs: str, pixel: float, x: float, y: float, within: float
) -> None:
    side = int(min(500, 3_000_000 // pixel))
    grid = Grid(
        crs=CRS.from_user_input(crs),
        transform=Affine(pixel, 0, x, 0, -pixel, y),
        height=side,
        width=side,
    )
    for window in (grid.window, Window(side // 4, side // 3, side // 10 + 1, side // 9 + 1)):
        assert summed(grid, window) == pytest.approx(polygon_area(grid, window, 8000), rel=within)


@pytest.mark.parametrize("place", PLACES)
@given(data=st.data())
def test_a_pixel_has_one_area_through_any_window(place: str, data: st.DataObject) -> None:
    grid = grid_at(place, 200, 200)
    row, col = data.draw(st.integers(0, 199)), data.draw(st.integers(0, 199))
    window = Window(row, col, data.draw(st.integers(1, 200 - row)), data.draw(st.integers(1, 200 - col)))
    whole = np.broadcast_to(pixel_areas(grid, grid.window), grid.shape)
    part = np.broadcast_to(pixel_areas(grid, window), window.shape)
    np.testing.assert_array_equal(part, whole[window.slices_in(grid.window)])


@given(st.integers(0, 17), st.integers(0, 35))
def test_the_earth_is_covered_by_its_pixels(row: int, col: int) -> None:
    grid = Grid(crs=CRS(4326), transform=Affine(10, 0, -180, 0, -10, 90), height=18, width=36)
    total = summed(grid, grid.window)
    assert total == pytest.approx(510_065_621_724_088, rel=1e-9)  # WGS 84 ellipsoid, m²
    quarters = (
        Window(0, 0, row, 36),
        Window(row, 0, 18 - row, col),
        Window(row, col, 18 - row, 36 - col),
    )
    assert sum(summed(grid, w) for w in quarters) == pytest.approx(total, rel=1e-12)


def test_a_sphere_is_not_an_ellipsoid() -> None:
    crs = CRS.from_proj4("+proj=longlat +R=6371000 +no_defs")
    grid = Grid(crs=crs, transform=Affine(10, 0, -180, 0, -10, 90), height=18, width=36)
    assert summed(grid, grid.window) == pytest.approx(4 * np.pi * 6_371_000.0**2, rel=1e-12)


@pytest.mark.parametrize("code", [27561, 27572])  # France's older grids, whose latitudes are counted in grads
def test_grads_are_no_degrees(code: int) -> None:
    grid = Grid(crs=CRS(code), transform=Affine(10, 0, 600_000, 0, -10, 200_000), height=20, width=20)
    if code == 27572:
        grid = Grid(crs=CRS(code), transform=Affine(10, 0, 600_000, 0, -10, 2_400_000), height=20, width=20)
    assert summed(grid, grid.window) == pytest.approx(200**2, rel=3e-3)
    assert grid.ground_size == pytest.approx((10, 10), rel=2e-3)
    assert to_geographic(grid.crs).transform(600_000, grid.transform.f)[1] == pytest.approx(48.6, abs=1)


def test_south_up_grids_have_the_same_areas() -> None:
    for place in ("degrees in the north", "Sentinel-2 in UTM"):
        north = grid_at(place)
        x, y = north.corner(north.height, 0)
        t = north.transform
        south = Grid(
            crs=north.crs, transform=Affine(t.a, 0, x, 0, -t.e, y), height=north.height, width=north.width
        )
        a = np.broadcast_to(pixel_areas(north, north.window), north.shape)
        b = np.broadcast_to(pixel_areas(south, south.window), south.shape)
        np.testing.assert_allclose(b[::-1], a, rtol=1e-6)


def test_beyond_the_projection_there_is_no_ground() -> None:
    # Mollweide's ellipse ends at 18 040 096 m; this window lies in the corner outside it
    grid = Grid(
        crs=CRS.from_user_input("ESRI:54009"),
        transform=Affine(1000, 0, -18_000_000, 0, -1000, 9_000_000),
        height=100,
        width=100,
    )
    assert summed(grid, grid.window) == 0.0


def test_near_the_antimeridian_longitudes_do_not_jump() -> None:
    grid = Grid(crs=CRS(32601), transform=Affine(30, 0, 160_000, 0, -30, 1_000_000), height=200, width=200)
    assert summed(grid, grid.window) == pytest.approx(polygon_area(grid, grid.window), rel=1e-6)
