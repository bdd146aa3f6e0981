"""Confusion matrices add up, match scikit-learn, and never overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from geoseg.accuracy.matrix import ConfusionMatrix, confusion, count
from geoseg.errors import InputError
from geoseg.legend import Legend

LEGEND = Legend.of({0: "water", 3: "forest", 7: "pasture", 254: "town"})
VALUES = [*LEGEND.ids, 255]

labels = hnp.arrays(
    np.uint8,
    st.shared(hnp.array_shapes(min_dims=2, max_dims=2, max_side=17), key="shape"),
    elements=st.sampled_from(VALUES),
)


@given(labels, labels)
def test_equals_scikit_learn_on_pixels_where_both_have_a_class(reference, mapped):
    matrix = count(reference, mapped, LEGEND)
    both = (reference != 255) & (mapped != 255)
    expected = (
        np.zeros((4, 4))
        if not both.any()
        else confusion_matrix(reference[both], mapped[both], labels=LEGEND.ids)
    )
    assert np.array_equal(matrix.counts, expected)
    assert matrix.unmapped.tolist() == [int(((reference == i) & (mapped == 255)).sum()) for i in LEGEND.ids]
    assert matrix.unreferenced == int(((reference == 255) & (mapped != 255)).sum())
    assert matrix.empty == int(((reference == 255) & (mapped == 255)).sum())
    assert matrix.total == reference.size


@given(labels, labels, st.integers(1, 5), st.integers(1, 5))
def test_sum_over_chunks_of_any_size_equals_the_whole(reference, mapped, height, width):
    h, w = reference.shape
    chunks = [
        (slice(r, r + height), slice(c, c + width)) for r in range(0, h, height) for c in range(0, w, width)
    ]
    parts = [count(reference[s], mapped[s], LEGEND) for s in chunks]
    assert ConfusionMatrix.sum(parts, LEGEND) == count(reference, mapped, LEGEND)


@given(labels, labels)
def test_counts_of_positions_are_those_of_ids(reference, mapped):
    position = np.full(256, 255, np.uint8)
    position[list(LEGEND.ids)] = range(4)
    expected = count(reference, mapped, LEGEND).counts
    assert np.array_equal(confusion(position[reference], position[mapped], 4), expected)


counts = hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 2**40))
matrices = st.builds(
    ConfusionMatrix,
    legend=st.just(LEGEND),
    counts=counts,
    unmapped=hnp.arrays(np.int64, 4, elements=st.integers(0, 2**40)),
    unreferenced=st.integers(0, 2**40),
    empty=st.integers(0, 2**40),
)


@given(matrices, matrices, matrices)
def test_addition_is_associative_and_commutative_with_a_zero(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + ConfusionMatrix.zero(LEGEND) == a


def test_two_hundred_and_fifty_five_classes_do_not_overflow():
    legend = Legend.of({i: f"class {i}" for i in range(255)})
    everything = np.arange(255, dtype=np.uint8)
    reference, mapped = (a.astype(np.uint8) for a in np.meshgrid(everything, everything, indexing="ij"))
    assert (count(reference, mapped, legend).counts == 1).all()


def test_a_label_outside_the_legend_is_named():
    good = np.zeros((2, 2), np.uint8)
    stray = np.array([[0, 9], [0, 0]], np.uint8)
    with pytest.raises(InputError, match="the map holds class 9"):
        count(good, stray, LEGEND)
    with pytest.raises(InputError, match="the reference holds class 9"):
        count(stray, good, LEGEND)


def test_matrices_of_different_legends_do_not_add():
    other = Legend.of({0: "a", 1: "b"})
    with pytest.raises(ValueError, match="different legends"):
        _ = ConfusionMatrix.zero(LEGEND) + ConfusionMatrix.zero(other)


def test_counts_cannot_be_changed_afterwards():
    matrix = ConfusionMatrix.zero(LEGEND)
    with pytest.raises(ValueError, match="read-only"):
        matrix.counts[0, 0] = 1
