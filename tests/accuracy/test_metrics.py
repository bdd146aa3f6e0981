"""Scores equal scikit-learn's, with the rule for empty classes on top."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from geoseg.accuracy import metrics
from geoseg.accuracy.matrix import count
from geoseg.legend import Legend

LEGEND = Legend.of(dict.fromkeys(range(5)) | {i: f"class {i}" for i in range(5)})
K = len(LEGEND)

pixels = hnp.arrays(np.uint8, st.shared(st.integers(1, 60), key="n"), elements=st.integers(0, K - 1))
with_nodata = hnp.arrays(
    np.uint8, st.shared(st.integers(1, 60), key="n"), elements=st.sampled_from([*range(K), 255])
)


def check_against_scikit_learn(counts, reference, mapped):
    labels = list(range(K))
    there = np.union1d(reference, mapped[mapped < K])
    absent = ~np.isin(labels, there)
    options = {"labels": labels, "average": None, "zero_division": 0}
    for ours, theirs in (
        (metrics.iou(counts), sk.jaccard_score(reference, mapped, **options)),
        (metrics.dice(counts), sk.f1_score(reference, mapped, **options)),
        (metrics.precision(counts), sk.precision_score(reference, mapped, **options)),
        (metrics.recall(counts), sk.recall_score(reference, mapped, **options)),
    ):
        assert np.isnan(ours).tolist() == absent.tolist()
        assert ours[~absent] == pytest.approx(theirs[~absent], abs=1e-12)
    present = sorted(int(i) for i in there)
    means = {"labels": present, "zero_division": 0}
    assert metrics.mean_iou(counts) == pytest.approx(
        sk.jaccard_score(reference, mapped, average="macro", **means)
    )
    assert metrics.macro_f1(counts) == pytest.approx(sk.f1_score(reference, mapped, average="macro", **means))
    assert metrics.frequency_weighted_iou(counts) == pytest.approx(
        sk.jaccard_score(reference, mapped, labels=labels, average="weighted", zero_division=0)
    )
    assert metrics.overall_accuracy(counts) == pytest.approx(sk.accuracy_score(reference, mapped))


@given(pixels, pixels)
def test_equal_to_scikit_learn(reference, mapped):
    check_against_scikit_learn(count(reference, mapped, LEGEND).counts, reference, mapped)


@given(pixels, with_nodata)
def test_unmapped_pixels_count_as_wrong_on_request(reference, mapped):
    counts = count(reference, mapped, LEGEND).with_unmapped_as_wrong()
    check_against_scikit_learn(counts, reference, np.where(mapped == 255, K, mapped))


@given(pixels, pixels)
def test_kappa_equals_scikit_learn(reference, mapped):
    assume(np.unique(np.concatenate([reference, mapped])).size > 1)
    counts = count(reference, mapped, LEGEND).counts
    assert metrics.kappa(counts) == pytest.approx(sk.cohen_kappa_score(reference, mapped), abs=1e-12)


def test_kappa_of_the_textbook_example():
    # Congalton (1991), "A review of assessing the accuracy ...", table 1: 74 %, kappa 0.65
    counts = np.array([[65, 6, 0, 4], [4, 81, 11, 7], [22, 5, 85, 3], [24, 8, 19, 90]], np.int64)
    assert metrics.overall_accuracy(counts) == pytest.approx(321 / 434)
    assert metrics.kappa(counts) == pytest.approx(0.65, abs=0.005)


def test_kappa_of_counts_whose_squares_exceed_64_bits():
    small = np.array([[6, 1], [2, 7]], np.int64)
    assert metrics.kappa(small * 10**12) == pytest.approx(metrics.kappa(small), rel=1e-12)


def test_absent_class_is_nan_and_one_sided_class_is_zero():
    reference = np.array([0, 0, 1, 1], np.uint8)
    mapped = np.array([0, 0, 1, 2], np.uint8)
    counts = count(reference, mapped, LEGEND).counts
    assert metrics.iou(counts)[:3].tolist() == [1.0, 0.5, 0.0]
    assert metrics.recall(counts)[2] == 0.0
    assert np.isnan(metrics.iou(counts)[3:]).all()
    assert metrics.mean_iou(counts) == pytest.approx(0.5)


def test_nothing_scored_is_nan_everywhere():
    counts = np.zeros((K, K), np.int64)
    overall = (
        metrics.mean_iou,
        metrics.macro_f1,
        metrics.kappa,
        metrics.overall_accuracy,
        metrics.frequency_weighted_iou,
    )
    assert all(math.isnan(f(counts)) for f in overall)
    assert np.isnan(metrics.iou(counts)).all()
    assert np.isnan(metrics.map_share(counts)).all()
