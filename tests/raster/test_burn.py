from __future__ import annotations

import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS, Transformer
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize

from geoseg.errors import InputError
from geoseg.geometry import Grid, Window
from geoseg.raster.burn import SNAP, burn, burn_mask, read_vector, to_pixel_coordinates
from geoseg.raster.opening import open_scene

WHOLE = Window(0, 0, 40, 50)
GRID = Grid(crs=CRS(32633), transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), height=400, width=500)

# corners on pixel centres, edges and anywhere: the first two make every tie there is
_number = st.integers(-10, 120).map(lambda n: n / 2) | st.floats(-5, 60, allow_nan=False, width=32)
_polygon = st.lists(st.tuples(_number, _number), min_size=3, max_size=7).map(shapely.Polygon)


@given(
    st.lists(st.tuples(_polygon, st.integers(1, 9)), max_size=4),
    st.integers(6, 50),
    st.integers(6, 50),
    st.booleans(),
)
def test_chunks_cannot_move_a_pixel(
    shapes: list[tuple[shapely.Polygon, int]], height: int, width: int, touched: bool
) -> None:
    whole = burn(shapes, WHOLE, fill=0, dtype="uint8", all_touched=touched)
    for window in WHOLE.blocks(height, width):
        part = burn(shapes, window, fill=0, dtype="uint8", all_touched=touched)
        assert np.array_equal(part, whole[window.slices_in(WHOLE)])


