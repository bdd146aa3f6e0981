"""Intervals of scores by drawing spatial blocks again: neighbouring pixels are no independent witnesses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.metrics import Metric

DRAWS = 1000
_LEVEL = 95.0
_SEED = 0


def block_intervals(
    blocks: NDArray[np.int64], metrics: Iterable[Metric], *, draws: int = DRAWS, seed: int = _SEED
) -> Mapping[str, NDArray[np.float64]]:
    """95 % percentile intervals of scores by name, from counts (blocks, K, C) of spatial blocks.

    Blocks are drawn with replacement, as many as there are (Efron & Tibshirani 1993). Of scores over all
    classes (2,) low and high, of others (2, K); NaN where a score never is one. They hold for maps of ground
    like these blocks, as far as a block is larger than what makes neighbours alike.
    """
    rng = np.random.default_rng(seed)
    number = len(blocks)
    times = rng.multinomial(number, np.full(number, 1 / number), size=draws)
    # of floats, whose product is fast; counts below 2**53 are whole all the same
    product = times.astype(np.float64) @ blocks.reshape(number, -1).astype(np.float64)
    sums = np.rint(product).astype(np.int64).reshape(draws, *blocks.shape[1:])
    edges = (100 - _LEVEL) / 2, (100 + _LEVEL) / 2
    found = {}
    for metric in metrics:
        values = np.array([metric.function(counts) for counts in sums], np.float64)
        known = ~np.isnan(values).all(axis=0)
        interval = np.full((2, *values.shape[1:]), np.nan)
        if known.any():
            interval[..., known] = np.nanpercentile(values[..., known], edges, axis=0)
        found[metric.name] = interval
    return found
