"""Transitions between two maps: pixels and area by (class before, class after), additive over chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import HECTARE
from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.raster.store import digest

UNCHANGED, CHANGED = 0, 1
"""Kinds of pixels that are known at both dates."""

Labels = NDArray[np.uint8]
Positions = NDArray[np.int64]
Numbers = NDArray[np.int32]


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

    def undone(self, part: Transitions) -> Transitions:
        """These, with a part of the changes taken back: its pixels have the class before at both dates."""
        return Transitions(
            names=self.names,
            counts=self.counts - part.counts + np.diag(part.counts.sum(axis=1)),
            units=self.units - part.units + np.diag(part.units.sum(axis=1)),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTables:
    """What labels of two maps mean together: the position before and after as one number.

    The number of a pixel is ``before * (K + 2) + after``, positions as in `before` and `after`.

    Attributes
    ----------
    names
        The K classes of both dates together.
    before, after
        (256,) int64 from label to position in `names`, K for unknown, K + 1 for labels without a meaning.
    kind
        ((K + 2) squared,) uint8 by number: `CHANGED`, `UNCHANGED`, or `NODATA` where either is unknown.
    undone
        ((K + 2) squared,) int32 by number: that of the class before at both dates.
    """

    names: tuple[str, ...]
    before: Positions
    after: Positions
    kind: NDArray[np.uint8]
    undone: Numbers

    @classmethod
    def of(cls, names: tuple[str, ...], before: Positions, after: Positions) -> PairTables:
        """Tables of two maps whose labels are at these positions."""
        k = len(names)
        first, second = np.divmod(np.arange((k + 2) ** 2, dtype=np.int32), k + 2)
        kind = np.where(first == second, UNCHANGED, CHANGED).astype(np.uint8)
        kind[(first >= k) | (second >= k)] = NODATA
        undone = np.where(kind == NODATA, first * (k + 2) + second, first * (k + 3)).astype(np.int32)
        return cls(names=names, before=before, after=after, kind=kind, undone=undone)

    def numbers(self, before: Labels, after: Labels) -> Numbers:
        """Numbers (h, w) int32 of labels (h, w) uint8.

        Raises
        ------
        InputError
            Labels without a meaning, listed.
        """
        k = len(self.names)
        for labels, position, which in ((before, self.before, "before"), (after, self.after, "after")):
            stray = position == k + 1
            if stray.any() and (met := stray[labels]).any():
                strays = np.unique(labels[met]).tolist()
                raise InputError(
                    f"the map {which} holds class {', '.join(map(str, strays))}, which is not in its legend",
                    hint="`legend` with a name for it",
                )
        dates = np.ascontiguousarray(before), np.ascontiguousarray(after)
        found: Numbers = _numbers(*dates, (self.before * (k + 2)).astype(np.int32), self.after)
        return found

    def digest(self, numbers: Numbers) -> str:
        """Digest of numbers (h, w), of as few bytes as hold them."""
        side = len(self.names) + 2
        return digest(numbers.astype(np.min_scalar_type(side * side - 1)))

    def codes(self, table: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """((K + 2) squared,) by number: the codes of a (K + 1, K + 1) table."""
        return np.pad(table, (0, 1), mode="edge").ravel()

    def count(self, numbers: Numbers, areas: NDArray[np.int64], unit: float) -> Transitions:
        """Transitions of numbers (h, w) whose areas, (h, 1) or (h, w), are in multiples of `unit`."""
        side = len(self.names) + 2
        counts, units = np.zeros((2, side * side), np.int64)
        _add(np.ascontiguousarray(numbers), np.ascontiguousarray(areas), counts, units)
        counts, units = (a.reshape(side, side)[:-1, :-1].copy() for a in (counts, units))
        return Transitions(names=self.names, counts=counts, units=units, unit=unit)


@kernel("u1[:,:], u1[:,:], i4[:], i8[:]")
def _numbers(before, after, first, second):  # type: ignore[no-untyped-def]
    out = np.empty(before.shape, np.int32)
    for r in range(before.shape[0]):
        for c in range(before.shape[1]):
            out[r, c] = first[before[r, c]] + second[after[r, c]]
    return out


@kernel("i4[:,:], i8[:,:], i8[:], i8[:]")
def _add(numbers, areas, counts, units):  # type: ignore[no-untyped-def]
    along = 0 if areas.shape[1] == 1 else 1
    for r in range(numbers.shape[0]):
        for c in range(numbers.shape[1]):
            counts[numbers[r, c]] += 1
            units[numbers[r, c]] += areas[r, c * along]
