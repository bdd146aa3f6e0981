"""How many units each stratum gets, and the standard errors that are to be expected of them.

W_h is a stratum's share of the population, N_h its pixels, n_h its units, S_h the standard deviation of what
is estimated: sqrt(U_h (1 - U_h)) for the overall accuracy, sqrt(q_hk (1 - q_hk)) for the area of class k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError

Allocation = Literal["equal", "proportional", "neyman", "power"]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)

BY_HAND = "by hand"

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_HALVINGS = 200
_LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What is expected of H strata and K classes.

    Attributes
    ----------
    pixels
        (H,) int64: N_h.
    shares
        (H, K) q_hk: expected share of class k in the reference of stratum h; each row adds to 1.
    classes
        (H,) position of each stratum's own map class.
    """

    pixels: Counts
    shares: Floats
    classes: NDArray[np.intp]

    @property
    def weights(self) -> Floats:
        """(H,) W_h."""
        weights: Floats = self.pixels / self.pixels.sum()
        return weights

    @property
    def correct(self) -> Floats:
        """(H,) U_h: expected share of each stratum that the map has right."""
        own: Floats = self.shares[np.arange(len(self.pixels)), self.classes]
        return own

    @property
    def areas(self) -> Floats:
        """(K,) expected share of each class in the population."""
        areas: Floats = self.weights @ self.shares
        return areas

    def deviations(self, goal: int | None = None) -> Floats:
        """(H,) S_h of the overall accuracy, or of the area of the class at position `goal`."""
        share = self.correct if goal is None else self.shares[:, goal]
        deviations: Floats = np.sqrt(share * (1 - share))
        return deviations


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Expected standard errors of an allocation.

    Attributes
    ----------
    overall
        Of the overall accuracy.
    users
        (K,) of each class's user's accuracy; NaN for classes that the map has not.
    areas
        (K,) of each class's share of the population.
    """

    overall: float
    users: Floats
    areas: Floats


def expected_errors(units: Counts, expected: Expectation, *, fpc: bool = True) -> Errors:
    """Standard errors of a stratified sample of n_h units, if shares are as expected.

    Olofsson et al. 2014, eqs. 5, 6 and 10, with the variance of a stratum q (1 - q) / (n_h - 1); with `fpc`
    each is less by the part of the stratum that is in the sample. Infinite where a stratum has no variance
    because of a single unit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        per_unit = expected.weights**2 / (units - 1)
        if fpc:
            per_unit = per_unit * (1 - units / expected.pixels)
    per_unit[units >= expected.pixels] = 0 if fpc else per_unit[units >= expected.pixels]

    def error(share: Floats, of: Floats = per_unit) -> float:
        spread = share * (1 - share)
        return float(np.sqrt((of[spread > 0] * spread[spread > 0]).sum()))

    users = np.full(expected.shares.shape[1], np.nan)
    for k in range(len(users)):
        own = expected.classes == k
        if own.any():
            users[k] = error(expected.correct[own], per_unit[own]) / expected.weights[own].sum()
    return Errors(
        overall=error(expected.correct), users=users, areas=np.array([error(q) for q in expected.shares.T])
    )


def errors_of_simple(n: int, expected: Expectation) -> Errors:
    """Expected standard errors of n units drawn at random from all strata together, p (1 - p) / (n - 1)."""

    def error(share: Any, units: Any) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            result: Floats = np.sqrt(np.asarray(share * (1 - share)) / np.maximum(units - 1, 0))
        return result

    k = expected.shares.shape[1]
    mapped = np.bincount(expected.classes, expected.weights, minlength=k)
    right = np.bincount(expected.classes, expected.weights * expected.correct, minlength=k)
    users = np.full(k, np.nan)
    there = mapped > 0
    users[there] = error(right[there] / mapped[there], n * mapped[there])
    return Errors(overall=float(error(right.sum(), n)), users=users, areas=error(expected.areas, n))


