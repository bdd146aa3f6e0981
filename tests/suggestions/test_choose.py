"""The order in which squares are chosen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.suggestions.choose import choose


def test_the_most_unsure_first_then_what_is_unlike_it() -> None:
    unsure = np.array([0.5, 0.49, 0.2, 0.0])
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    places = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 10.0], [0.0, 9.0]])
    # the second is as unsure as the first, but its twin beside it: 0.49 * 0.05 against 0.2 * 1
    assert choose(unsure, shares, places, 4) == [0, 2, 1]


def test_squares_that_are_labelled_are_kept_away_from() -> None:
    unsure, shares = np.full(4, 0.3), np.ones((4, 1))
    places = np.array([[0.0, x] for x in range(4)])
    assert choose(unsure, shares, places, 1, known=[0]) == [3]
    assert choose(unsure, shares, places, 9, known=[3]) == [0, 1, 2]


def test_one_square_alone() -> None:
    assert choose(np.array([0.1]), np.ones((1, 2)), np.zeros((1, 2)), 3) == [0]


@given(st.integers(1, 30), st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_each_once_and_more_only_adds(n: int, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    unsure, places = np.round(rng.random(n), 1), rng.integers(0, 5, (n, 2)).astype(float)
    shares = rng.dirichlet(np.ones(3), n)
    few, all_ = choose(unsure, shares, places, count), choose(unsure, shares, places, n)
    assert few == all_[:count]
    assert sorted(all_) == list(np.flatnonzero(unsure > 0))
