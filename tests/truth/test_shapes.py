"""Polygons and points as reference: chunks cannot move a pixel, and every reason to refuse."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from shapely.geometry import LineString, MultiPoint, Point, Polygon, box

from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.job import ReferenceJob
from geoseg.evaluation.reference import open_reference, score_chunk
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.truth.shapes import PointTruth, PolygonTruth

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "water"})
GRID = Grid(
    crs=CRS.from_epsg(32720), transform=Affine(30, 0, 400_000, 0, -30, 9_000_000), height=40, width=50
)

# half-pixel corners put edges through pixel centres, where ties are decided
coordinate = st.one_of(
    st.integers(-10, 110).map(lambda v: v / 2),
    st.floats(-5, 55, allow_nan=False, width=32),
)
triangles = (
    st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=5)
    .map(lambda points: Polygon(points).convex_hull)
    .filter(lambda p: p.geom_type == "Polygon")
)
layers = st.lists(st.tuples(triangles, st.sampled_from([1, 2, 3, 255])), min_size=1, max_size=6)


def polygons(layer):
    return PolygonTruth(
        shapes=np.array([p for p, _ in layer], object),
        classes=np.array([c for _, c in layer], np.uint8),
        features=np.arange(len(layer)),
        legend=LEGEND,
    )


@given(layers, st.integers(7, 30), st.integers(7, 30))
def test_burned_by_chunks_equals_burned_whole(layer, height, width):
    reference = polygons(layer)
    pieces = np.zeros(GRID.shape, np.uint8)
    for window in GRID.window.blocks(height, width):
        pieces[window.slices_in(GRID.window)] = reference.read(window)
    assert np.array_equal(pieces, reference.read(GRID.window))


@given(layers)
def test_burned_whole_equals_rasterio(layer):
    snapped = [(shapely.transform(p, lambda xy: np.round(xy * 65536) / 65536), c) for p, c in layer]
    expected = rasterio.features.rasterize(snapped, out_shape=GRID.shape, fill=255, dtype="uint8")
    assert np.array_equal(polygons(layer).read(GRID.window), expected)


@given(layers, st.integers(9, 30), st.integers(0, 2**32 - 1))
def test_the_sum_of_chunk_scores_is_the_score_of_the_whole(layer, side, seed):
    reference = polygons(layer)
    labels = np.random.default_rng(seed).choice(np.array([1, 2, 3, 255], np.uint8), GRID.shape)
    parts = [
        score_chunk(reference, w, labels[w.slices_in(GRID.window)], LEGEND)
        for w in GRID.window.blocks(side, side)
    ]
    assert ConfusionMatrix.sum(parts, LEGEND) == score_chunk(reference, GRID.window, labels, LEGEND)


@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 49), st.integers(1, 3)), max_size=40),
    st.integers(5, 25),
)
def test_every_point_counts_once_whatever_the_chunks(points, side):
    points = sorted(points)
    rows, cols, classes = (
        (np.array(a, np.int64) for a in zip(*points, strict=True)) if points else (np.zeros(0, np.int64),) * 3
    )
    reference = PointTruth(
        rows=rows, cols=cols, classes=classes.astype(np.uint8), features=np.arange(len(rows)), legend=LEGEND
    )
    labels = np.random.default_rng(0).choice(np.array([1, 2, 3, 255], np.uint8), GRID.shape)
    parts = [
        score_chunk(reference, w, labels[w.slices_in(GRID.window)], LEGEND)
        for w in GRID.window.blocks(side, side)
    ]
    total = ConfusionMatrix.sum(parts, LEGEND)
    assert total.total == len(points)
    for i, was in enumerate(LEGEND.ids):
        for j, found in enumerate(LEGEND.ids):
            assert total.counts[i, j] == sum(labels[r, c] == found and k == was for r, c, k in points)


def opened(path, **options):
    return open_reference(ReferenceJob.parse({"reference": path, **options}), GRID, LEGEND)


SQUARES = [box(0, 0, 10, 10), box(20, 5, 30, 25)]


def test_field_is_found_when_only_one_can_be_it(make_vector):
    path = make_vector(SQUARES, {"cover": ["Forest", "water"], "owner": ["Ana", "Rui"], "id": [10, 11]})
    reference = opened(path)
    burned = reference.read(GRID.window)
    assert (burned[:10, :10] == 1).all() and (burned[5:25, 20:30] == 3).all()
    assert (burned != 255).sum() == 300
    assert "'cover'" in reference.notes[0]


def test_field_has_to_be_named_when_several_or_none_can_be_it(make_vector):
    path = make_vector(SQUARES, {"one": [1, 2], "two": [3, 3], "name": ["a", "b"]})
    with pytest.raises(
        UsageError, match=r"fields are one, two, name; several hold classes of the map: one, two"
    ):
        opened(path)
    with pytest.raises(UsageError, match=r"no field 'twoo'.*`field=two`"):
        opened(path, field="twoo")
    with pytest.raises(InputError, match=r"'a' \(1 features\), 'b' \(1 features\)"):
        opened(path, field="name")
    assert (opened(path, field="two").read(GRID.window) == 3).sum() == 300


def test_all_features_of_one_class_on_a_background(make_vector):
    path = make_vector(SQUARES, {"id": [10, 11]})
    for options in ({"single_class": "water"}, {"crosswalk": {"*": "water"}}):
        burned = opened(path, background="pasture", **options).read(GRID.window)
        assert (burned == 3).sum() == 300
        assert (burned == 2).sum() == burned.size - 300


def test_other_crs_burns_the_same_pixels(make_vector):
    columns = {"cover": ["forest", "water"]}
    here = opened(make_vector(SQUARES, columns, "here.gpkg"))
    there = opened(make_vector(SQUARES, columns, "there.gpkg", crs="EPSG:4326"))
    # corners lie on pixel corners, half a pixel from any centre: reprojection's rounding cannot matter
    assert np.array_equal(here.read(GRID.window), there.read(GRID.window))
    assert any("WGS 84" in note for note in there.notes)


def test_ignored_polygons_hide_the_background(make_vector):
    path = make_vector(SQUARES, {"cover": ["forest", "cloud"]})
    burned = opened(path, crosswalk={"forest": "forest", "cloud": "ignore"}, background=2).read(GRID.window)
    assert (burned[5:25, 20:30] == 255).all()
    assert (burned == 2).sum() == burned.size - 300


def test_overlap_of_different_classes_is_refused_with_hectares_or_settled(make_vector):
    shapes = [box(0, 0, 10, 10), box(5, 0, 15, 10), box(2, 2, 4, 4)]
    path = make_vector(shapes, {"cover": ["water", "forest", "water"]})
    # 50 pixels of 30 m: 4.5 ha in the plane, some less on the ground
    with pytest.raises(InputError, match=r"4\.\d+ ha \(50 pixels\) lie in polygons of different classes"):
        opened(path)
    crosswalk = {"water": "water", "forest": "forest"}
    last = opened(path, overlap="last", crosswalk=crosswalk)
    first = opened(path, overlap="first", crosswalk=crosswalk)
    assert (last.read(GRID.window)[0, 5:10] == 1).all()
    assert (first.read(GRID.window)[0, 5:10] == 3).all()
    by_legend = opened(path, overlap="last")
    assert (by_legend.read(GRID.window)[0, 5:10] == 3).all()
    assert any("50 pixels" in note for note in last.notes)


def test_slivers_without_a_pixel_centre_are_no_overlap(make_vector):
    path = make_vector([box(0, 0, 10.2, 10), box(9.9, 0, 20, 10)], {"cover": ["water", "forest"]})
    assert (opened(path).read(Window(0, 0, 10, 20)) == np.repeat([[3, 1]], 10, axis=1)).all()


def test_invalid_polygons_are_counted_and_repaired_only_on_request(make_vector):
    bow_tie = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    path = make_vector([box(20, 20, 30, 30), bow_tie], {"cover": ["forest", "water"]})
    with pytest.raises(InputError, match=r"1 of 2 polygons are invalid.*2: Self-intersection.*`repair`"):
        opened(path)
    burned = opened(path, repair=True).read(GRID.window)
    assert (burned == 3).sum() == pytest.approx(50, abs=10)


def test_lines_are_refused_and_features_without_geometry_left_out(make_vector):
    with pytest.raises(InputError, match=r"polygons or points required.*LineString"):
        opened(make_vector([LineString([(0, 0), (5, 5)])], {"cover": ["forest"]}, "lines.gpkg"))
    path = make_vector([*SQUARES, None], {"cover": ["forest", "water", "nonsense"]}, "hollow.gpkg")
    assert (opened(path).read(GRID.window) != 255).sum() == 300


def test_points_are_sampled_where_they_fall(make_vector):
    shapes = [Point(0.1, 0.1), Point(0.9, 0.2), Point(49.5, 39.9), MultiPoint([(3.5, 2.5), (80, 80)])]
    reference = opened(make_vector(shapes, {"cover": [1, 2, 3, 1]}))
    assert reference.kind == "points"
    labels = np.full(GRID.shape, 1, np.uint8)
    matrix = score_chunk(reference, GRID.window, labels, LEGEND)
    assert matrix.counts[:, 0].tolist() == [2, 1, 1]
    assert any("1 of 5 points lie outside" in n for n in reference.notes)
    assert any("1 points share a pixel" in n for n in reference.notes)
    with pytest.raises(UsageError, match="`background` needs polygons"):
        opened(make_vector(shapes, {"cover": [1, 2, 3, 1]}, "again.gpkg"), background="water")


def test_no_crs_no_overlap_and_exchanged_axes(make_vector, tmp_path):
    columns = {"cover": ["forest", "water"]}
    lost = make_vector(SQUARES, columns, "lost.gpkg", crs=None)
    with pytest.raises(InputError, match=r"no coordinate reference system.*`reference_crs"):
        opened(lost)
    assert (opened(lost, reference_crs="EPSG:32720").read(GRID.window) != 255).sum() == 300
    with pytest.raises(InputError, match=r"does not lie on the map. reference x .*, map x .*km apart"):
        opened(make_vector([box(9000, 0, 9001, 9)], {"cover": ["forest"]}, "far.gpkg"))
    frame = gpd.read_file(make_vector(SQUARES, columns, "m.gpkg", crs="EPSG:4326"))
    frame["geometry"] = [shapely.transform(s, lambda xy: xy[:, ::-1]) for s in frame.geometry]
    frame.to_file(tmp_path / "swapped.gpkg")
    with pytest.raises(InputError, match="x and y are exchanged"):
        opened(tmp_path / "swapped.gpkg")


def test_missing_and_empty_files(make_vector, tmp_path):
    with pytest.raises(InputError, match="not found"):
        opened(tmp_path / "nothing.gpkg")
    (tmp_path / "empty.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError):
        opened(tmp_path / "empty.geojson")


def test_real_buildings_burned_by_chunks_equal_rasterio_burning_the_whole(shared_data, tmp_path):
    folder = shared_data / "nrcan_aerial_vectors" / "massachusetts"
    with rasterio.open(folder / "22978945_15.tif") as image:
        grid = Grid(
            crs=CRS.from_wkt(image.crs.to_wkt()),
            transform=image.transform,
            height=image.height,
            width=image.width,
        )
    legend = Legend.of({0: "other", 1: "building"})
    path = folder / "massachusetts_buildings.gpkg"
    frame = gpd.read_file(path)
    expected = rasterio.features.rasterize(
        ((g, 1) for g in frame.geometry), out_shape=grid.shape, transform=grid.transform, dtype="uint8"
    )
    assert expected.sum() > 50_000

    def burned(file, side):
        job = ReferenceJob.parse({"reference": file, "field": "class", "background": "other"})
        reference = open_reference(job, grid, legend)
        pieces = np.zeros(grid.shape, np.uint8)
        for window in grid.window.blocks(side, side):
            pieces[window.slices_in(grid.window)] = reference.read(window)
        return pieces

    whole = burned(path, 4096)
    # corners rounded to 2**-16 pixel may decide a centre that lies on an edge
    assert (whole != expected).sum() <= 2
    assert all(np.array_equal(burned(path, side), whole) for side in (64, 177, 512))
    frame.to_crs(4326).to_file(tmp_path / "degrees.gpkg")
    there = burned(tmp_path / "degrees.gpkg", 300)
    assert (there != expected).sum() <= 10
