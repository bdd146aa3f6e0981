"""The global lattice: every pixel is decided once, whatever the chunks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geoseg.errors import UsageError
from geoseg.geometry import Chunk, Tile, TilePlan, Window, plan_tiles

from .strategies import plans


def paint(plan: TilePlan, windows: list[Window]) -> np.ndarray:
    """How often each pixel of the scene is covered."""
    count = np.zeros((plan.height, plan.width), np.int32)
    for w in windows:
        assert plan.height >= w.row_end
        assert plan.width >= w.col_end
        assert min(w.row, w.col) >= 0
        count[w.row : w.row_end, w.col : w.col_end] += 1
    return count


def lattice(plan: TilePlan) -> list[Tile]:
    rows, cols = plan.lattice
    return [plan.tile_at(r, c) for r in range(rows) for c in range(cols)]


@given(plans())
def test_cores_cover_every_pixel_exactly_once(plan: TilePlan) -> None:
    assert (paint(plan, [t.core for t in lattice(plan)]) == 1).all()


@given(plans())
def test_chunks_cover_every_pixel_exactly_once(plan: TilePlan) -> None:
    assert (paint(plan, [c.window for c in plan.iter_chunks()]) == 1).all()
    assert [c.index for c in plan.iter_chunks()] == list(range(plan.chunks))


@given(plans())
def test_no_tile_core_is_cut_by_a_chunk(plan: TilePlan) -> None:
    assert all(c % s == 0 for c, s in zip(plan.chunk, plan.stride, strict=True))
    cores = [t.core for t in lattice(plan)]
    for chunk in plan.iter_chunks():
        for core in cores:
            assert core.intersect(chunk.window).area in (0, core.area)


@given(plans())
def test_cropped_chunks_use_each_tile_once(plan: TilePlan) -> None:
    if plan.stitch != "crop":
        return
    used = [(t.row, t.col) for c in plan.iter_chunks() for t in plan.tiles_of(c)]
    assert sorted(used) == sorted((t.row, t.col) for t in lattice(plan))
    for chunk in plan.iter_chunks():
        assert all(chunk.window.contains(t.core) for t in plan.tiles_of(chunk))


@given(plans())
def test_a_chunk_sees_every_tile_that_reaches_a_pixel_of_it(plan: TilePlan) -> None:
    """Oracle for blending: all tiles of the scene, asked one by one."""
    reach, (down, across) = (plan.margin if plan.stitch == "blend" else 0), plan.stride
    reaches = {
        (t.row, t.col): Window(t.row * down, t.col * across, down, across).grow(reach) for t in lattice(plan)
    }
    for chunk in plan.iter_chunks():
        near = {(t.row, t.col) for t in plan.tiles_of(chunk)}
        assert near == {cell for cell, window in reaches.items() if window.intersect(chunk.window)}


@given(plans())
def test_forward_tiles_is_the_sum_over_chunks(plan: TilePlan) -> None:
    assert plan.forward_tiles == sum(len(plan.tiles_of(c)) for c in plan.iter_chunks())


@given(plans(), st.integers(1, 2000))
def test_tiles_do_not_depend_on_the_chunk(plan: TilePlan, other_chunk: int) -> None:
    other = plan_tiles(
        plan.height,
        plan.width,
        tile=plan.tile[0],
        margin=plan.margin,
        chunk=other_chunk,
        stitch=plan.stitch,
        multiple=1,
    )

    def deciding(p: TilePlan) -> dict[tuple[int, int], Tile]:
        return {(t.row, t.col): t for c in p.iter_chunks() for t in p.tiles_of(c)}

    assert deciding(plan) == deciding(other)


@given(plans())
def test_halo_holds_what_the_tiles_see_inside_the_scene(plan: TilePlan) -> None:
    for chunk in plan.iter_chunks():
        halo = plan.halo_of(chunk)
        assert halo.contains(chunk.window)
        for tile in plan.tiles_of(chunk):
            assert halo.contains(tile.window.clip(plan.height, plan.width))


@given(plans())
def test_every_tile_has_the_same_shape(plan: TilePlan) -> None:
    assert {t.window.shape for t in lattice(plan)} == {plan.tile}


@settings(max_examples=30)
@given(
    st.integers(1, 12_000),
    st.integers(1, 12_000),
    st.sampled_from(["crop", "blend"]),
    st.sampled_from([(1024, 8192), (1, 4096), (3000, 100_000)]),
)
def test_the_chosen_tile_does_not_depend_on_the_chunk(
    height: int, width: int, stitch: str, chunks: tuple[int, int]
) -> None:
    a, b = (plan_tiles(height, width, chunk=c, stitch=stitch) for c in chunks)  # type: ignore[arg-type]
    assert (a.tile, a.margin, a.lattice) == (b.tile, b.margin, b.lattice)
    assert all(side % 32 == 0 for side in a.tile)


@settings(max_examples=150)
@given(st.integers(256, 20_000), st.floats(1, 8), st.booleans())
@example(3072, 1.2, True)
@example(1543, 1.16, False)
@example(10_980, 1.0, True)
def test_defaults_waste_little_on_every_scene_of_a_megapixel(short: int, longer: float, tall: bool) -> None:
    sides = short, round(short * longer)
    plan = plan_tiles(*(sides[::-1] if tall else sides))
    assert math.prod(plan.tile) <= 1536**2
    if math.prod(sides) >= 1_000_000:
        assert plan.forward_ratio <= 1.15


def test_a_small_scene_wastes_what_its_sides_are_rounded_up_by() -> None:
    for height in range(150, 1000, 37):
        assert plan_tiles(height, 512).forward_ratio <= 1.15 or height % 32


def test_an_axis_that_one_tile_covers_has_no_margin() -> None:
    plan = plan_tiles(1000, 3000, tile=1024, margin=64)
    assert (plan.margins, plan.stride, plan.lattice) == ((0, 64), (1024, 896), (1, 4))
    assert plan.tile_at(0, 1).window == Window(0, 832, 1024, 1024)
    assert plan_tiles(1000, 3000, tile=1024, margin=64, stitch="blend").margins == (64, 64)


def test_a_scene_smaller_than_a_tile_needs_one_forward() -> None:
    for shape in ((1, 1), (33, 40), (200, 90)):
        plan = plan_tiles(*shape)
        assert plan.forward_tiles == plan.chunks == 1


def test_a_chunk_is_rounded_to_whole_cells() -> None:
    plan = plan_tiles(10_000, 10_000, tile=512, margin=32, chunk=1000)
    assert (plan.stride, plan.chunk) == ((448, 448), (896, 896))
    assert plan_tiles(100, 600, tile=512, margin=32, chunk=10).chunk == (512, 448)


def test_chunk_positions_are_row_major() -> None:
    plan = plan_tiles(1000, 2000, tile=512, margin=32, chunk=448)
    chunk = plan.chunk_at(6)
    assert chunk == Chunk(index=6, row=1, col=1, window=Window(448, 448, 448, 448))
    assert plan.chunk_at(4).window == Window(0, 1792, 448, 208)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"margin": 20}, r"`margin=20` .*multiple of 32.*`margin=32`"),
        ({"margin": -32}, "`margin=-32`"),
        ({"tile": 500}, r"`tile=500` .*multiple of 32.*`tile=512`"),
        ({"tile": 0}, "`tile=0`"),
        ({"tile": 128, "margin": 64}, r"`tile=128` is too small for `margin=64`.*at least 160"),
        ({"tile": 128, "margin": 64, "stitch": "blend"}, "at least 256"),
        ({"chunk": 0}, "`chunk=0` is not positive"),
    ],
)
def test_what_cannot_work_is_refused_with_both_numbers(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan_tiles(1000, 1000, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 10), (10, 0)])
def test_a_scene_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="without pixels"):
        plan_tiles(*shape)