@given(st.lists(st.tuples(_polygon, st.integers(1, 9)), min_size=1, max_size=4))
def test_the_whole_is_what_rasterio_burns(shapes: list[tuple[shapely.Polygon, int]]) -> None:
    snapped = [(shapely.transform(g, lambda xy: np.round(xy / SNAP) * SNAP), v) for g, v in shapes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        oracle = rasterize(snapped, out_shape=WHOLE.shape, fill=0, dtype="uint8")
    assert np.array_equal(burn(shapes, WHOLE, fill=0, dtype="uint8"), oracle)


def test_far_out_in_a_large_scene_nothing_changes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((40, 5, 2)) * 300
    shapes = [(shapely.Polygon(c), i + 1) for i, c in enumerate(corners)]
    here = burn(shapes, Window(0, 0, 300, 300), fill=0, dtype="uint8")
    moved = [(shapely.transform(g, lambda xy: xy + np.array([90_000, 70_000])), v) for g, v in shapes]
    there = burn(moved, Window(70_000, 90_000, 300, 300), fill=0, dtype="uint8")
    assert (here != there).mean() < 1e-4  # corners lose bits far out; what is left must not depend on windows
    for window in Window(70_000, 90_000, 300, 300).blocks(77, 131):
        part = burn(moved, window, fill=0, dtype="uint8")
        assert np.array_equal(part, there[window.slices_in(Window(70_000, 90_000, 300, 300))])


@given(_polygon.filter(lambda p: p.is_valid))
def test_touched_pixels_share_area_with_the_shape(polygon: shapely.Polygon) -> None:
    polygon = shapely.transform(polygon, lambda xy: np.round(xy * 8) / 8)
    if not polygon.is_valid:
        return
    rows, cols = np.indices(WHOLE.shape)
    pixels = shapely.box(cols, rows, cols + 1, rows + 1)
    shared = shapely.area(shapely.intersection(pixels, polygon))
    touched = burn_mask([polygon], WHOLE, all_touched=True)
    assert touched[shared > 1e-9].all()
    assert not touched[shapely.distance(pixels, polygon) > 0].any()


def test_later_shapes_cover_earlier_ones_and_holes_stay_open() -> None:
    ring = shapely.box(0, 0, 10, 10) - shapely.box(3, 3, 7, 7)
    out = burn([(ring, 1), (shapely.box(8, 0, 12, 10), 2)], Window(0, 0, 10, 12), fill=255, dtype="uint8")
    assert out[5, 5] == 255
    assert out[0, 7] == 1
    assert out[0, 8] == 2
    assert (out == 1).sum() == 10 * 8 - 16


def test_nothing_to_burn() -> None:
    assert (burn([], WHOLE, fill=9, dtype="int16") == 9).all()
    empty = [(shapely.from_wkt("POLYGON EMPTY"), 1), (None, 2), (shapely.box(900, 900, 901, 901), 3)]
    assert (burn(empty, WHOLE, fill=9, dtype="uint8") == 9).all()
    assert not burn_mask([], WHOLE).any()
    assert burn_mask([shapely.box(1, 2, 3, 4)], WHOLE).sum() == 4
    assert burn_mask([shapely.box(1.6, 2.6, 3.4, 4.4)], WHOLE, all_touched=True).sum() == 9


@pytest.mark.parametrize(("value", "fill"), [(256, 0), (-1, 0), (1, 300), (1.5, 0)])
def test_values_that_do_not_fit_are_not_clamped(value: float, fill: float) -> None:
    with pytest.raises(ValueError, match="does not fit uint8"):
        burn([(shapely.box(0, 0, 1, 1), value)], WHOLE, fill=fill, dtype="uint8")


def _frame(geometries: list[shapely.Geometry], crs: object) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame({"name": range(len(geometries))}, geometry=geometries, crs=crs)


def test_the_same_crs_is_only_scaled() -> None:
    frame = _frame([shapely.box(500_000, 4_999_950, 500_030, 5_000_000)], 32633)
    pixels = to_pixel_coordinates(frame, GRID)
    assert pixels.geometry.iloc[0].bounds == (0, 0, 3, 5)
    assert list(pixels["name"]) == [0]
    assert pixels.crs is None


@pytest.mark.parametrize("crs", [4326, 3857, 3035, 32632])
def test_another_crs_lands_on_the_same_pixels(crs: int) -> None:
    """A long thin triangle, drawn in the other CRS: every edge pixel is checked point by point."""
    forward = Transformer.from_crs(32633, crs, always_xy=True)
    x, y = forward.transform([500_100, 504_900, 503_000], [4_999_900, 4_999_000, 4_996_300])
    drawn = shapely.Polygon(zip(x, y, strict=True))
    pixels = to_pixel_coordinates(_frame([drawn], crs), GRID)
    mask = burn_mask(list(pixels.geometry), GRID.window)
    col, row = np.meshgrid(np.arange(500) + 0.5, np.arange(400) + 0.5)
    u, v = forward.transform(500_000 + 10 * col, 5_000_000 - 10 * row)
    exact = shapely.contains_xy(drawn, u, v)
    assert mask.sum() > 50_000
    assert (mask != exact).sum() <= 3  # centres within a thousandth of a pixel of the edge


def test_a_country_around_the_scene_covers_it() -> None:
    world = _frame([shapely.box(-180, -90, 180, 90)], 4326)
    assert burn_mask(list(to_pixel_coordinates(world, GRID).geometry), GRID.window).all()
    half = _frame([shapely.box(-170, -80, 15.03, 80)], 4326)
    mask = burn_mask(list(to_pixel_coordinates(half, GRID).geometry), GRID.window)
    east, _ = Transformer.from_crs(32633, 4326, always_xy=True).transform(
        500_005 + 10 * np.arange(500), np.full(500, 4_998_000.0)
    )
    assert np.array_equal(mask[200], east < 15.03)


def test_features_elsewhere_stay_elsewhere() -> None:
    frame = _frame([shapely.box(14.99, 45.13, 15.02, 45.14), shapely.box(-170, 10, -169, 11)], 4326)
    pixels = to_pixel_coordinates(frame, GRID)
    assert len(pixels) == 2
    assert (
        burn([(g, i + 1) for i, g in enumerate(pixels.geometry)], GRID.window, fill=0, dtype="uint8").max()
        == 1
    )


def test_nothing_that_can_be_projected() -> None:
    swapped = _frame([shapely.box(5_000_000, 500_000, 5_000_100, 500_100)], 4326)
    with pytest.raises(InputError, match="axes are not swapped"):
        to_pixel_coordinates(swapped, GRID)
    with pytest.raises(InputError, match="without a coordinate reference system"):
        to_pixel_coordinates(_frame([shapely.box(0, 0, 1, 1)], None), GRID)


@pytest.mark.parametrize("through", [None, 4326])
def test_real_buildings(shared_data: Path, through: int | None) -> None:
    folder = shared_data / "nrcan_aerial_vectors" / "massachusetts"
    scene = open_scene(folder / "22978945_15.tif")
    frame = read_vector(folder / "massachusetts_buildings.gpkg")
    oracle = rasterize(
        [(g, 1) for g in frame.to_crs(scene.grid.crs).geometry],
        out_shape=scene.grid.shape,
        transform=scene.grid.transform,
        dtype="uint8",
    )
    pixels = to_pixel_coordinates(frame if through is None else frame.to_crs(through), scene.grid)
    assert oracle.sum() > 10_000
    assert np.array_equal(burn_mask(list(pixels.geometry), scene.grid.window), oracle == 1)
    with rasterio.open(folder / "22978945_15.tif") as file:
        assert file.shape == scene.grid.shape
