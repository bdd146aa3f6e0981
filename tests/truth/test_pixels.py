"""Raster references: any grid, any value range, names or numbers; nothing resampled in silence."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import InputError, UsageError
from geoseg.evaluation.job import ReferenceJob
from geoseg.evaluation.reference import open_reference, pairs
from geoseg.evaluation.verb import evaluate
from geoseg.legend import Legend
from geoseg.raster.classmap import open_class_map

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "water"})


def labels_like(shape, seed=0, values=(1, 2, 3, 255)):
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), shape)


def read(map_path, reference_path, **options):
    class_map = open_class_map(map_path)
    job = ReferenceJob.parse({"reference": reference_path, **options})
    reference = open_reference(job, class_map.grid, class_map.declared or LEGEND)
    window = class_map.grid.window
    return reference, pairs(reference, window, class_map.read(window))[0]


def test_on_the_same_grid_pixels_are_taken_as_they_are(make_map):
    truth = labels_like((33, 47))
    reference, found = read(make_map(truth, "map.tif"), make_map(truth, "ref.tif", names=None))
    assert np.array_equal(found, truth)
    assert reference.difference is None
    assert not reference.notes


def test_other_numbers_for_the_same_names(make_map):
    truth = labels_like((20, 20), values=(1, 2, 255))
    other = np.array([255, 9, 5], np.uint8)[np.where(truth == 255, 0, truth)]
    path = make_map(other, "ref.tif", names={9: "Forest", 5: "pasture"})
    assert np.array_equal(read(make_map(truth, "map.tif"), path)[1], truth)


def test_names_that_the_map_lacks_are_listed(make_map):
    path = make_map(labels_like((5, 5)), "ref.tif", names={1: "forest", 2: "meadow", 3: "water"})
    with pytest.raises(InputError, match="values without a class: 'meadow'"):
        read(make_map(labels_like((5, 5)), "map.tif"), path)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_a_crosswalk_from_numbers_of_any_type(make_map, dtype):
    codes = {"uint8": (200, 0, 17)}.get(dtype, (311, 0, 231))
    values = np.array(codes, dtype)[np.random.default_rng(1).integers(0, 3, (30, 30))]
    path = make_map(values, "corine.tif", names=None, nodata=None)
    crosswalk = {codes[0]: "forest", codes[1]: "ignore", str(codes[2]): 2}
    found = read(make_map(labels_like((30, 30)), "map.tif"), path, crosswalk=crosswalk)[1]
    assert np.array_equal(found, np.select([values == codes[0], values == codes[2]], [1, 2], 255))


def test_a_value_without_a_class_is_named_with_its_place(make_map):
    values = np.ones((10, 10), np.uint8)
    values[4, 5] = 77
    path = make_map(values, "ref.tif", names=None)
    with pytest.raises(InputError, match=r"values without a class: 77 \(1 pixels\).*rows 0 to 10"):
        read(make_map(np.ones((10, 10), np.uint8), "map.tif"), path)
    found = read(make_map(np.ones((10, 10), np.uint8), "m2.tif"), path, crosswalk={1: 1, "*": "water"})[1]
    assert found[4, 5] == 3


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_a_finer_reference_is_sampled_under_the_pixel_centres(tmp_path_factory, make_map, ratio, seed):
    fine = labels_like((8 * ratio, 9 * ratio), seed)
    map_path = make_map(labels_like((8, 9)), "map.tif")
    pixel = 30 / ratio
    path = make_map(fine, "fine.tif", transform=Affine(pixel, 0, 400_000, 0, -pixel, 9_000_000))
    reference, found = read(map_path, path)
    centre = ratio // 2
    assert np.array_equal(found, fine[centre::ratio, centre::ratio])
    if ratio > 1:
        assert f"reference pixels are {ratio} times finer" in reference.notes[-1]


def test_a_part_of_the_map_is_scored_and_said(make_map):
    truth = labels_like((40, 40), values=(1, 2, 3))
    map_path = make_map(truth, "map.tif")
    shifted = Affine(30, 0, 400_000 + 30 * 30, 0, -30, 9_000_000)
    part = make_map(truth[:, 30:], "part.tif", transform=shifted)
    scores = evaluate(map_path, part)
    assert scores.overall["overall_accuracy"] == 1
    assert scores.matrix.scored == 400
    assert any("25.00% of the map is scored" in note for note in scores.notes)


def test_far_away_and_unfit_options(make_map):
    here = make_map(labels_like((10, 10)), "here.tif")
    far = make_map(labels_like((10, 10)), "far.tif", transform=Affine(30, 0, 700_000, 0, -30, 9_000_000))
    with pytest.raises(InputError, match=r"does not lie on the map.*300 km apart"):
        evaluate(here, far)
    with pytest.raises(UsageError, match="`field` needs polygons or points"):
        evaluate(here, here, field="class")
