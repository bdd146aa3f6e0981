"""The temporal filter: fewest edits, by brute force over every sequence of a pixel's own classes."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from geoseg.errors import UsageError
from geoseg.histories.rules import Rules
from geoseg.legend import Legend

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "water", 4: "urban"})
RULES = {
    "forest": {"after": ["pasture", "water"], "min_years": 3},
    "water -> urban": "never",
    "max_dip": 1,
}


def keeps(sequence: tuple[int, ...], years: list[float]) -> bool:
    """The rules of `RULES`, said again in another way."""
    starts = [0, *(t for t in range(1, len(sequence)) if sequence[t] != sequence[t - 1])]
    runs = [(sequence[t], years[t]) for t in starts]
    if any((a, b) == (2, 3) for (a, _), (b, _) in pairwise(runs)):
        return False
    for before, (what, since), (then, until) in zip(runs, runs[1:], runs[2:], strict=False):
        if what == 0 and before[0] in (1, 2) and until - since < 3:
            return False
        if before[0] == then and until - since <= 1:
            return False
    return True


def test_fewest_edits_of_all_possible_ones() -> None:
    rng = np.random.default_rng(3)
    years = [2000.0, 2001.0, 2002.0, 2004.0, 2005.0, 2006.0]
    sequences = rng.integers(0, 4, (6, 40)).astype(np.uint8)
    made = Rules.parse(RULES, LEGEND).applied(sequences, np.array(years))
    assert (made != sequences).any()
    for before, after in zip(sequences.T.tolist(), made.T.tolist(), strict=True):
        possible = [s for s in product(sorted(set(before)), repeat=6) if keeps(s, years)]
        fewest = min(sum(a != b for a, b in zip(s, before, strict=True)) for s in possible)
        assert keeps(tuple(after), years)
        assert sum(a != b for a, b in zip(after, before, strict=True)) == fewest


def test_of_equally_few_edits_the_class_that_stood_before_stays_and_unknown_dates_are_skipped() -> None:
    rules = Rules.parse({"max_dip": 1}, LEGEND)
    sequences = np.array([[0, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0, 1, 4, 0, 0], [0, 0, 0, 1, 1]], np.uint8).T
    made = rules.applied(np.ascontiguousarray(sequences), np.arange(2000.0, 2005.0))
    assert made.T.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [0, 1, 4, 0, 0], [0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    "raw", [{"forest": 3}, {"forest": {"least": 3}}, {"max_dip": "x"}, {"a -> b -> c": 1}]
)
def test_rules_that_are_not_understood(raw: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Rules.parse(raw, LEGEND)
