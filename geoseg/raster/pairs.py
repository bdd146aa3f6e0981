"""Codes of a raster whose pixels hold a pair of classes: before and after, or true and mapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA, LandClass, Legend

_MOST_UINT8_CODES = 254
_UINT16_NODATA = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class PairClass:
    """One pair as a style shows it: its code, what it is called, and its colour."""

    id: int
    name: str
    color: str


@dataclass(frozen=True, kw_only=True)
class PairCodes:
    """What the pixel values of a raster of pairs mean.

    Attributes
    ----------
    legend
        The classes on either side.
    table
        (K + 1, K + 1) uint16 from (first position, second position) to code; `nodata` in the last row and
        column, and for pairs without a code.
    dtype, nodata
        uint8 and 255, or uint16 and 65535.
    same, other
        Name of a pair of one class and of two, with ``{0}`` and ``{1}`` in the places of their names.
    """

    legend: Legend
    table: NDArray[np.uint16]
    dtype: str
    nodata: int
    same: str = "{0} (unchanged)"
    other: str = "{0} → {1}"

    @classmethod
    def of(
        cls,
        legend: Legend,
        counts: NDArray[np.int64] | None = None,
        *,
        same: str = "{0} (unchanged)",
        other: str = "{0} → {1}",
    ) -> PairCodes:
        """Codes of all pairs, ``first * K + second``, so that a code can be taken apart again.

        Where these do not fit 8 bits but the pairs that occur, by their `counts` (K + 1, K + 1), do, those
        are numbered from 0 in the same order instead.
        """
        k = len(legend)
        pairs = np.arange(k * k).reshape(k, k)
        small = k * k <= _MOST_UINT8_CODES
        if not small and counts is not None and np.count_nonzero(counts[:k, :k]) <= _MOST_UINT8_CODES:
            small, occurs = True, counts[:k, :k] > 0
            pairs = np.where(occurs, np.cumsum(occurs).reshape(k, k) - 1, NODATA)
        nodata = NODATA if small else _UINT16_NODATA
        table = np.full((k + 1, k + 1), nodata, np.uint16)
        table[:k, :k] = pairs
        return cls(
            legend=legend,
            table=table,
            dtype="uint8" if small else "uint16",
            nodata=nodata,
            same=same,
            other=other,
        )

    @cached_property
    def pairs(self) -> Mapping[int, tuple[int, int]]:
        """Positions of the two classes of every code, in order of code."""
        firsts, seconds = np.nonzero(self.table != self.nodata)
        found = zip(self.table[firsts, seconds].tolist(), firsts.tolist(), seconds.tolist(), strict=True)
        return {code: (i, j) for code, i, j in sorted(found)}

    def items(self) -> list[tuple[int, LandClass, LandClass]]:
        """(code, first class, second class) of every pair, in order of code."""
        classes = self.legend.classes
        return [(code, classes[i], classes[j]) for code, (i, j) in self.pairs.items()]

    def name(self, code: int) -> str:
        """``forest → pasture``, or ``forest (unchanged)``."""
        i, j = self.pairs[code]
        names = self.legend.names
        return (self.same if i == j else self.other).format(names[i], names[j])

    def color(self, code: int) -> str:
        """``#RRGGBB``: the second class's own colour, a pale tint of it where both are the same."""
        i, j = self.pairs[code]
        rgb: Sequence[int] = self.legend.classes[j].rgb
        if i == j:
            rgb = [round(255 - (255 - v) * 0.25) for v in rgb]
        return "#" + "".join(f"{v:02X}" for v in rgb)

    def classes(self, occurring: Collection[int]) -> list[PairClass]:
        """The codes that occur, as a style shows them."""
        chosen = [code for code in self.pairs if code in occurring]
        return [PairClass(id=code, name=self.name(code), color=self.color(code)) for code in chosen]

    def as_legend(self, occurring: Collection[int]) -> Legend | None:
        """Legend of the codes that occur, for a uint8 raster; None for a uint16 one: its codes do not fit."""
        if self.dtype != "uint8":
            return None
        return Legend(tuple(LandClass(id=c.id, name=c.name, color=c.color) for c in self.classes(occurring)))
