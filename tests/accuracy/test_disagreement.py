"""Kinds of disagreement against published and recomputed matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.accuracy.disagreement import disagreement

SMALL = [[3, 1, 2], [2, 3, 0], [1, 3, 1]]
LARGE = [[38597, 5793, 657], [65, 16934, 113], [229, 1013, 2135]]
ITANHANGA = [
    [97, 1046, 97, 23, 758, 0],
    [0, 72, 1, 1, 22, 0],
    [0, 126, 16, 0, 19, 0],
    [1238, 7772, 823, 25938, 10876, 0],
    [334, 2247, 275, 295, 2622, 0],
    [0, 0, 0, 0, 0, 0],
]


@pytest.mark.parametrize(
    ("matrix", "whole", "quantity", "exchange", "shift"),
    [
        (SMALL, (9, 2, 7, 4, 3), [0, 2, 2], [4, 2, 2], [2, 2, 2]),
        (LARGE, (7870, 6628, 1242, 814, 428), [6156, 6628, 472], [588, 356, 684], [0, 0, 856]),
        (
            ITANHANGA,
            (25953, 20742, 5211, 1390, 3821),
            [352, 11167, 1051, 20390, 8524, 0],
            [714, 48, 40, 638, 1340, 0],
            [2430, 0, 250, 0, 4962, 0],
        ),
    ],
    ids=["16 pixels", "65536 pixels", "Itanhanga 2001 to 2016"],
)
def test_published_matrices(matrix, whole, quantity, exchange, shift):
    found = disagreement(np.array(matrix))
    assert tuple(found.whole.values()) == whole
    assert found.quantity.tolist() == quantity
    assert found.exchange.tolist() == exchange
    assert found.shift.tolist() == shift


def test_the_small_matrix_is_that_of_its_two_rasters():
    one = np.array([1, 1, 2, 2, 2, 3, 3, 1, 1, 3, 1, 3, 2, 1, 2, 3])
    other = np.array([1, 1, 1, 1, 2, 3, 2, 3, 1, 1, 2, 2, 2, 3, 2, 2])
    matrix = np.zeros((3, 3), int)
    np.add.at(matrix, (one - 1, other - 1), 1)
    assert matrix.tolist() == SMALL


@given(hnp.arrays(np.int64, st.integers(1, 6).map(lambda k: (k, k)), elements=st.integers(0, 50)))
def test_kinds_are_parts_of_a_whole(matrix):
    found = disagreement(matrix)
    gain = matrix.sum(0) - np.diagonal(matrix)
    loss = matrix.sum(1) - np.diagonal(matrix)
    assert (found.quantity == abs(gain - loss)).all()
    assert (found.allocation == 2 * np.minimum(gain, loss)).all()
    assert found.whole["total"] == matrix.sum() - np.trace(matrix)
    if len(matrix) < 3:
        assert not found.shift.any()
