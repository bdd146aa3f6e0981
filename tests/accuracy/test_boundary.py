"""Boundary IoU against a definition by erosion, and over chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from geoseg.accuracy.boundary import BoundaryCounts, band, count_boundaries, near_edge
from geoseg.geometry import Window
from geoseg.legend import Legend

LEGEND = Legend.of({0: "water", 1: "forest", 254: "town"})
labels = hnp.arrays(
    np.uint8,
    st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), key="shape"),
    elements=st.sampled_from([0, 1, 1, 1, 254, 255]),
)
whole = (slice(None), slice(None))


@given(labels, st.integers(1, 4))
def test_band_is_what_erosion_takes_away(array, distance):
    expected = np.zeros(array.shape, bool)
    square = np.ones((2 * distance + 1,) * 2)
    for value in LEGEND.ids:
        # outside the map and nodata are neither this class nor another
        inside = ndimage.binary_erosion((array == value) | (array == 255), square, border_value=1)
        expected |= (array == value) & ~inside
    assert np.array_equal(band(array, distance), expected)


@given(labels, labels, st.integers(1, 4), st.integers(1, 9))
def test_chunks_with_a_halo_add_up_to_the_whole(reference, mapped, distance, side):
    everything = Window(0, 0, *reference.shape)
    parts = []
    for window in everything.blocks(side, side):
        around = window.grow(distance).clip(*reference.shape)
        cut = around.slices_in(everything)
        parts.append(
            count_boundaries(reference[cut], mapped[cut], window.slices_in(around), LEGEND, distance)
        )
    total = BoundaryCounts.sum(parts, distance, 3)
    expected = count_boundaries(reference, mapped, whole, LEGEND, distance)
    for name in ("hits", "reference", "mapped"):
        assert np.array_equal(getattr(total, name), getattr(expected, name))


def test_a_square_moved_by_one_pixel():
    reference, mapped = np.zeros((2, 40, 40), np.uint8)
    reference[10:30, 10:30] = 1
    mapped[10:30, 11:31] = 1
    found = count_boundaries(reference, mapped, whole, LEGEND, 1)
    # the ring of a 20-pixel square has 76 pixels; the two share the top and bottom rows, 19 pixels each
    assert (found.reference[1], found.mapped[1], found.hits[1]) == (76, 76, 38)
    assert found.iou[1] == pytest.approx(38 / 114)
    assert np.isnan(found.iou[2])


def test_a_square_moved_by_one_column_with_and_without_the_maps_edge():
    legend = Legend.of({1: "around", 2: "square"})
    reference, mapped = np.ones((2, 12, 12), np.uint8)
    reference[3:9, 3:9] = 2
    mapped[3:9, 4:10] = 2
    plain = {1: (0.333333, 0.333333), 2: (0.6, 0.6), 3: (0.789474, 0.714286)}
    edged = {1: 0.674419, 2: 0.894737, 3: 0.894737}
    window = Window(0, 0, 12, 12)
    for distance in (1, 2, 3):
        found = count_boundaries(reference, mapped, whole, legend, distance)
        assert found.iou == pytest.approx(plain[distance], abs=5e-7)
        edge = near_edge(window, (12, 12), distance)
        found = count_boundaries(reference, mapped, whole, legend, distance, edge)
        assert found.iou[0] == pytest.approx(edged[distance], abs=5e-7)
        parts = []
        for part in window.blocks(5, 4):
            around = part.grow(distance).clip(12, 12)
            cut = around.slices_in(window)
            near = near_edge(part, (12, 12), distance)
            parts.append(
                count_boundaries(reference[cut], mapped[cut], part.slices_in(around), legend, distance, near)
            )
        assert BoundaryCounts.sum(parts, distance, 2).iou.tolist() == found.iou.tolist()
