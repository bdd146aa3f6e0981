"""Transitions between two maps: pixels and area by (class before, class after), additive over chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import HECTARE, Grid, Window, pixel_areas

_STRIP = 256
"""Rows whose pixel areas are held at a time."""

Labels = NDArray[np.uint8]
Positions = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Transitions:
    """Counts and areas by class before (rows) and after (columns); the last row and column are *unknown*.

    Attributes
    ----------
    names
        The K classes of both dates together.
    counts
        (K + 1, K + 1) int64 pixels. Nodata in either date is unknown, never unchanged.
    units
        (K + 1, K + 1) int64 area in whole multiples of `unit`; integers, so that the sum over chunks does not
        depend on their order or size.
    unit
        Square metres, a power of two (see `geoseg.geometry.integer_areas`).
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    units: NDArray[np.int64]
    unit: float

    def __post_init__(self) -> None:
        shape = (len(self.names) + 1,) * 2
        if self.counts.shape != shape or self.units.shape != shape:
            raise ValueError(f"{shape} expected, found {self.counts.shape} and {self.units.shape}")

    @classmethod
    def zero(cls, names: tuple[str, ...], unit: float) -> Transitions:
        """No transition at all: the neutral element of ``+``."""
        shape = (len(names) + 1,) * 2
        return cls(names=names, counts=np.zeros(shape, np.int64), units=np.zeros(shape, np.int64), unit=unit)

    @classmethod
    def sum(cls, parts: Iterable[Transitions], names: tuple[str, ...], unit: float) -> Transitions:
        """Sum of any number of parts, in any order."""
        total = cls.zero(names, unit)
        for part in parts:
            total = total + part
        return total

    def __add__(self, other: Transitions) -> Transitions:
        if (self.names, self.unit) != (other.names, other.unit):
            raise ValueError("transitions of different classes or area units")
        return Transitions(
            names=self.names,
            counts=self.counts + other.counts,
            units=self.units + other.units,
            unit=self.unit,
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Transitions)
            and (self.names, self.unit) == (other.names, other.unit)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.units, other.units)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @cached_property
    def hectares(self) -> NDArray[np.float64]:
        """(K + 1, K + 1) geodesic hectares."""
        area: NDArray[np.float64] = self.units.astype(np.float64) * (self.unit / HECTARE)
        return area

    @property
    def known(self) -> NDArray[np.float64]:
        """(K, K) hectares of pixels that have a class at both dates."""
        return self.hectares[:-1, :-1]

    @property
    def before(self) -> NDArray[np.float64]:
        """Hectares of each class before, among the pixels known at both dates."""
        area: NDArray[np.float64] = self.known.sum(axis=1)
        return area

    @property
    def after(self) -> NDArray[np.float64]:
        """Hectares of each class after, among the pixels known at both dates."""
        area: NDArray[np.float64] = self.known.sum(axis=0)
        return area

    @property
    def persistence(self) -> NDArray[np.float64]:
        """Hectares of each class that stayed what they were."""
        return np.diagonal(self.known).copy()

    @property
    def losses(self) -> NDArray[np.float64]:
        """Hectares of each class that became another."""
        return self.before - self.persistence

    @property
    def gains(self) -> NDArray[np.float64]:
        """Hectares of each class that were another."""
        return self.after - self.persistence

    @property
    def unknown(self) -> float:
        """Hectares with a class at one date and none at the other."""
        return float(self.hectares[-1, :-1].sum() + self.hectares[:-1, -1].sum())

    @property
    def changed(self) -> float:
        """Hectares that are known at both dates and differ."""
        return float(self.losses.sum())


def count_transitions(
    before: Labels,
    after: Labels,
    *,
    names: tuple[str, ...],
    positions: tuple[Positions, Positions],
    grid: Grid,
    window: Window,
    unit: float,
) -> Transitions:
    """Transitions in one window.

    Parameters
    ----------
    before, after
        uint8 labels (height, width) of the window, 255 nodata.
    names
        The K classes of both dates together.
    positions
        (256,) int64 before and after from label to position in `names`, K for unknown, K + 1 for labels
        without a meaning.
    grid, window
        Where the pixels lie, for their areas.
    unit
        See `geoseg.geometry.integer_areas`.

    Raises
    ------
    InputError
        Labels without a meaning, listed.
    """
    k = len(names)
    counts, units = np.zeros((k + 2, k + 2), np.int64), np.zeros((k + 2, k + 2), np.int64)
    for strip in window.blocks(_STRIP, window.width):
        rows, _ = strip.slices_in(window)
        areas = np.rint(pixel_areas(grid, strip) / unit).astype(np.int64)
        _add(before[rows], after[rows], positions, areas, counts, units)
    for labels, position, strays, which in (
        (before, positions[0], counts[-1], "before"),
        (after, positions[1], counts[:, -1], "after"),
    ):
        if strays.any():
            values = np.unique(labels[position[labels] == k + 1]).tolist()
            raise InputError(
                f"the map {which} holds class {', '.join(map(str, values))}, which is not in its legend",
                hint="`legend` with a name for it",
            )
    return Transitions(names=names, counts=counts[:-1, :-1], units=units[:-1, :-1], unit=unit)


@njit(nogil=True, cache=True)
def _add(
    before: Labels,
    after: Labels,
    positions: tuple[Positions, Positions],
    areas: NDArray[np.int64],
    counts: NDArray[np.int64],
    units: NDArray[np.int64],
) -> None:
    """Add every pixel's one and its area to (before, after); `areas` is (height, width) or (height, 1)."""
    along = 0 if areas.shape[1] == 1 else 1
    for r in range(before.shape[0]):
        for c in range(before.shape[1]):
            i, j = positions[0][before[r, c]], positions[1][after[r, c]]
            counts[i, j] += 1
            units[i, j] += areas[r, c * along]


@njit(nogil=True, cache=True)
def encode(
    before: Labels,
    after: Labels,
    positions: tuple[Positions, Positions],
    codes: NDArray[np.uint16],
) -> NDArray[np.uint16]:
    """From-to codes (height, width) uint16, looked up in `codes` (K + 1, K + 1)."""
    out = np.empty(before.shape, np.uint16)
    for r in range(before.shape[0]):
        for c in range(before.shape[1]):
            out[r, c] = codes[positions[0][before[r, c]], positions[1][after[r, c]]]
    return out
