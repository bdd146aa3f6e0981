"""Simplified borders stay shared: no gap, no overlap, nothing crosses, the same for any chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from geoseg.outlines.coverage import AREA_PIXELS, AREA_SHARE, Generalization
from geoseg.outlines.lengths import doubled_areas
from geoseg.outlines.seams import Rings, joined_rings
from geoseg.outlines.shapes import shapes_of
from geoseg.outlines.stream import stream_shapes
from tests.outlines.maps import SHAPES, Traced, class_maps, polygons_of

NODATA_AS_CLASS = 77


def simplified(
    a: np.ndarray,
    g: Generalization | None,
    rows: int = 1,
    cols: int = 1,
    most_corners: int | None = None,
    nodata: int = 255,
) -> Traced:
    """All polygons of a map read in chunks of rows x cols cells; of the whole map by default."""
    height, width = a.shape
    cell = g.cell if g else max(a.shape)
    rows, cols = (rows * cell, cols * cell) if rows * cols > 1 else (-(-n // cell) * cell for n in a.shape)
    padded = np.pad(a, 1, constant_values=nodata)
    chunks = (
        shapes_of(
            padded[r : r + min(rows, height - r) + 2, c : c + min(cols, width - c) + 2].copy(),
            row=r,
            col=c,
            scene_width=width,
            generalization=g,
            nodata=nodata,
        )
        for r in range(0, height, rows)
        for c in range(0, width, cols)
    )
    shapes = stream_shapes(
        chunks, -(-width // cols), most_corners=most_corners, scale=None if g is None else g.scale
    )
    parts = [s.part(0, len(s.regions)) for s in shapes]
    return Traced(
        regions=np.concatenate([regions for regions, _ in parts]),
        rings=joined_rings([rings for _, rings in parts]),
    )


def in_pixels(made: Traced, g: Generalization) -> np.ndarray:
    """Polygons in pixel corners: x = column, y = -row."""
    polygons = np.array(polygons_of(made.rings), object)
    return shapely.transform(polygons, lambda xy: xy / g.scale)


def with_nodata(a: np.ndarray) -> np.ndarray:
    """The same map with nodata as one more class, so that its polygons leave no gap."""
    return np.where(a == 255, NODATA_AS_CLASS, a).astype(np.uint8)


@st.composite
def rough_maps(draw: st.DrawFn) -> np.ndarray:
    """Class maps that hurt, and smooth blobs whose borders have many steps."""
    if draw(st.booleans()):
        return draw(class_maps(most=24))
    shape = draw(st.tuples(st.integers(2, 40), st.integers(2, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    field = gaussian_filter(rng.random(shape), draw(st.sampled_from([0.7, 1.5, 3.0])))
    a = np.digitize(field, np.quantile(field, [0.25, 0.5, 0.8])).astype(np.uint8)
    if draw(st.booleans()):
        a.ravel()[rng.integers(0, a.size, a.size // 20)] = 255
    return a


def few_cells(a: np.ndarray, g: Generalization) -> np.ndarray:
    """What lies in the first ten cells down and across: each takes a millisecond, however small it is."""
    return np.ascontiguousarray(a[: 10 * g.cell, : 10 * g.cell])


@dataclass(frozen=True)
class Ways:
    """How to simplify, and in which chunks."""

    g: Generalization
    rows: int
    cols: int
    tolerance: float


@st.composite
def ways(draw: st.DrawFn, **fixed: Any) -> Ways:
    tolerance = draw(st.sampled_from([0.4, 0.75, 1.0, 1.6, 3.0, 12.0]))
    options = {
        "rounds": draw(st.integers(0, 3)),
        "method": draw(st.sampled_from(["visvalingam", "douglas-peucker"])),
        "thins": draw(st.sampled_from([True, True, True, False])),
        "cell": draw(st.sampled_from([1, 2, 3, 5, 8, 17, 64])),
        "squares": draw(st.sampled_from([(), (), (1,), (0, 2)])),
        **fixed,
    }
    squash = draw(st.sampled_from([1.0, 1.0, 0.6]))
    return Ways(
        g=Generalization(down=1 / tolerance, across=squash / tolerance, **options),
        rows=draw(st.integers(1, 5)),
        cols=draw(st.integers(1, 5)),
        tolerance=tolerance,
    )


@settings(max_examples=100)
@given(a=rough_maps(), way=ways())
def test_a_valid_coverage_without_gap_or_overlap(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    made = simplified(with_nodata(a), way.g)
    polygons = np.array(polygons_of(made.rings), object)
    assert shapely.is_valid(polygons).all()
    assert (shapely.area(polygons) > 0).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == a.size * way.g.scale**2
    whole = shapely.normalize(shapely.coverage_union_all(polygons))
    height, width = (n * way.g.scale for n in a.shape)
    assert whole.equals(shapely.box(0, -height, width, 0))


@settings(max_examples=100)
@given(a=rough_maps(), way=ways(), most=st.integers(1, 30))
def test_cut_regions_are_a_valid_coverage_too(a: np.ndarray, way: Ways, most: int) -> None:
    a = few_cells(a, way.g)
    made = simplified(with_nodata(a), way.g, way.rows, way.cols, most)
    polygons = np.array(polygons_of(made.rings), object)
    assert shapely.is_valid(polygons).all()
    assert (shapely.area(polygons) > 0).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == a.size * way.g.scale**2


@settings(max_examples=100)
@given(a=rough_maps(), way=ways())
def test_valid_with_nodata_left_out(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    made = simplified(a, way.g)
    polygons = np.array(polygons_of(made.rings), object)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert len(made.regions) == len(polygons)
    assert (doubled_areas(made.rings) == 2 * shapely.area(polygons)).all()
    for polygon in polygons:
        assert polygon.exterior.is_ccw
        assert not any(hole.is_ccw for hole in polygon.interiors)


@settings(max_examples=100)
@given(a=rough_maps(), way=ways())
def test_the_same_for_any_chunks(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    one, many = simplified(a, way.g), simplified(a, way.g, way.rows, way.cols)
    assert np.array_equal(one.regions, many.regions)
    assert np.array_equal(one.rings.points, many.rings.points)
    assert np.array_equal(one.rings.ring_offsets, many.rings.ring_offsets)
    assert np.array_equal(one.rings.polygon_offsets, many.rings.polygon_offsets)


@settings(max_examples=100)
@given(a=rough_maps(), way=ways())
def test_both_sides_of_a_border_are_the_same_edges(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    made = simplified(with_nodata(a), way.g)
    edges = np.sort(undirected_edges(made.rings).view("i8,i8").ravel())
    _, times = np.unique(edges, return_counts=True)
    outer = edges_on_the_frame(undirected_edges(made.rings), a.shape, way.g.scale)
    assert (times <= 2).all()
    assert (times == 1).sum() == outer


def undirected_edges(rings: Rings) -> np.ndarray:
    """(n, 2) int64: both ends of every edge as one number each, the smaller first."""
    keys = rings.points[:, 0].astype(np.int64) << 32 | rings.points[:, 1]
    after = np.arange(1, len(keys) + 1)
    after[rings.ring_offsets[1:] - 1] = rings.ring_offsets[:-1]
    return np.sort(np.column_stack([keys, keys[after]]), axis=1)


def edges_on_the_frame(edges: np.ndarray, shape: tuple[int, ...], scale: int) -> int:
    rows, cols = edges >> 32, edges & 0xFFFFFFFF
    on = [(v == at * scale).all(axis=1) for v, n in ((rows, shape[0]), (cols, shape[1])) for at in (0, n)]
    return int(np.any(on, axis=0).sum())


@settings(max_examples=60)
@given(a=rough_maps(), way=ways(squares=()))
def test_no_border_moves_farther_than_stated(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    made, exact = simplified(a, way.g), simplified(a, None)
    thinning = way.tolerance if way.g.thins else 0.0
    rounding = way.tolerance / 2 if way.g.rounds else 0.0
    stretched = np.array([way.g.across, way.g.down]) * way.tolerance
    for new, old in zip(in_pixels(made, way.g), polygons_of(exact.rings), strict=True):
        one, other = (shapely.transform(g, lambda xy: xy * stretched).boundary for g in (new, old))
        assert shapely.hausdorff_distance(one, other, densify=0.2) <= thinning + rounding + 1e-9


@settings(max_examples=60)
@given(a=rough_maps(), way=ways(rounds=0, cell=64, squares=()))
def test_vertices_are_exact_corners_and_never_more(a: np.ndarray, way: Ways) -> None:
    a = few_cells(a, way.g)
    made = simplified(a, way.g)
    noded = simplified(a, Generalization(down=1, across=1, thins=False, cell=way.g.cell))
    assert len(made.rings.points) <= len(noded.rings.points)
    assert {*map(tuple, made.rings.points)} <= {*map(tuple, noded.rings.points)}


@settings(max_examples=60)
@given(a=rough_maps(), cell=st.sampled_from([1, 4, 9, 64]))
def test_noded_but_not_thinned_it_is_the_exact_map(a: np.ndarray, cell: int) -> None:
    g = Generalization(down=1, across=1, thins=False, cell=cell)
    a = few_cells(a, g)
    made, exact = simplified(a, g), simplified(a, None)
    pairs = zip(polygons_of(made.rings), polygons_of(exact.rings), strict=True)
    assert all(one.equals(other) for one, other in pairs)
    assert np.array_equal(doubled_areas(made.rings), 2 * exact.regions["pixels"])


@pytest.mark.parametrize("method", ["visvalingam", "douglas-peucker"])
def test_a_long_staircase_becomes_a_line(method: Any) -> None:
    i, j = np.indices((60, 60))
    a = (j > 2 * i).astype(np.uint8)
    made = simplified(a, Generalization(down=1, across=1, method=method))
    assert len(made.rings.points) <= 12
    assert len(simplified(a, None).rings.points) > 120


def test_peucker_keeps_what_shapely_keeps_on_a_lone_border() -> None:
    rng = np.random.default_rng(5)
    walk = np.clip(40 + np.cumsum(rng.integers(-2, 3, 200)), 5, 95)
    a = (np.arange(100)[:, None] >= walk).astype(np.uint8)

    def border(g: Generalization | None) -> np.ndarray:
        # the upper polygon's ring: its first corner, down the left edge, along the border, up again
        return np.array(polygons_of(simplified(a, g).rings)[0].exterior.coords)[1:-2]

    made = border(Generalization(down=1 / 2.5, across=1 / 2.5, method="douglas-peucker"))
    # of two corners equally far the first counts, so the direction matters
    line = shapely.LineString(border(None))
    expected = [
        {*shapely.simplify(one, 2.5, preserve_topology=False).coords} for one in (line, line.reverse())
    ]
    assert any(corners <= {*map(tuple, made.tolist())} for corners in expected)
    assert len(made) <= 1.2 * len(expected[0])


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), sigma=st.sampled_from([1.0, 2.0, 4.0]))
def test_class_areas_stay(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((160, 160)), sigma)
    a = np.digitize(field, np.quantile(field, [0.1, 0.5, 0.85])).astype(np.uint8)
    made = simplified(a, Generalization(down=1 / 2, across=1 / 2, cell=64))
    ids = made.regions["class_id"]
    drawn = np.bincount(ids, doubled_areas(made.rings) / 2)
    pixels = np.bincount(a.ravel())
    # nine cells, and single steps that come last are made up for by nothing
    assert (np.abs(drawn - pixels) <= 9 * (2 * AREA_PIXELS + AREA_SHARE * pixels)).all()
    assert len(made.rings.points) < 0.7 * len(simplified(a, None).rings.points)


def test_a_pixel_stays_a_square_and_smoothing_rounds_it_off_a_little() -> None:
    a = np.zeros((9, 9), np.uint8)
    a[4, 4] = 1
    for rounds in range(4):
        g = Generalization(down=1 / 3, across=1 / 3, rounds=rounds)
        made = min(in_pixels(simplified(a, g), g), key=shapely.area)
        assert len(made.exterior.coords) - 1 == 4 * 2**rounds
        # a corner's triangle is an eighth of the pixel, and k rounds take (1 - 4**-k) / 3 of it
        assert made.area == pytest.approx(1 - 4 * 0.125 * (1 - 4.0**-rounds) / 3)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("cell", [1, 4, 64])
def test_named_shapes(name: str, cell: int) -> None:
    a = with_nodata(SHAPES[name])
    for rounds in (0, 2):
        made = simplified(a, Generalization(down=0.25, across=0.25, rounds=rounds, cell=cell))
        polygons = np.array(polygons_of(made.rings), object)
        assert shapely.is_valid(polygons).all()
        assert shapely.coverage_is_valid(polygons)


def test_a_node_in_the_way_keeps_a_corner_sharp() -> None:
    """Cutting the outer corner as far as its long edges allow would run over the node one step inside."""
    a = np.zeros((50, 50), np.uint8)
    a[10:40, 10:40] = 1
    a[11:39, 11] = 2
    a[11:39, 12:39] = 3
    for rounds in (1, 2, 3):
        g = Generalization(down=1 / 8, across=1 / 8, thins=False, rounds=rounds)
        polygons = in_pixels(simplified(a, g), g)
        assert shapely.is_valid(polygons).all()
        assert shapely.coverage_is_valid(polygons)
        ring = next(p for p in polygons if p.bounds == (10, -40, 40, -10))
        assert (10, -10) in ring.exterior.coords


PINCHED = [
    ["000000111", "100001010", "001101011", "010110001", "011010001", "111111010", "111101110", "100111101"],
    ["111111", "110001", "110011", "101000", "000100", "010000", "111011", "010110"],
]


@pytest.mark.parametrize("rows", PINCHED)
@pytest.mark.parametrize("method", ["visvalingam", "douglas-peucker"])
@pytest.mark.parametrize("tolerance", [1.2, 4.0])
def test_a_hole_that_begins_where_its_exterior_does(rows: list[str], method: Any, tolerance: float) -> None:
    a = np.array([[int(v) for v in row] for row in rows], np.uint8)
    for turned in (a, a[::-1], a[:, ::-1], a.T):
        g = Generalization(down=1 / tolerance, across=1 / tolerance, method=method)
        for polygon in polygons_of(simplified(np.ascontiguousarray(turned), g).rings):
            assert polygon.is_valid
            assert polygon.exterior.is_ccw
