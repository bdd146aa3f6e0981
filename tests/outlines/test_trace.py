"""Polygons from chunks are the polygons of the whole raster."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from tests.outlines.maps import (
    NORTH_UP,
    SHAPES,
    Traced,
    class_maps,
    frames,
    geometry_set,
    polygons_of,
    trace_chunked,
    whole_raster_answer,
)

chunk_sides = st.tuples(st.integers(1, 15), st.integers(1, 15))


def answer(shapes: Traced) -> list[tuple[int, bytes]]:
    return geometry_set(shapes.regions["class_id"], polygons_of(shapes.rings))


@settings(max_examples=150)
@given(a=class_maps(), sides=chunk_sides)
def test_equal_to_rasterio_on_the_whole_raster_for_any_chunks(a: np.ndarray, sides: tuple[int, int]) -> None:
    assert answer(trace_chunked(a, *sides)) == whole_raster_answer(a)


@settings(max_examples=100)
@given(a=class_maps(), sides=chunk_sides)
def test_order_and_bytes_do_not_depend_on_the_chunks(a: np.ndarray, sides: tuple[int, int]) -> None:
    one, many = trace_chunked(a, *a.shape), trace_chunked(a, *sides)
    for name in one.regions.dtype.names:
        assert np.array_equal(one.regions[name], many.regions[name]), name
    assert np.array_equal(one.rings.points, many.rings.points)
    assert np.array_equal(one.rings.ring_offsets, many.rings.ring_offsets)
    assert np.array_equal(one.rings.polygon_offsets, many.rings.polygon_offsets)


@settings(max_examples=100)
@given(a=class_maps(), sides=chunk_sides)
def test_valid_with_exteriors_counter_clockwise_and_holes_clockwise(
    a: np.ndarray, sides: tuple[int, int]
) -> None:
    for polygon in polygons_of(trace_chunked(a, *sides).rings):
        assert shapely.is_valid(polygon), shapely.is_valid_reason(polygon)
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


@settings(max_examples=100)
@given(a=class_maps(), sides=chunk_sides)
def test_rasterized_again_it_is_the_map_and_areas_are_pixels(a: np.ndarray, sides: tuple[int, int]) -> None:
    shapes = trace_chunked(a, *sides)
    polygons = polygons_of(shapes.rings)
    assert [p.area for p in polygons] == shapes.regions["pixels"].tolist()
    assert shapes.regions["pixels"].sum() == (a != 255).sum()
    if polygons:
        pairs = list(zip(polygons, shapes.regions["class_id"].tolist(), strict=True))
        back = rasterize(pairs, out_shape=a.shape, fill=255, transform=NORTH_UP, dtype="uint8")
        assert np.array_equal(back, a)


@pytest.mark.parametrize("name", SHAPES)
def test_named_shapes_for_every_chunk_side(name: str) -> None:
    a = SHAPES[name]
    expected = whole_raster_answer(a)
    for rows in range(1, a.shape[0] + 1):
        for cols in range(1, a.shape[1] + 1):
            assert answer(trace_chunked(a, rows, cols)) == expected, (rows, cols)


def test_corners_are_joined_within_a_region_and_not_between_regions() -> None:
    # the two 1s on the left touch at a corner and nowhere else; those on the right hang together around the 0
    a = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 1, 1]], np.uint8)
    for sides in ((3, 5), (1, 1), (2, 2), (1, 4)):
        ones = [
            p
            for p, i in zip(
                polygons_of(trace_chunked(a, *sides).rings),
                trace_chunked(a, *sides).regions["class_id"],
                strict=True,
            )
            if i == 1
        ]
        assert sorted(p.area for p in ones) == [1, 1, 5]


def test_a_hole_that_touches_the_exterior_at_a_corner_is_a_hole() -> None:
    a = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    (one,) = (
        p
        for p, i in zip(
            polygons_of(trace_chunked(a, 1, 1).rings), trace_chunked(a, 1, 1).regions["class_id"], strict=True
        )
        if i == 1
    )
    assert one.is_valid
    assert len(one.interiors) == 1
    assert one.area == 7


def test_order_is_last_row_then_first_pixel() -> None:
    regions = trace_chunked(frames(12), 5, 4).regions
    keys = list(zip(regions["row_end"].tolist(), regions["first"].tolist(), strict=True))
    assert keys == sorted(keys)


@pytest.mark.parametrize("chunk", [1800, 997, 640, 300, 128])
def test_forest_change_map(shared_data: object, chunk: int) -> None:
    import rasterio

    with rasterio.open(f"{shared_data}/forest_change_guadeloupe/fcc123_GLP.tif") as source:
        a = source.read(1)[900:2100, 700:2300]
    a[a == 0] = 255
    assert answer(trace_chunked(a, chunk, chunk)) == _reference("forest", a)


@pytest.mark.parametrize("sides", [(222, 392), (100, 100), (64, 64), (17, 53), (1, 392)])
def test_land_use_map(shared_data: object, sides: tuple[int, int]) -> None:
    import rasterio

    path = sorted((shared_data / "mt_landuse_annual_maps" / "rasterItanhanga").glob("*.tif"))[-1]  # type: ignore[operator]
    with rasterio.open(path) as source:
        a = source.read(1)
    assert answer(trace_chunked(a, *sides)) == _reference("land use", a)


@pytest.mark.parametrize("sides", [(1500, 1500), (700, 1500), (512, 512), (333, 777), (256, 256)])
def test_land_cover_crop(shared_data: object, sides: tuple[int, int]) -> None:
    a = _land_cover(shared_data)[3000:4500, 4000:5500]
    assert answer(trace_chunked(a, *sides)) == _reference("land cover crop", a)


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(7168, 8704), (2048, 2048), (1024, 4096), (512, 8704), (1111, 777)])
def test_land_cover_whole(shared_data: object, sides: tuple[int, int]) -> None:
    a = _land_cover(shared_data)
    assert answer(trace_chunked(a, *sides)) == _reference("land cover", a)


def _land_cover(shared_data: object) -> np.ndarray:
    import rasterio

    with rasterio.open(f"{shared_data}/landcover_maps_large/chesapeake_lc_palette_7168x8704.tif") as source:
        a: np.ndarray = source.read(1)
    a[a == 0] = 255
    return a


_ANSWERS: dict[str, list[tuple[int, bytes]]] = {}


def _reference(name: str, a: np.ndarray) -> list[tuple[int, bytes]]:
    if name not in _ANSWERS:
        _ANSWERS[name] = whole_raster_answer(a)
    return _ANSWERS[name]


def test_affine_is_applied_last() -> None:
    transform = Affine(10, 0, 500_000, 0, -10, 9_000_000)
    a = SHAPES["frames"]
    shapes = trace_chunked(a, 4, 4)
    made = geometry_set(shapes.regions["class_id"], polygons_of(shapes.rings, transform))
    assert made == whole_raster_answer(a, transform)
