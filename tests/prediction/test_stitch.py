"""Stitching kernels: reflection, cutting, weights, accumulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.engines.pixels import decide
from geoseg.geometry import Window, plan_tiles
from geoseg.legend import Legend
from geoseg.prediction.stitch import (
    FULL_SHARE,
    WEIGHT_ONE,
    BlendAccumulator,
    axis_weights,
    cut_tile,
    ramp,
    reflected,
)


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 40))
def test_reflection_is_numpys_padding(size: int, before: int, after: int) -> None:
    line = np.arange(size)
    expected = np.pad(line, (before, after), mode="reflect")
    np.testing.assert_array_equal(reflected(-before, before + size + after, 0, size), expected)


@given(st.integers(1, 400))
def test_neighbouring_ramps_sum_to_one_exactly(width: int) -> None:
    rising = ramp(width)
    assert np.all(rising + rising[::-1] == WEIGHT_ONE)
    assert rising.min() >= 1
    assert np.all(np.diff(rising) >= 0)


@given(st.integers(1, 700), st.sampled_from([(64, 0), (96, 16), (128, 32)]))
def test_weights_of_all_tiles_sum_to_one_over_every_pixel(size: int, side: tuple[int, int]) -> None:
    tile, margin = side
    plan = plan_tiles(size, size, tile=tile, margin=margin, stitch="blend", multiple=16)
    cells = plan.lattice[0]
    total = np.zeros(size + 2 * tile, np.int64)
    for index in range(cells):
        start = index * plan.stride[0] - margin + tile
        total[start : start + tile] += axis_weights(index, cells, tile, margin)
    assert np.all(total[tile : tile + size] == WEIGHT_ONE)


def _coordinates(height: int, width: int) -> np.ndarray:
    """An image whose values are its own coordinates: misplacement becomes a number."""
    rows, cols = np.mgrid[:height, :width]
    return np.stack([rows, cols]).astype(np.int32)


@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.sampled_from([(32, 0), (64, 16), (96, 16)]),
    st.integers(1, 200),
    st.sampled_from(["crop", "blend"]),
)
def test_a_tile_is_cut_the_same_from_any_chunk(
    shape: tuple[int, int], side: tuple[int, int], chunk: int, stitch: str
) -> None:
    image = _coordinates(*shape)
    plan = plan_tiles(*shape, tile=side[0], margin=side[1], chunk=chunk, stitch=stitch, multiple=16)
    whole = Window(0, 0, *shape)
    for block in plan.iter_chunks():
        halo = plan.halo_of(block)
        rows, cols = halo.slices_in(whole)
        for tile in plan.tiles_of(block):
            got = cut_tile(image[:, rows, cols], halo, tile, plan)
            assert got.shape == (2, *plan.tile)
            np.testing.assert_array_equal(got, cut_tile(image, whole, tile, plan))
            inside = tile.core.slices_in(tile.window)
            np.testing.assert_array_equal(got[0][inside], image[0][tile.core.slices_in(whole)])
            np.testing.assert_array_equal(got[1][inside], image[1][tile.core.slices_in(whole)])


@given(
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.sampled_from([(64, 16), (96, 16), (64, 0)]),
    st.integers(1, 200),
    st.integers(0, 2**32 - 1),
)
def test_blending_by_chunks_equals_blending_the_whole(
    shape: tuple[int, int], side: tuple[int, int], chunk: int, seed: int
) -> None:
    """Against a plain floating-point sum over the whole scene, for every chunking."""
    plan = plan_tiles(*shape, tile=side[0], margin=side[1], chunk=chunk, stitch="blend", multiple=16)
    rng = np.random.default_rng(seed)
    rows, cols = plan.lattice
    classes = 3
    answers = {
        (r, c): rng.integers(0, 65536, (classes, *plan.tile)).astype(np.uint16)
        for r in range(rows)
        for c in range(cols)
    }
    tile, margin = side
    canvas = np.zeros((classes, shape[0] + 2 * tile, shape[1] + 2 * tile))
    for (r, c), p in answers.items():
        window = plan.tile_at(r, c).window
        y, x = window.row + tile, window.col + tile
        down, across = axis_weights(r, rows, tile, margin), axis_weights(c, cols, tile, margin)
        canvas[:, y : y + tile, x : x + tile] += p * np.outer(down, across).astype(np.float64)
    expected = canvas[:, tile : tile + shape[0], tile : tile + shape[1]]

    got = np.zeros((classes, *shape), np.uint32)
    for block in plan.iter_chunks():
        accumulator = BlendAccumulator(plan, block.window, classes)
        tiles = plan.tiles_of(block)
        last_row = max(t.row for t in tiles)
        for row in sorted({t.row for t in tiles}):
            for tile in (t for t in tiles if t.row == row):
                accumulator.add(tile, answers[tile.row, tile.col])
            done, sums = accumulator.finish_row(last=row == last_row)
            got[(slice(None), *done.slices_in(Window(0, 0, *shape)))] = sums
    np.testing.assert_array_equal(got, expected.astype(np.uint32))


def test_certainty_is_a_hundred_and_ties_go_to_the_first_class() -> None:
    sums = np.array([[[FULL_SHARE, FULL_SHARE // 2]], [[0, FULL_SHARE // 2]]], np.uint32)
    labels, confidence = decide(sums, FULL_SHARE, Legend.of({7: "a", 9: "b"}))
    assert labels.tolist() == [[7, 7]]
    assert confidence.tolist() == [[100, 50]]


def test_nothing_to_reflect_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to reflect"):
        reflected(0, 3, 5, 5)
