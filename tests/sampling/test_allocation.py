"""Sizes, allocations and expected errors against Olofsson et al. 2014 (sections 5.1 and 6) and OpenMRV."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import UsageError
from geoseg.sampling.allocation import (
    ALLOCATIONS,
    Expectation,
    allocate,
    expected_errors,
    relative_shares,
    required_units,
    simple_units,
    spread,
)

WEIGHTS = np.array([0.02, 0.015, 0.32, 0.645])
FOUND = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])


def expectation(own: tuple[float, ...], population: int = 10**7) -> Expectation:
    """Strata that are the map's classes, of which `own` is right."""
    k = len(own)
    shares = np.full((k, k), 0.0)
    for h, u in enumerate(own):
        shares[h] = (1 - u) / (k - 1)
        shares[h, h] = u
    pixels = np.round(WEIGHTS * population).astype(np.int64)
    return Expectation(pixels=pixels, shares=shares, classes=np.arange(k))


PLANNED = expectation((0.7, 0.6, 0.9, 0.95))
OF_TABLE_8 = Expectation(
    pixels=PLANNED.pixels, shares=FOUND / FOUND.sum(axis=1, keepdims=True), classes=np.arange(4)
)


def test_deviations_and_size_of_the_paper() -> None:
    assert np.round(PLANNED.deviations(), 4).tolist() == [0.4583, 0.4899, 0.3, 0.2179]
    assert round(float(PLANNED.weights @ PLANNED.deviations()), 6) == 0.253088
    shares = relative_shares("neyman", PLANNED)
    huge = PLANNED.pixels * 10**6
    for pixels, exact in ((PLANNED.pixels, 640.49), (huge, 640.54)):
        assert required_units(0.01, shares, PLANNED.deviations(), pixels, 0) == 641
        parts = spread(exact, shares, np.zeros(4, np.int64), pixels)
        of_strata = (WEIGHTS * PLANNED.deviations()) ** 2
        assert np.sqrt((of_strata * (1 / parts - 1 / pixels)).sum()) == pytest.approx(0.01, abs=5e-8)
    assert simple_units(0.85, 0.04, 1.96) == 307


@pytest.mark.parametrize(
    ("kind", "units"),
    [
        ("proportional", [13, 10, 205, 413]),
        ("neyman", [23, 19, 243, 356]),
        ("equal", [161, 160, 160, 160]),
    ],
)
def test_allocations_of_the_paper(kind: str, units: list[int]) -> None:
    shares = relative_shares(kind, PLANNED)  # type: ignore[arg-type]
    assert allocate(641, shares, PLANNED.pixels, 0).tolist() == units


@pytest.mark.parametrize(
    ("units", "areas", "users", "overall"),
    [
        ((160, 160, 160, 160), (0.4489, 0.2881, 1.0685, 1.1551), (0.0258, 0.0351), 0.01171),
        ((13, 10, 205, 413), (0.3566, 0.2826, 0.8093, 0.8496), (0.0938, 0.1474), 0.00884),
        ((23, 19, 243, 356), (0.3411, 0.2457, 0.7900, 0.8402), (0.0693, 0.1042), 0.00864),
        ((100, 100, 149, 292), (0.3652, 0.2198, 0.9253, 0.9716), (0.0327, 0.0444), 0.00992),
        ((75, 75, 165, 325), (0.3491, 0.2129, 0.8792, 0.9230), (0.0378, 0.0514), 0.00943),
    ],
)
def test_expected_errors_of_the_paper(
    units: tuple[int, ...], areas: tuple[float, ...], users: tuple[float, ...], overall: float
) -> None:
    found = expected_errors(np.array(units), OF_TABLE_8, fpc=False)
    assert np.round(100 * found.areas, 4).tolist() == list(areas)
    assert np.round(found.users[:2], 4).tolist() == list(users)
    assert round(found.overall, 5) == overall


def test_the_area_of_loss_needs_points_in_forest() -> None:
    goal = OF_TABLE_8.deviations(0)
    assert np.round(goal, 5).tolist() == [0.32496, 0, 0.07761, 0.0782]
    shares = relative_shares("neyman", OF_TABLE_8, goal=0)
    assert np.round(shares, 4).tolist() == [0.0795, 0, 0.3037, 0.6168]
    assert required_units(0.0025, shares, goal, OF_TABLE_8.pixels * 10**6, 0) == 1071


def test_size_with_a_buffer_stratum() -> None:
    """501.85 units by shares that add to 1; the tutorial's 501.96 comes of products W S that it rounds."""
    weights, share = np.array([0.551, 0.407, 0.0137, 0.0287]), np.array([0.0005, 0.002, 0.8, 0.0075])
    pixels = np.round(weights * 1e13).astype(np.int64)
    deviations = np.sqrt(share * (1 - share))
    exact = ((pixels / pixels.sum()) @ deviations / 0.001716) ** 2
    shares = pixels * deviations / (pixels * deviations).sum()
    assert exact == pytest.approx(501.849, abs=1e-3)
    assert required_units(0.001716, shares, deviations, pixels, 0) == 502


def test_a_stratum_taken_whole_has_no_error() -> None:
    small = Expectation(
        pixels=np.array([50, 10_000]), shares=np.array([[0.5, 0.5], [0.1, 0.9]]), classes=np.arange(2)
    )
    assert expected_errors(np.array([50, 100]), small).users[0] == 0
    assert np.isinf(expected_errors(np.array([1, 100]), small).overall)


strata = st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 1)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(strata=strata, kind=st.sampled_from(ALLOCATIONS), minimum=st.integers(0, 60), data=st.data())
def test_allocations_add_up_within_their_bounds(
    strata: list[tuple[int, float]], kind: str, minimum: int, data: st.DataObject
) -> None:
    pixels = np.array([p for p, _ in strata])
    own = np.array([u for _, u in strata])
    expected = Expectation(
        pixels=pixels, shares=np.stack([own, 1 - own], 1), classes=np.zeros(len(pixels), np.intp)
    )
    low = np.minimum(minimum, pixels)
    total = data.draw(st.integers(int(low.sum()), min(int(pixels.sum()), 100_000 + int(low.sum()))))
    shares = relative_shares(kind, expected, power=0.3)  # type: ignore[arg-type]
    units = allocate(total, shares, pixels, minimum)
    assert units.sum() == total
    assert (units >= low).all()
    assert (units <= pixels).all()
    free = (units > low) & (units < pixels)
    if free.sum() > 1 and shares[free].sum() > 0:  # among those that no bound holds, it is in proportion
        scale = units[free].sum() / shares[free].sum()
        # one that is rounded onto its bound moves what the others add up to by less than a unit
        moved = (~free).sum() * shares[free].max() / shares[free].sum()
        assert np.abs(units[free] - scale * shares[free]).max() < 1 + moved + free.sum() * 1e-6 + 1e-6 * total


def test_what_cannot_be_allocated_is_said() -> None:
    with pytest.raises(UsageError, match="5 units cannot be allocated"):
        allocate(5, np.array([0.5, 0.5]), np.array([100, 100]), 3)
    with pytest.raises(UsageError, match="have 200 pixels"):
        allocate(500, np.array([0.5, 0.5]), np.array([100, 100]), 3)
