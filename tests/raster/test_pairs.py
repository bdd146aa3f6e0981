"""Codes of pairs of classes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoseg.legend import Legend
from geoseg.raster.pairs import PairCodes


def legend_of(k):
    return Legend.of({i: f"class {i}" for i in range(k)})


@given(st.integers(1, 40))
def test_codes_are_unique_and_never_the_nodata_value(k):
    codes = PairCodes.of(legend_of(k))
    values = codes.table[:k, :k].ravel()
    assert len(set(values.tolist())) == k * k
    assert values.max() < codes.nodata == (255 if k <= 15 else 65_535)
    assert codes.dtype == ("uint8" if k <= 15 else "uint16")
    assert (codes.table[k] == codes.nodata).all() and (codes.table[:, k] == codes.nodata).all()
    for code, was, became in codes.items():
        assert code == codes.table[codes.legend.ids.index(was.id), codes.legend.ids.index(became.id)]


@given(st.integers(16, 30), st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_pairs_that_occur_are_renumbered_where_they_fit_eight_bits(k, seed, wanted):
    rng = np.random.default_rng(seed)
    counts = np.zeros((k + 1, k + 1), np.int64)
    counts[:k, :k].flat[rng.choice(k * k, min(wanted, k * k), replace=False)] = 1
    counts[k] = 7
    codes = PairCodes.of(legend_of(k), counts)
    occurring = int(counts[:k, :k].sum())
    assert codes.dtype == ("uint8" if occurring <= 254 else "uint16")
    if codes.dtype == "uint8":
        assert list(codes.pairs) == list(range(occurring))
        assert np.array_equal(codes.table[:k, :k] != 255, counts[:k, :k] > 0)
    pairs = [(was.id, became.id) for _, was, became in codes.items()]
    assert pairs == sorted(pairs)


def test_names_and_colours():
    codes = PairCodes.of(Legend.of({1: "forest", 2: "pasture"}, {1: "#004000", 2: "#80FF00"}))
    assert [codes.name(c) for c in codes.pairs] == [
        "forest (unchanged)",
        "forest → pasture",
        "pasture → forest",
        "pasture (unchanged)",
    ]
    assert [codes.color(c) for c in (1, 2)] == ["#80FF00", "#004000"]
    assert codes.color(0) not in {"#004000", "#80FF00"}
    wrong = PairCodes.of(codes.legend, same="{0}, right", other="{0} mapped as {1}")
    assert [wrong.name(c) for c in (0, 1)] == ["forest, right", "forest mapped as pasture"]
