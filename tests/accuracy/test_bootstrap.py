"""Intervals of scores by spatial blocks."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.accuracy.bootstrap import block_intervals
from geoseg.accuracy.metrics import METRICS

CHOSEN = [m for m in METRICS if m.name in {"overall_accuracy", "iou", "kappa"}]


def test_independent_blocks_give_the_binomial_interval():
    rng = np.random.default_rng(4)
    right = rng.binomial(1, 0.8, 400)
    blocks = np.zeros((400, 2, 2), np.int64)
    blocks[:, 0, 0], blocks[:, 0, 1] = right, 1 - right
    low, high = block_intervals(blocks, CHOSEN)["overall_accuracy"]
    half = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 400)
    assert (low, high) == pytest.approx((right.mean() - half, right.mean() + half), abs=0.008)


def test_alike_pixels_within_blocks_widen_it():
    rng = np.random.default_rng(4)
    right = rng.binomial(1, 0.8, 40) * 10
    blocks = np.zeros((40, 2, 2), np.int64)
    blocks[:, 0, 0], blocks[:, 0, 1] = right, 10 - right
    low, high = block_intervals(blocks, CHOSEN)["overall_accuracy"]
    assert high - low > 0.2


def test_shapes_seeds_and_classes_that_are_not_there():
    blocks = np.zeros((5, 3, 4), np.int64)
    blocks[:, 0, 0] = blocks[:, 1, 1] = 3
    found, again = (block_intervals(blocks, CHOSEN) for _ in range(2))
    assert found["iou"].shape == (2, 3) and found["kappa"].shape == (2,)
    assert np.isnan(found["iou"][:, 2]).all()
    assert all(np.array_equal(found[n], again[n], equal_nan=True) for n in found)