def relative_shares(
    kind: Allocation, expected: Expectation, *, goal: int | None = None, power: float = 0.5
) -> Floats:
    """(H,) shares of the units, adding to 1.

    ``equal``: the same; ``proportional``: W_h; ``power``: W_h ** power, between the two; ``neyman``: W_h S_h,
    the least error of the goal, and proportional where nothing varies.
    """
    weights = expected.weights
    raw = {
        "equal": np.ones_like(weights),
        "proportional": weights,
        "power": weights**power,
        "neyman": weights * expected.deviations(goal),
    }[kind]
    raw = np.where(raw > _LEAST * raw.max(), raw, 0)
    raw = raw if raw.sum() > 0 else weights
    shares: Floats = raw / raw.sum()
    return shares


def spread(total: float, shares: Floats, low: Counts, high: Counts) -> Floats:
    """(H,) real numbers that add to `total`: in proportion to `shares`, but none below `low` or above `high`.

    What the bounds take or leave is redistributed among the others in proportion.

    Raises
    ------
    UsageError
        The bounds leave no room.
    """
    if not low.sum() <= total <= high.sum():
        raise UsageError(
            f"{total:g} units cannot be allocated",
            why=f"the strata take {low.sum():,} at least and have {high.sum():,} pixels",
            hint="another `n`, or a smaller `minimum`",
        )
    if total > (reach := np.where(shares > 0, high, low).sum()):  # the rest has to go where nothing was asked
        rest = np.where(shares > 0, 0, high - low).astype(np.float64)
        reached: Floats = np.where(shares > 0, high, low) + rest * ((total - reach) / rest.sum())
        return reached
    begin, end = 0.0, float((high[shares > 0] / shares[shares > 0]).max(initial=1.0))
    for _ in range(_HALVINGS):
        middle = (begin + end) / 2
        if np.clip(middle * shares, low, high).sum() < total:
            begin = middle
        else:
            end = middle
    result: Floats = np.clip(end * shares, low, high)
    return result


def whole(parts: Floats, total: int) -> Counts:
    """(H,) integers that add to `total`, by largest remainder; of equal ones the first."""
    units = np.floor(parts + 1e-9).astype(np.int64)
    rest = total - int(units.sum())
    order = np.argsort(-np.round(parts - units, 9), kind="stable")
    units[order[:rest]] += 1
    return units


def allocate(total: int, shares: Floats, pixels: Counts, minimum: int) -> Counts:
    """(H,) units of each stratum, `total` in all: in proportion to `shares`, none below `minimum`."""
    return whole(spread(total, shares, np.minimum(minimum, pixels), pixels), total)


def required_units(target: float, shares: Floats, deviations: Floats, pixels: Counts, minimum: int) -> int:
    """Smallest number of units whose allocation has a standard error of `target`.

    Var = sum W_h² S_h² (1 / n_h - 1 / N_h). With Neyman's shares it is Cochran 1977, eq. 5.25 (Olofsson et
    al. 2014, eq. 13), rounded up; with other shares and minima it is what these need.

    Raises
    ------
    UsageError
        Not even the whole population would do.
    """
    low = np.minimum(minimum, pixels)
    of_strata = (pixels / pixels.sum() * deviations) ** 2

    def variance(total: int) -> float:
        varies = of_strata > 0
        parts = spread(total, shares, low, pixels)[varies]
        with np.errstate(divide="ignore"):
            return float((of_strata[varies] * (1 / parts - 1 / pixels[varies])).sum())

    begin, end = int(low.sum()), int(pixels.sum())
    while begin < end:
        middle = (begin + end) // 2
        if variance(middle) <= target**2:
            end = middle
        else:
            begin = middle + 1
    return end


def simple_units(share: float, half_width: float, z: float) -> int:
    """Units of a simple random sample, z² p (1 - p) / d² rounded up, for a share p within d."""
    return int(np.ceil(z**2 * share * (1 - share) / half_width**2))
