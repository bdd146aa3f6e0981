"""Rates of change against figures recomputed from published ones."""

from __future__ import annotations

import math

import pytest

from geoseg.accuracy.rates import fao_rate, puyravaud_rate


def test_fifteen_years_of_itanhangas_forest():
    assert fao_rate(46_647, 26_257, 15) == pytest.approx(-0.03758712, abs=5e-9)
    assert puyravaud_rate(46_647, 26_257, 15) == pytest.approx(-0.03831173, abs=5e-9)


def test_both_rates_lead_from_one_area_to_the_other():
    assert 100 * (1 + fao_rate(100, 60, 7)) ** 7 == pytest.approx(60)
    assert 100 * math.exp(7 * puyravaud_rate(100, 60, 7)) == pytest.approx(60)


@pytest.mark.parametrize(("before", "after", "years"), [(0, 5, 3), (5, 0, 3), (0, 0, 3), (5, 4, 0)])
def test_no_rate_from_or_to_nothing_or_within_no_time(before, after, years):
    assert math.isnan(fao_rate(before, after, years))
    assert math.isnan(puyravaud_rate(before, after, years))
