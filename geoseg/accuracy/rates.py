"""Rates of change of a class's area a year."""

from __future__ import annotations

import math


def fao_rate(before: float, after: float, years: float) -> float:
    """Compound rate, (after / before)^(1 / years) - 1 (FAO 1995); NaN where any of them is not above 0."""
    if min(before, after, years) <= 0:
        return math.nan
    return float((after / before) ** (1 / years) - 1)


def puyravaud_rate(before: float, after: float, years: float) -> float:
    """Instantaneous rate, ln(after / before) / years (Puyravaud 2003); NaN where any is not above 0."""
    if min(before, after, years) <= 0:
        return math.nan
    return math.log(after / before) / years
