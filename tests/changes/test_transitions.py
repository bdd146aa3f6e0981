"""Transitions against numpy; areas against the sum of pixel areas; nothing depends on chunks."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import CRS
from sklearn.metrics import confusion_matrix

from geoseg.changes.classes import join
from geoseg.changes.transitions import PairTables, Transitions
from geoseg.errors import InputError
from geoseg.geometry import HECTARE, Grid, Window, pixel_areas
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.legend import Legend
from geoseg.raster.pairs import PairCodes

LEGEND = Legend.of({1: "forest", 4: "pasture", 200: "water"})
CLASSES = join(LEGEND, LEGEND)
NAMES = CLASSES.legend.names
TABLES = PairTables.of(NAMES, CLASSES.before, CLASSES.after)
TRANSFORMS = {
    "EPSG:4326": Affine(0.01, 0, -60, 0, -0.01, -9),
    "EPSG:32720": Affine(30, 0, 400_000, 0, -30, 9_000_000),
    "EPSG:3857": Affine(100, 0, -6e6, 0, -100, 6e6),
}

shapes = st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=23), key="shape")
labels = hnp.arrays(np.uint8, shapes, elements=st.sampled_from([*LEGEND.ids, 255]))


def grid_of(crs, shape):
    return Grid(crs=CRS.from_user_input(crs), transform=TRANSFORMS[crs], height=shape[0], width=shape[1])


def counted(before, after, grid, window=None, unit=None):
    window, unit = window or grid.window, unit or area_unit(grid)
    cut = window.slices_in(grid.window)
    return TABLES.count(TABLES.numbers(before[cut], after[cut]), integer_areas(grid, window, unit), unit)


@given(labels, labels, st.sampled_from(sorted(TRANSFORMS)))
def test_counts_equal_scikit_learn_and_hectares_the_pixel_areas(before, after, crs):
    grid = grid_of(crs, before.shape)
    found = counted(before, after, grid)
    values = [*LEGEND.ids, 255]
    assert np.array_equal(found.counts, confusion_matrix(before.ravel(), after.ravel(), labels=values))
    areas = np.broadcast_to(pixel_areas(grid, grid.window), before.shape) / HECTARE
    for i, was in enumerate(values):
        for j, became in enumerate(values):
            expected = areas[(before == was) & (after == became)].sum()
            assert found.hectares[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(labels, labels, st.integers(1, 9), st.integers(1, 9), st.sampled_from(sorted(TRANSFORMS)))
def test_areas_are_equal_to_the_last_bit_for_any_chunks(before, after, height, width, crs):
    grid = grid_of(crs, before.shape)
    unit = area_unit(grid)
    parts = [counted(before, after, grid, w, unit) for w in grid.window.blocks(height, width)]
    assert Transitions.sum(parts, NAMES, unit) == counted(before, after, grid)
    assert Transitions.sum(parts[::-1], NAMES, unit) == counted(before, after, grid)


def test_gains_losses_and_persistence_of_a_case_worked_by_hand():
    hectare = np.array([[60, 30, 0, 5], [10, 80, 0, 0], [0, 0, 7, 0], [2, 0, 0, 9]], np.int64)
    t = Transitions(names=NAMES, counts=hectare, units=hectare * 10_000, unit=1.0)
    assert t.before.tolist() == [90, 90, 7]
    assert t.after.tolist() == [70, 110, 7]
    assert t.persistence.tolist() == [60, 80, 7]
    assert t.losses.tolist() == [30, 10, 0]
    assert t.gains.tolist() == [10, 30, 0]
    assert t.changed == 40
    assert t.unknown == 7


def test_area_of_the_whole_earth_fits():
    world = Grid(
        crs=CRS.from_epsg(4326),
        transform=Affine(1e-4, 0, -180, 0, -1e-4, 90),
        height=1_800_000,
        width=3_600_000,
    )
    unit = area_unit(world)
    assert 5.2e14 / unit < 2**60
    row = pixel_areas(world, Window(900_000, 0, 1, 1))[0, 0]
    assert unit / row < 1e-3
    drone = Grid(
        crs=CRS.from_epsg(32636), transform=Affine(0.02, 0, 4e5, 0, -0.02, 1e6), height=50_000, width=50_000
    )
    assert area_unit(drone) / 0.0004 < 1e-6


def test_equal_names_are_one_class_whatever_their_numbers():
    classes = join(Legend.of({1: "forest", 2: "water"}), Legend.of({1: "pasture", 2: "forest"}))
    assert classes.legend.names == ("pasture", "forest", "water") or set(classes.legend.names) == {
        "forest",
        "water",
        "pasture",
    }
    assert classes.before[1] == classes.after[2] == classes.legend.names.index("forest")
    assert classes.after[1] == classes.legend.names.index("pasture")
    assert classes.before[255] == classes.after[255] == 3
    assert classes.before[77] == 4


def test_a_label_outside_the_legend_is_named():
    stray = np.full((2, 2), 9, np.uint8)
    good = np.ones((2, 2), np.uint8)
    grid = grid_of("EPSG:4326", (2, 2))
    with pytest.raises(InputError, match="before holds class 9"):
        counted(stray, good, grid)
    with pytest.raises(InputError, match="after holds class 9"):
        counted(good, stray, grid)


@given(labels, labels)
def test_a_from_to_raster_can_be_taken_apart_again(before, after):
    codes = PairCodes.of(CLASSES.legend)
    raster = TABLES.codes(codes.table)[TABLES.numbers(before, after)]
    known = (before != 255) & (after != 255)
    assert ((raster == codes.nodata) == ~known).all()
    k, ids = len(codes.legend), np.array(codes.legend.ids)
    assert np.array_equal(ids[raster[known] // k], before[known])
    assert np.array_equal(ids[raster[known] % k], after[known])
    names = {int(c): codes.name(int(c)) for c in np.unique(raster[known])}
    assert all(("unchanged" in name) == (c // k == c % k) for c, name in names.items())


@given(labels, labels)
def test_what_is_taken_back_has_the_class_before(before, after):
    numbers = TABLES.numbers(before, after)
    kinds = TABLES.kind[numbers]
    known = (before != 255) & (after != 255)
    assert np.array_equal(kinds == 1, known & (before != after))
    assert np.array_equal(kinds == 255, ~known)
    undone = TABLES.undone[numbers]
    assert np.array_equal(undone, TABLES.numbers(before, np.where(known, before, after)))
    areas = np.ones((len(before), 1), np.int64)
    every = TABLES.count(numbers, areas, 1.0)
    changed = TABLES.count(numbers[kinds == 1][None], areas[:1], 1.0)
    assert every.undone(changed) == TABLES.count(undone, areas, 1.0)
