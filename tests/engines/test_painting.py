"""Detections painted into a tile, against rules worked out by hand and against scipy's components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geoseg.engines.painting import paint
from geoseg.engines.segments import Detections, TileSegments
from geoseg.models.object_rule import ObjectRule

SIDE = 24


def detections(*found: tuple[float, int, tuple[int, int, int, int]], masks: list | None = None) -> Detections:
    """Full boxes, unless masks are given."""
    boxes = np.array([box for _, _, box in found]).reshape(-1, 4)
    whole = [np.ones((b[2] - b[0], b[3] - b[1]), np.float32) for b in boxes]
    return Detections(
        scores=np.array([score for score, _, _ in found], np.float32),
        classes=np.array([class_id for _, class_id, _ in found]),
        boxes=boxes,
        masks=masks or whole,
    )


def rule(**changes: object) -> ObjectRule:
    return ObjectRule(**{"min_pixels": 1, **changes})


def test_the_better_score_is_painted_first_and_half_hidden_ones_go() -> None:
    found = detections(
        (0.6, 3, (0, 0, 10, 10)),  # 70 of its 100 pixels are left
        (0.75, 5, (7, 0, 17, 10)),
        (0.7, 3, (7, 5, 12, 10)),  # hidden by the one before
        (0.4, 3, (20, 20, 24, 24)),  # below the score
    )
    painted = paint(found, rule(), shape=(SIDE, SIDE))
    assert painted.table["class_id"].tolist() == [3, 5]
    assert painted.table["pixels"].tolist() == [70, 100]
    assert painted.table["score"].tolist() == [round(0.6 * 65535), round(0.75 * 65535)]
    assert painted.table[["row", "col", "row_end", "col_end"]].tolist() == [(0, 0, 7, 10), (7, 0, 17, 10)]
    assert not painted.capped


def test_what_is_left_by_half_stays() -> None:
    painted = paint(detections((0.9, 1, (0, 0, 5, 10)), (0.8, 1, (0, 0, 10, 10))), rule(), shape=(SIDE, SIDE))
    assert painted.table["pixels"].tolist() == [50, 50]


def test_only_the_largest_part_counts_and_small_ones_go() -> None:
    mask = np.zeros((10, 10), np.float32)
    mask[:2, :2] = mask[4:8, 4:8] = 1
    mask[8, 8] = 1  # touches at a corner alone
    painted = paint(detections((0.9, 1, (0, 0, 10, 10)), masks=[mask]), rule(), shape=(SIDE, SIDE))
    assert painted.table["pixels"].tolist() == [16]
    assert (
        len(
            paint(
                detections((0.9, 1, (0, 0, 10, 10)), masks=[mask]), rule(min_pixels=17), shape=(SIDE, SIDE)
            ).table
        )
        == 0
    )


def test_boxes_may_reach_outside_and_masks_are_cut_with_them() -> None:
    mask = np.zeros((8, 8), np.float32)
    mask[4:, 4:] = 0.5
    painted = paint(detections((0.9, 1, (-4, -4, 4, 4)), masks=[mask]), rule(), shape=(SIDE, SIDE))
    assert painted.table["pixels"].tolist() == [16]
    assert (painted.ids[:4, :4] == 1).all() and painted.ids.sum() == 16


def test_nothing_where_nothing_is_valid() -> None:
    valid = np.ones((SIDE, SIDE), bool)
    valid[:, 5:] = False
    stuff = np.full((SIDE, SIDE), 7, np.uint8)
    found = detections((0.9, 1, (0, 0, 10, 10)))
    found = Detections(
        scores=found.scores, classes=found.classes, boxes=found.boxes, masks=found.masks, stuff=stuff
    )
    painted = paint(found, rule(), shape=(SIDE, SIDE), valid=valid)
    assert painted.table["pixels"].tolist() == [50]
    assert painted.stuff is not None
    np.testing.assert_array_equal(painted.stuff, np.where(valid, 7, 255))


def test_the_best_stay_where_there_are_too_many() -> None:
    found = detections(*[(0.5 + k / 100, 1, (2 * k, 0, 2 * k + 2, 4)) for k in range(10)])
    painted = paint(found, rule(per_tile=3), shape=(SIDE, SIDE))
    assert painted.capped
    assert painted.table["row"].tolist() == [14, 16, 18]


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_scores_are_calibrated_by_their_log_odds(temperature: float) -> None:
    painted = paint(detections((0.9, 1, (0, 0, 4, 4))), rule(), shape=(SIDE, SIDE), temperature=temperature)
    p = np.float64(np.float32(0.9))
    expected = 1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature))
    assert painted.table["score"][0] == round(expected * 65535)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_properties_of_any_detections(seed: int, ties: bool) -> None:
    """Disjoint, 4-connected, numbered by first pixel, and the same for every order of the detections."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 12))
    low = rng.integers(-4, SIDE, (n, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 14, (n, 2))], axis=1)
    masks = [rng.random((b[2] - b[0], b[3] - b[1])).astype(np.float32) ** 0.5 for b in boxes]
    scores = np.full(n, 0.75, np.float32) if ties else rng.random(n).astype(np.float32)
    classes = rng.integers(1, 3, n)

    def painted(order: np.ndarray) -> TileSegments:
        chosen = Detections(
            scores=scores[order], classes=classes[order], boxes=boxes[order], masks=[masks[k] for k in order]
        )
        return paint(chosen, rule(min_pixels=3, per_tile=8), shape=(SIDE, SIDE))

    one, other = painted(np.arange(n)), painted(rng.permutation(n))
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.table, other.table)
    firsts = []
    for k, row in enumerate(one.table, start=1):
        mask = one.ids == k
        assert ndimage.label(mask)[1] == 1
        assert mask.sum() == row["pixels"] >= 3
        found = np.argwhere(mask)
        assert found.min(axis=0).tolist() == [row["row"], row["col"]]
        assert (found.max(axis=0) + 1).tolist() == [row["row_end"], row["col_end"]]
        firsts.append(int(mask.argmax()))
    assert firsts == sorted(firsts) and one.ids.max(initial=0) == len(one.table)
