"""Areas and lengths on the ellipsoid against pyproj's geodesics."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer

from geoseg.geometry import Grid, Window, pixel_areas
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.outlines.lengths import EdgeLengths
from tests.outlines.maps import frames, polygons_of, trace_chunked

GRIDS = {
    "utm": ("EPSG:32720", Affine(10, 0, 210_000, 0, -10, 9_010_000), 1000, 700),
    "degrees": ("EPSG:4326", Affine(0.00009, 0, -63.9, 0, -0.00009, -8.7), 900, 800),
    "web": ("EPSG:3857", Affine(1.194, 0, -8_500_000, 0, -1.194, 4_700_000), 800, 900),
    "albers": ("ESRI:102001", Affine(30, 0, -500_000, 0, -30, 2_000_000), 700, 900),
    "south up": ("EPSG:4326", Affine(0.01, 0, 10, 0, 0.01, 50), 300, 200),
    "coarse": ("EPSG:4326", Affine(0.25, 0, -20, 0, -0.25, 60), 300, 200),
}


@pytest.fixture(params=GRIDS)
def grid(request: pytest.FixtureRequest) -> Grid:
    crs, transform, height, width = GRIDS[request.param]
    return Grid(crs=CRS.from_user_input(crs), transform=transform, height=height, width=width)


def test_integer_areas_are_pixel_areas(grid: Grid) -> None:
    window = Window(37, 130, 150, 61)
    unit = area_unit(grid)
    areas = np.broadcast_to(integer_areas(grid, window, unit), window.shape)
    expected = np.broadcast_to(pixel_areas(grid, window) / unit, window.shape)
    np.testing.assert_allclose(areas, expected, atol=0.51, rtol=1e-14)


def test_integer_areas_do_not_depend_on_the_window(grid: Grid) -> None:
    unit = area_unit(grid)
    whole = np.broadcast_to(integer_areas(grid, Window(0, 0, 200, 150), unit), (200, 150))
    part = np.broadcast_to(integer_areas(grid, Window(61, 70, 99, 71), unit), (99, 71))
    assert np.array_equal(part, whole[61:160, 70:141])


def test_a_whole_grid_of_integers_does_not_overflow(grid: Grid) -> None:
    total = float(np.max(integer_areas(grid, Window(0, 0, grid.height, 1), area_unit(grid))))
    assert total * grid.height * grid.width < 2**62


def test_perimeters_are_geodesic(grid: Grid) -> None:
    a = np.full(grid.shape, 255, np.uint8)
    a[5:104, 11:110] = np.kron(frames(11), np.ones((9, 9), np.uint8))
    shapes = trace_chunked(a, 400, 400)
    made = EdgeLengths.of(grid).perimeters(shapes.rings)
    transformer = Transformer.from_crs(grid.crs, grid.crs.geodetic_crs, always_xy=True)
    geod = grid.crs.get_geod()
    for polygon, perimeter in zip(polygons_of(shapes.rings, grid.transform), made, strict=True):
        # a long straight edge on the map is no geodesic: measured pixel by pixel it is what the map shows
        fine = shapely.segmentize(polygon, abs(grid.transform.a) * 1.0001)
        expected = 0.0
        for ring in (fine.exterior, *fine.interiors):
            lon, lat = transformer.transform(*np.asarray(ring.coords).T)
            expected += geod.line_length(lon, lat)
        assert perimeter == pytest.approx(expected, rel=2e-5)
