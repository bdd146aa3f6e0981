"""Patches against scipy, whole and joined over chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from geoseg.geometry import Window
from geoseg.regions.patches import Edges, PatchJoin, label_patches

labels = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=16),
    elements=st.sampled_from([1, 1, 2, 2, 9, 255]),
)


def expected(array, corners):
    """Numbers by scipy, in the order of the first pixel."""
    out = np.full(array.shape, -1)
    shape = np.ones((3, 3)) if corners else None
    count = 0
    for value in (1, 2, 9):
        found, n = ndimage.label(array == value, shape)
        out[found > 0] = found[found > 0] - 1 + count
        count += n
    return out, count


def same_parts(one, other):
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]


@given(labels, st.booleans())
def test_labels_of_one_array(array, corners):
    numbers, count = label_patches(array, corners=corners)
    other, n = expected(array, corners)
    assert count == n and same_parts(numbers, other)
    first = [int(np.flatnonzero(numbers.ravel() == k)[0]) for k in range(count)]
    assert first == sorted(first)


@given(labels, st.booleans(), st.integers(1, 7), st.integers(1, 7))
def test_chunks_are_joined_over_all_seams(array, corners, height, width):
    whole = Window(0, 0, *array.shape)
    join = PatchJoin(array.shape[1], corners=corners)
    numbers = np.full(array.shape, -1, np.int64)
    for window in whole.blocks(height, width):
        cut = window.slices_in(whole)
        found, count = label_patches(array[cut], corners=corners)
        base = join.add(window, Edges.of(array[cut], found, count))
        numbers[cut] = np.where(found >= 0, found + base, -1)
    patch, count = join.patches()
    joined = np.where(numbers >= 0, patch[numbers], -1) if len(patch) else numbers
    other, n = expected(array, corners)
    assert count == n and same_parts(joined, other)
