"""Confidence intervals: estimate ± z standard errors cut to what is possible, and Wilson's for shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

Interval = tuple[float, float]


def z_of(confidence: float) -> float:
    """Quantile of the normal distribution for a two-sided interval: 1.959964 for 0.95."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimated number with its standard error; both NaN where the sample says nothing of it."""

    value: float
    se: float

    def half(self, z: float) -> float:
        """Half of the width of the interval."""
        return z * self.se

    def interval(self, z: float, *, low: float = 0.0, high: float = 1.0) -> Interval:
        """``value ± z se``, cut to [low, high]."""
        return max(self.value - z * self.se, low), min(self.value + z * self.se, high)

    def times(self, factor: float) -> Estimate:
        """The estimate in another unit, like the hectares of a share."""
        return Estimate(value=self.value * factor, se=self.se * factor)


def wilson(hits: float, n: float, z: float) -> Interval:
    """Wilson's score interval (1927) of a share, `hits` of `n`; (NaN, NaN) of nothing.

    It has a width also where all or none are hits, where value ± z standard errors has none.
    """
    if n <= 0:
        return math.nan, math.nan
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)
