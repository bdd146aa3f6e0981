"""Panoptic quality of a case worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from geoseg.accuracy.panoptic import Regions, panoptic

REFERENCE = ["11100002", "11102202", "11102200", "00002201", "11000001", "11022201"]
MAPPED = ["11110000", "11102200", "11002220", "00000001", "10000001", "10022001"]


def regions_of(labels):
    numbers = np.full(labels.shape, -1)
    size, position = [], []
    for k in range(3):
        found, n = ndimage.label(labels == k)
        numbers[found > 0] = found[found > 0] - 1 + len(size)
        size += np.bincount(found.ravel())[1:].tolist()
        position += [k] * n
    return numbers, Regions(size=np.array(size), position=np.array(position))


@pytest.fixture
def found():
    truth, mapped = (np.array([list(map(int, row)) for row in rows]) for rows in (REFERENCE, MAPPED))
    (one, reference), (other, regions) = regions_of(truth), regions_of(mapped)
    table, common = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1, return_counts=True)
    return panoptic(reference, regions, (table[0], table[1]), common, 3)


def test_two_classes_of_two_small_maps(found):
    assert found.matched[1:].tolist() == [2, 2]
    assert found.extra[1:].tolist() == [1, 0]
    assert found.missed[1:].tolist() == [1, 1]
    assert found.segmentation[1:] == pytest.approx([0.9, 0.619048], abs=5e-7)
    assert found.recognition[1:] == pytest.approx([0.666667, 0.8], abs=5e-7)
    assert found.quality[1:] == pytest.approx([0.6, 0.495238], abs=5e-7)


def test_objects_are_found_and_right(found):
    assert found.recall[1:] == pytest.approx([2 / 3, 2 / 3])
    assert found.precision[1:] == pytest.approx([2 / 3, 1])
    assert found.recognition == pytest.approx(
        2 * found.precision * found.recall / (found.precision + found.recall), nan_ok=True
    )


def test_a_class_without_regions_has_no_score():
    nothing = Regions(size=np.zeros(0, np.int64), position=np.zeros(0, np.int64))
    none = np.zeros(0, np.int64)
    found = panoptic(nothing, nothing, (none, none), none, 2)
    assert np.isnan(found.quality).all() and np.isnan(found.recall).all()
