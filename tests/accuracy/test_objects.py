"""Scores of objects against pycocotools and against examples worked out by hand."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from geoseg.accuracy.objects import (
    THRESHOLDS,
    ObjectLayer,
    Overlaps,
    average_precision,
    matched,
    score_objects,
    score_sizes,
)


def boxes_layer(rng: np.random.Generator, n: int, score: bool) -> tuple[np.ndarray, ObjectLayer]:
    low = rng.integers(0, 60, (n, 2)).astype(np.float64)
    boxes = np.concatenate([low, rng.integers(4, 20, (n, 2))], axis=1)  # x, y, width, height
    return boxes, ObjectLayer(
        area=boxes[:, 2] * boxes[:, 3],
        position=rng.integers(0, 3, n),
        score=rng.integers(1, 9, n) / 10 if score else None,
    )


def common_of(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum((one[:, :2] + one[:, 2:])[:, None], (other[:, :2] + other[:, 2:])[None])
    return np.prod(np.maximum(high - low, 0), axis=2)


def overlaps_of(one: np.ndarray, other: np.ndarray, layers: tuple[ObjectLayer, ObjectLayer]) -> Overlaps:
    common = common_of(one, other)
    pairs = np.nonzero(common)
    return Overlaps.of(*layers, pairs, common[pairs])


@pytest.mark.parametrize("crowds", [0, 9])
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed: int, crowds: int) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(seed)
    truth, reference = boxes_layer(rng, 120, score=False)
    # many near the reference, some on top of each other, with equal scores
    chosen = rng.integers(0, len(truth), 160)
    found, mapped = boxes_layer(rng, 160, score=True)
    found[:130] = truth[chosen[:130]] + rng.integers(-2, 3, (130, 4))
    found[:, 2:] = np.maximum(found[:, 2:], 2)
    position = np.concatenate([reference.position[chosen[:130]], mapped.position[130:]])
    mapped = ObjectLayer(area=found[:, 2] * found[:, 3], position=position, score=mapped.score)
    crowded = np.zeros(len(truth), bool)
    crowded[rng.choice(len(truth), crowds, replace=False)] = True
    truth[crowded, 2:] *= 2  # of which several objects lie in each
    reference = ObjectLayer(area=truth[:, 2] * truth[:, 3], position=reference.position)
    known = ObjectLayer(area=reference.area[~crowded], position=reference.position[~crowded])
    overlaps = overlaps_of(truth[~crowded], found, (known, mapped))
    if crowds:
        common = common_of(truth[crowded], found)
        alike = reference.position[crowded, None] == mapped.position
        overlaps = replace(overlaps, excused=(common * alike / mapped.area).max(axis=0))
    scores = score_objects(known, mapped, overlaps, 3)
    if crowds:
        assert sum(s.mapped for s in scores) < len(found)
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = {
            "images": [{"id": 1}],
            "categories": [{"id": k} for k in range(3)],
            "annotations": [
                {
                    "id": i + 1,
                    "image_id": 1,
                    "category_id": int(k),
                    "bbox": box.tolist(),
                    "area": float(a),
                    "iscrowd": int(crowd),
                }
                for i, (k, box, a, crowd) in enumerate(
                    zip(reference.position, truth, reference.area, crowded, strict=True)
                )
            ],
        }
        data.createIndex()
        results = data.loadRes(
            [
                {"image_id": 1, "category_id": int(k), "bbox": box.tolist(), "score": float(s)}
                for k, box, s in zip(mapped.position, found, mapped.score, strict=True)
            ]
        )
        judge = cocoeval.COCOeval(data, results, "bbox")
        judge.params.maxDets = [10_000]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 0]  # thresholds, recalls, classes
    for k in range(3):
        assert scores[k].ap == pytest.approx(precision[:, :, k].mean(), abs=1e-9)
        assert scores[k].ap50 == pytest.approx(precision[0, :, k].mean(), abs=1e-9)


def test_a_small_example_by_hand() -> None:
    reference = ObjectLayer(area=np.array([100.0, 100.0, 40.0]), position=np.zeros(3, np.int64))
    mapped = ObjectLayer(
        area=np.array([100.0, 60.0, 100.0, 30.0]),
        position=np.zeros(4, np.int64),
        score=np.array([0.9, 0.8, 0.7, 0.6]),
    )
    # the first fits the first by 0.6, the second fits it by 0.6 as well, the third nothing, the fourth 0.75
    pairs = np.array([0, 0, 2]), np.array([0, 1, 3])
    overlaps = Overlaps.of(reference, mapped, pairs, np.array([75.0, 60.0, 30.0]))
    np.testing.assert_allclose(overlaps.iou, [0.6, 0.6, 0.75])
    partner, fit = matched(overlaps, mapped, 0.5)
    assert partner.tolist() == [0, -1, -1, 2] and fit.tolist() == pytest.approx([0.6, 0, 0, 0.75])
    (scores,) = score_objects(reference, mapped, overlaps, 1)
    assert (scores.reference, scores.mapped, scores.matched) == (3, 4, 2)
    assert (scores.precision, scores.recall) == (0.5, pytest.approx(2 / 3))
    assert scores.f1 == pytest.approx(4 / 7) and scores.iou == pytest.approx(0.675)
    assert scores.pq == pytest.approx(scores.f1 * scores.iou)
    assert scores.area_ratio == pytest.approx(72.5 / 80)
    assert (scores.reference_area, scores.mapped_area) == (240, 290)
    sizes = score_sizes(reference, mapped, overlaps, [50.0])
    small, large = sizes[0.0, 50.0], sizes[50.0, math.inf]
    assert (small.reference, small.mapped, small.matched) == (1, 1, 1)
    assert (large.reference, large.mapped, large.matched) == (2, 3, 1)


def test_nothing_to_find_and_nothing_found() -> None:
    empty = ObjectLayer(area=np.zeros(0), position=np.zeros(0, np.int64), score=np.zeros(0))
    one = ObjectLayer(area=np.ones(1), position=np.zeros(1, np.int64), score=np.ones(1))
    none = Overlaps(reference=np.zeros(0, np.int64), mapped=np.zeros(0, np.int64), iou=np.zeros(0))
    assert math.isnan(average_precision(np.zeros(3, bool), 0))
    (missed,) = score_objects(one, empty, none, 1)
    assert missed.f1 == 0 and missed.ap == 0 and math.isnan(missed.iou)
    (extra,) = score_objects(empty, one, none, 1)
    assert extra.f1 == 0 and math.isnan(extra.ap)
    assert len(THRESHOLDS) == 10 and THRESHOLDS[-1] == 0.95
