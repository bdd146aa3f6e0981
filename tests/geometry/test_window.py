"""Windows against sets of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.geometry import Window

from .strategies import windows


def pixels(window: Window) -> set[tuple[int, int]]:
    return {
        (row, col) for row in range(window.row, window.row_end) for col in range(window.col, window.col_end)
    }


@given(windows(), windows())
def test_intersection_is_the_common_pixels(a: Window, b: Window) -> None:
    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)


@given(windows(), windows())
def test_contains_means_subset(a: Window, b: Window) -> None:
    if b:
        assert a.contains(b) == (pixels(b) <= pixels(a))


@given(windows(), st.integers(0, 20), st.integers(1, 50), st.integers(1, 50))
def test_grow_then_clip_stays_inside_the_scene(w: Window, margin: int, height: int, width: int) -> None:
    grown = w.grow(margin).clip(height, width)
    assert pixels(w.clip(height, width)) <= pixels(grown) <= pixels(Window(0, 0, height, width))


@given(windows(), st.integers(1, 25), st.integers(1, 25))
def test_blocks_partition_the_window(w: Window, height: int, width: int) -> None:
    blocks = list(w.blocks(height, width))
    assert sum(b.area for b in blocks) == w.area
    assert set().union(*map(pixels, blocks)) == pixels(w)
    assert all(b.height <= height and b.width <= width for b in blocks)


@given(windows(), st.integers(1, 60), st.integers(1, 7))
def test_spread_windows_reach_both_ends_and_stay_inside(w: Window, side: int, along: int) -> None:
    found = list(w.spread(side, along))
    assert len(found) == len(set(found)) <= along**2
    assert all(w.contains(b) or not b for b in found)
    if w and along > 1:
        assert (found[0].row, found[0].col) == (w.row, w.col)
        assert (found[-1].row_end, found[-1].col_end) == (w.row_end, w.col_end)
        assert {b.shape for b in found} == {(min(side, w.height), min(side, w.width))}


@given(windows(low=0), windows(low=0))
def test_slices_pick_the_same_pixels(a: Window, b: Window) -> None:
    inner = a.intersect(b)
    image = np.arange(200 * 200).reshape(200, 200)
    if not inner:
        return
    rows, cols = inner.slices_in(a)
    held = image[a.row : a.row_end, a.col : a.col_end]
    np.testing.assert_array_equal(
        held[rows, cols], image[inner.row : inner.row_end, inner.col : inner.col_end]
    )


def test_slices_of_a_window_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="is not inside"):
        Window(0, 0, 5, 5).slices_in(Window(1, 0, 5, 5))


def test_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative size"):
        Window(0, 0, -1, 5)


def test_truth_is_having_pixels() -> None:
    assert Window(3, 3, 1, 1)
    assert not Window(3, 3, 0, 9)
