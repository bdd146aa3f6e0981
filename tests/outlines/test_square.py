"""Right angles for outlines that stand alone; nothing overlaps, whatever else is on the map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from scipy import ndimage
from shapely import affinity

import geoseg
from geoseg.errors import UsageError
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.shapes import shapes_of
from geoseg.outlines.square import FARTHEST_PIXELS
from tests.outlines.maps import polygons_of
from tests.outlines.test_borders import in_pixels, simplified
from tests.raster.makers import write


def village(
    side: int, *, seed: int, apart: float = 6.0, count: int = 60
) -> tuple[np.ndarray, list[shapely.Polygon]]:
    """(map of buildings turned at random, class 1 on 0; their true outlines in x = column, y = -row)."""
    rng = np.random.default_rng(seed)
    made: list[shapely.Polygon] = []
    for _ in range(count):
        width, height = rng.uniform(9, 26, 2)
        outline = shapely.box(0, 0, width, height)
        if rng.random() < 0.4:
            outline = outline.difference(shapely.box(width / 2, height / 2, width, height))
        outline = affinity.rotate(outline, rng.uniform(0, 90), origin=(0, 0))
        outline = affinity.translate(outline, *rng.uniform(30, side - 30, 2))
        if all(outline.distance(other) > apart for other in made):
            made.append(outline)
    a = rasterize([(p, 1) for p in made], out_shape=(side, side), fill=0, dtype="uint8")
    return a, [affinity.scale(p, 1, -1, origin=(0, 0)) for p in made]


def how(tolerance: float = 1.5, **options: object) -> Generalization:
    return Generalization(down=1 / tolerance, across=1 / tolerance, squares=(1,), **options)  # type: ignore[arg-type]


def iou(one: shapely.Polygon, other: shapely.Polygon) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def corner_angles(polygon: shapely.Polygon) -> np.ndarray:
    """Degrees by which the corners of the exterior differ from right angles."""
    xy = np.array(polygon.exterior.coords)[:-1]
    edges = np.roll(xy, -1, axis=0) - xy
    heading = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]))
    return np.abs(np.abs((np.diff(heading, prepend=heading[-1]) + 180) % 360 - 180) - 90)


@pytest.mark.parametrize("rounds", [0, 2])
def test_buildings_get_their_true_shape_back(rounds: int) -> None:
    a, truth = village(300, seed=3)
    g = how(rounds=rounds)
    traced, made = simplified(a, None), simplified(a, g)
    chosen = made.regions["class_id"] == 1
    exact, squared = np.array(polygons_of(traced.rings), object)[chosen], in_pixels(made, g)[chosen]
    right = np.array([corner_angles(p).max() < 0.5 for p in squared])
    assert right.mean() > 0.9
    better = []
    for old, new in zip(exact[right], squared[right], strict=True):
        target = max(truth, key=lambda t: t.intersection(old).area)
        better.append(iou(new, target) - iou(old, target))
        assert new.area == pytest.approx(old.area, rel=0.02)
        assert shapely.hausdorff_distance(new.boundary, old.boundary) <= FARTHEST_PIXELS + 0.5
    assert np.mean(better) > 0.01


def test_the_overlap_is_what_shapely_finds() -> None:
    a, _ = village(300, seed=4)
    g = how()
    shapes = shapes_of(
        np.pad(a, 1, constant_values=255), row=0, col=0, scene_width=a.shape[1], generalization=g
    )
    traced, made = simplified(a, None), simplified(a, g)
    pairs = zip(polygons_of(traced.rings), in_pixels(made, g), made.regions["class_id"], strict=True)
    expected = [iou(old, new) for old, new, i in pairs if i == 1 and corner_angles(new).max() < 0.5]
    assert len(expected) == len(shapes.overlap)
    assert np.sort(shapes.overlap) == pytest.approx(np.sort(expected), abs=0.01)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    apart=st.sampled_from([0.0, 2.0, 5.0]),
    speckle=st.sampled_from([0.0, 0.001, 0.02]),
    cell=st.sampled_from([40, 97, 256]),
    tolerance=st.sampled_from([1.0, 2.0, 4.0]),
    rounds=st.integers(0, 3),
)
def test_nothing_overlaps_in_crowded_places(
    seed: int, apart: float, speckle: float, cell: int, tolerance: float, rounds: int
) -> None:
    a, _ = village(160, seed=seed, apart=apart, count=40)
    rng = np.random.default_rng(seed)
    spots = rng.random(a.shape) < speckle
    a[spots] = rng.integers(0, 4, spots.sum())
    g = how(tolerance, cell=cell, rounds=rounds)
    one, many = simplified(a, g), simplified(a, g, 1, 2)
    assert np.array_equal(one.rings.points, many.rings.points)
    polygons = np.array(polygons_of(one.rings), object)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == a.size * g.scale**2


def test_beside_another_class_and_round_a_yard() -> None:
    a = np.zeros((80, 120), np.uint8)
    a[20:40, 20:50] = 1
    a[40:50, 20:50] = 2  # a neighbour wall to wall
    a[20:50, 70:100] = 1
    a[28:42, 78:92] = 0  # a yard
    made = simplified(a, how())
    polygons = in_pixels(made, how())
    assert shapely.coverage_is_valid(polygons)
    yard = next(p for p in polygons if len(p.interiors) == 1 and p.area < 1500)
    assert yard.equals(shapely.box(70, -50, 100, -20).difference(shapely.box(78, -42, 92, -28)))


@pytest.mark.parametrize("cell", [97, 256])
def test_of_objects_those_that_stand_alone_are_squared_and_the_others_stay_as_they_are(cell: int) -> None:
    """Numbers of objects are no classes: there are more than 255, and they lie wall to wall."""
    a, _ = village(256, seed=6, apart=3)
    ids = ndimage.label(a)[0].astype(np.uint32)
    ids[ids > 0] += 70_000
    ids[100:120, 100:110], ids[100:120, 110:125] = 80_000, 80_001
    g = replace(how(cell=cell), thins=False, squares="all")
    traced, one, many = (
        simplified(ids, None, nodata=0),
        simplified(ids, g, nodata=0),
        simplified(ids, g, 1, 2, nodata=0),
    )
    assert np.array_equal(one.rings.points, many.rings.points)
    numbers = one.regions["class_id"].tolist()
    assert numbers == traced.regions["class_id"].tolist() and min(numbers) > 70_000
    old, new = np.array(polygons_of(traced.rings), object), in_pixels(one, g)
    stayed = shapely.equals(old, new)
    assert all(stayed[numbers.index(n)] for n in (80_000, 80_001))
    assert all(corner_angles(p).max() < 0.5 for p in new[~stayed]) and (~stayed).sum() > 5
    assert shapely.area(new) == pytest.approx(shapely.area(old), rel=0.02)
    assert shapely.union_all(new).area == pytest.approx(shapely.area(new).sum(), rel=1e-9)


def test_the_verb_squares_a_class_and_reports(tmp_path: Path) -> None:
    a, _ = village(300, seed=5)
    source = write(tmp_path / "a.tif", a, nodata=255, tags={"CLASS_0": "ground", "CLASS_1": "building"})
    result = geoseg.vectorize(source, out=tmp_path / "a.parquet", simplify=15, square="building")
    assert result.squared is not None
    assert result.squared.outlines > 0.9 * result.classes[1].polygons
    assert 0.6 < result.squared.least_iou <= result.squared.mean_iou < 1
    frame = gpd.read_parquet(result.path)
    assert shapely.coverage_is_valid(frame.geometry.explode(index_parts=False).values)
    assert abs(result.classes[1].area_error) < 0.005
    with pytest.raises(UsageError, match="simplify"):
        geoseg.vectorize(source, out=tmp_path / "b.parquet", square="building")
