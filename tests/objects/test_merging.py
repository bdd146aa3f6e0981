"""Objects over tiles and chunks, against the rule written out for the whole scene at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geoseg.geometry import plan_tiles
from geoseg.models.object_rule import ObjectRule
from tests.objects.scenes import Seen, draw, merged, see

RULE = ObjectRule(min_pixels=4)
SIZES = [(150, 9), (110, 12)] + [(k % 17 + 5, k % 7 + 4) for k in range(90)]


def plan_of(height: int, width: int, cells: int, margin: int = 16):
    return plan_tiles(height, width, tile=96, margin=margin, chunk=cells * (96 - 2 * margin), multiple=16)


def seen_by_all(ids: NDArray[np.int64], plan, **how) -> Seen:
    rows, cols = plan.lattice
    places = itertools.product(range(rows), range(cols))
    return {(r, c): see(ids, plan, plan.tile_at(r, c), RULE, **how) for r, c in places}


def at_once(plan, seen: Seen) -> NDArray[np.int64]:
    """The rule of merging by dense masks of every pair of tiles, numbered by first pixel."""
    nodes, count = {}, 0
    for place, found in seen.items():
        nodes[place] = count + np.arange(len(found.table))
        count += len(found.table)
    canvas = {}
    for (r, c), found in seen.items():
        window = plan.tile_at(r, c).window.clip(plan.height, plan.width)
        whole = np.zeros((plan.height, plan.width), np.int64)
        whole[window.row : window.row_end, window.col : window.col_end] = found.ids[
            window.slices_in(plan.tile_at(r, c).window)
        ]
        canvas[r, c] = window, whole
    one, other = [], []
    for (p, (wp, a)), (q, (wq, b)) in itertools.combinations(canvas.items(), 2):
        band = wp.intersect(wq)
        if max(abs(p[0] - q[0]), abs(p[1] - q[1])) > 1 or not band:
            continue
        place = np.s_[band.row : band.row_end, band.col : band.col_end]
        for i, j in itertools.product(np.unique(a[place]), np.unique(b[place])):
            if i and j and seen[p].table["class_id"][i - 1] == seen[q].table["class_id"][j - 1]:
                x, y = a[place] == i, b[place] == j
                if 2 * (x & y).sum() > (x | y).sum():
                    one.append(nodes[p][i - 1])
                    other.append(nodes[q][j - 1])
    _, label = connected_components(coo_array((np.ones(len(one)), (one, other)), shape=(count, count)), False)
    out = np.zeros((plan.height, plan.width), np.int64)
    for (r, c), (_, whole) in canvas.items():
        core = plan.tile_at(r, c).core
        place = np.s_[core.row : core.row_end, core.col : core.col_end]
        lookup = np.concatenate([[0], label[nodes[r, c]] + 1])
        out[place] = lookup[whole[place]]
    values, first, sizes = np.unique(out, return_index=True, return_counts=True)
    kept = sorted((f, v) for v, f, n in zip(values, first, sizes, strict=True) if v and n >= RULE.min_pixels)
    number = np.zeros(label.max(initial=0) + 2, np.int64)
    number[[v for _, v in kept]] = np.arange(1, len(kept) + 1)
    return number[out]


@pytest.mark.parametrize(("seed", "margin"), [(0, 16), (1, 16), (2, 32)])
def test_chunks_join_to_what_the_rule_says_of_the_whole_scene(seed: int, margin: int) -> None:
    ids = draw(260, SIZES, seed)
    seen = seen_by_all(ids, plan_of(260, 260, 1, margin), miss=0.1, wobble=True)
    expected = at_once(plan_of(260, 260, 1, margin), seen)
    assert expected.max() > 40
    tables = []
    for cells in (1, 2, 3, 7):
        objects, raster = merged(plan_of(260, 260, cells, margin), seen, RULE)
        np.testing.assert_array_equal(raster, expected, err_msg=f"chunks of {cells} cells")
        np.testing.assert_array_equal(np.bincount(raster.ravel())[1:], objects.table["pixels"])
        firsts = [int((raster == k).argmax()) for k in (1, 2, len(objects.table))]
        assert objects.table["first"][[0, 1, -1]].tolist() == firsts
        tables.append(objects.table)
    for table in tables[1:]:
        np.testing.assert_array_equal(table, tables[0])


def test_a_score_is_the_mean_over_pixels_in_whole_numbers() -> None:
    ids = np.zeros((96, 192), np.int64)
    ids[40:50, 30:100] = 1
    plan = plan_of(96, 192, 1)
    seen = seen_by_all(ids, plan)
    objects, raster = merged(plan, seen, RULE)
    assert len(objects.table) == 1
    total = count = 0
    for (r, c), found in seen.items():
        core = plan.tile_at(r, c).core
        pixels = int((raster[core.row : core.row_end, core.col : core.col_end] > 0).sum())
        total += pixels * int(found.table["score"][0]) if pixels else 0
        count += pixels
    assert objects.table["score"][0] == total // count and count == 700


@pytest.mark.parametrize("upright", [False, True])
def test_an_object_of_five_tiles_is_one_and_two_that_touch_stay_two(upright: bool) -> None:
    ids = np.zeros((160, 5 * 96), np.int64)
    ids[70:80] = 1
    ids[80:92] = 2
    ids = ids.T if upright else ids
    plan = plan_of(*ids.shape, 2)
    objects, raster = merged(plan, seen_by_all(ids, plan), RULE)
    assert len(objects.table) == 2
    np.testing.assert_array_equal(raster, ids)
    assert objects.table["at_edge"].all()


def test_objects_without_flaws_are_given_back_as_they_are() -> None:
    ids = draw(200, SIZES, 5)
    plan = plan_of(200, 200, 2)
    objects, raster = merged(plan, seen_by_all(ids, plan), RULE)
    pairs = np.unique(np.stack([ids.ravel(), raster.ravel().astype(np.int64)]), axis=1)
    small = np.bincount(ids.ravel())[pairs[0]] < RULE.min_pixels
    assert (pairs[1][~small] > 0).sum() == len(objects.table)
    border = np.zeros_like(ids, bool)
    border[[0, -1]] = border[:, [0, -1]] = True
    touches = [(border & (raster == k)).any() for k in range(1, len(objects.table) + 1)]
    assert objects.table["at_edge"].tolist() == touches


def test_shifting_the_scene_by_a_stride_shifts_its_objects() -> None:
    ids = draw(320, SIZES, 7)
    whole, part = plan_of(320, 320, 2), plan_of(256, 256, 3)
    _, raster = merged(whole, seen_by_all(ids, whole), RULE)
    _, shifted = merged(part, seen_by_all(ids[64:, 64:], part), RULE)
    inner = np.s_[96:, 96:]
    one, other = raster[64:, 64:][inner], shifted[inner]
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1] > 5


def test_tiles_that_were_not_run_join_nothing() -> None:
    ids = np.zeros((96, 400), np.int64)
    ids[40:50] = 1
    plan = plan_of(96, 400, 1)
    seen = {place: found for place, found in seen_by_all(ids, plan).items() if place[1] != 2}
    objects, raster = merged(plan, seen, RULE)
    assert len(objects.table) == 2
    assert ndimage.label(raster > 0)[1] == 2 and not raster[:, 128:192].any()
