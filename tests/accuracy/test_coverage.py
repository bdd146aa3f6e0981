"""Intervals of samples drawn from a known population hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.accuracy.estimates import ESTIMATES
from geoseg.accuracy.intervals import z_of
from tests.accuracy.samples import OLOFSSON_2014, labelled

COUNTS, SIZES = (np.array(part, float) for part in OLOFSSON_2014)
SHARES = COUNTS / COUNTS.sum(1, keepdims=True)
W = SIZES / SIZES.sum()
AREAS = W @ SHARES
OVERALL = W @ np.diagonal(SHARES)
DRAWS = 1000


def drawn(allocation, seed=1, draws=DRAWS):
    rng = np.random.default_rng(seed)
    return np.stack([rng.multinomial(n, row, draws) for n, row in zip(allocation, SHARES, strict=True)], 1)


def covers(value, se, truth):
    return (np.abs(value - truth) <= z_of(0.95) * se).mean(0)


@pytest.mark.parametrize(
    ("allocation", "plain", "adjusted", "widths"),
    [
        ((75, 75, 165, 325), (0.889, 0.739), (0.947, 0.999), (1.303, 0.754, 1.529, 1.113)),
        ((150, 150, 330, 650), (0.912, 0.875), (0.935, 0.957), (0.943, 0.562, 1.021, 0.691)),
        ((23, 19, 243, 356), (0.919, 0.915), (0.955, 0.982), (1.297, 0.914, 1.471, 1.147)),
    ],
)
def test_coverage(allocation, plain, adjusted, widths):
    found = labelled(drawn(allocation), SIZES)
    area = found.sample.mean(found.truth)
    overall = found.overall()
    assert 0.93 <= covers(overall.value, overall.se, OVERALL) <= 0.97
    covered = covers(area.value, area.se, AREAS)
    assert (covered[2:] >= 0.93).all() and (covered[2:] <= 0.97).all()
    assert covered[:2] == pytest.approx(plain, abs=0.03)
    wide = found.adjusted_area_se()
    assert covers(area.value, wide, AREAS)[:2] == pytest.approx(adjusted, abs=0.03)
    found_widths = [*area.se.mean(0)[:2], *wide.mean(0)[:2]]
    assert 200 * z_of(0.95) * np.array(found_widths) == pytest.approx(widths, rel=0.03)


def test_users_and_producers_of_the_common_classes_are_covered():
    found = labelled(drawn((150, 150, 330, 650), draws=8000), SIZES)
    truths = {"users": np.diagonal(SHARES), "producers": W * np.diagonal(SHARES) / AREAS}
    for estimate in ESTIMATES:
        if estimate.name in truths:
            ratio = estimate.of(found)
            assert covers(ratio.value, ratio.se, truths[estimate.name])[2:] == pytest.approx(0.95, abs=0.02)
