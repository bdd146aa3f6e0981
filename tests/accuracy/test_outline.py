"""Boundary F1 against all pairs of pixels, and over chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.accuracy.outline import OutlineCounts, count_outlines, reach
from geoseg.geometry import Window
from geoseg.legend import Legend

LEGEND = Legend.of({0: "water", 1: "forest", 254: "town"})
labels = hnp.arrays(
    np.uint8,
    st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), key="shape"),
    elements=st.sampled_from([0, 1, 1, 1, 254, 255]),
)
whole = (slice(None), slice(None))
NAMES = ("mapped", "mapped_near", "reference", "reference_near")


def outline_of(array, value):
    found = []
    for r, c in np.argwhere(array == value):
        for i, j in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            inside = 0 <= i < array.shape[0] and 0 <= j < array.shape[1]
            if inside and array[i, j] not in (value, 255):
                found.append((r, c))
                break
    return np.array(found, float).reshape(-1, 2)


@given(labels, labels, st.floats(5, 60))
def test_every_pair_of_outline_pixels(reference, mapped, metres):
    pixel = (10.0, 13.0)
    found = count_outlines(reference, mapped, whole, LEGEND, metres, pixel)
    known = (reference != 255) & (mapped != 255)
    a, b = (np.where(known, x, 255) for x in (reference, mapped))
    for k, value in enumerate(LEGEND.ids):
        one, other = (outline_of(x, value) * pixel[::-1] for x in (a, b))
        apart = np.hypot(*(one[:, None] - other[None, :]).transpose(2, 0, 1))
        near = apart <= metres * (1 + 1e-9)
        assert found.reference[k] == len(one) and found.mapped[k] == len(other)
        assert found.reference_near[k] == near.any(axis=1).sum()
        assert found.mapped_near[k] == near.any(axis=0).sum()


@given(labels, labels, st.sampled_from([5.0, 10.0, 25.0]), st.integers(1, 6))
def test_chunks_with_a_halo_add_up_to_the_whole(reference, mapped, metres, side):
    everything, pixel = Window(0, 0, *reference.shape), (10.0, 10.0)
    parts = []
    for window in everything.blocks(side, side):
        around = window.grow(reach(metres, pixel)).clip(*reference.shape)
        cut = around.slices_in(everything)
        core = window.slices_in(around)
        parts.append(count_outlines(reference[cut], mapped[cut], core, LEGEND, metres, pixel))
    total = OutlineCounts.sum(parts, metres, 3)
    expected = count_outlines(reference, mapped, whole, LEGEND, metres, pixel)
    for name in NAMES:
        assert np.array_equal(getattr(total, name), getattr(expected, name))


def test_a_square_moved_by_one_pixel_is_found_within_a_pixel():
    reference, mapped = np.zeros((2, 40, 40), np.uint8)
    reference[10:30, 10:30] = 1
    mapped[10:30, 11:31] = 1
    near = count_outlines(reference, mapped, whole, LEGEND, 10.0, (10.0, 10.0))
    assert near.f1[:2].tolist() == [1, 1] and np.isnan(near.f1[2])
    exact = count_outlines(reference, mapped, whole, LEGEND, 1.0, (10.0, 10.0))
    # the ring of 76 pixels shares the top and bottom rows but one pixel each
    assert exact.precision[1] == exact.recall[1] == pytest.approx(38 / 76)
