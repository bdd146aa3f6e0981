"""The classes of two dates brought together, and the codes of a from-to raster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA, LandClass, Legend, as_compared
from geoseg.raster.united import united

UNKNOWN = "unknown"
"""Kind of a transition that has no class at one of the two dates, and the name of that lack."""

_MOST_UINT8_CODES = 254
_UINT16_NODATA = 65_535


def name_of_unknown(names: Collection[str]) -> str:
    """Name of the row and column without a class: ``unknown``, or another where a class is called that."""
    return UNKNOWN if all(as_compared(n) != UNKNOWN for n in names) else "no class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of one map in terms of the classes of both dates together.

    Attributes
    ----------
    legend
        Classes of both dates, unique by name.
    before, after
        (256,) int64 from a map's label to the position in `legend`; K (unknown) for 255, K + 1 for labels
        outside the map's own legend.
    """

    legend: Legend
    before: NDArray[np.int64]
    after: NDArray[np.int64]


def join(before: Legend, after: Legend) -> Classes:
    """Classes of two maps together; see `united`."""
    legend, (of_before, of_after) = united((before, after))
    return Classes(legend=legend, before=of_before, after=of_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """What the pixel values of a from-to raster mean.

    Attributes
    ----------
    legend
        The classes of both dates.
    table
        (K + 1, K + 1) uint16 from (position before, position after) to code: ``before * K + after``, so that
        a code can be taken apart again; `nodata` in the last row and column.
    dtype, nodata
        uint8 and 255 where K * K codes fit below it, else uint16 and 65535.
    """

    legend: Legend
    table: NDArray[np.uint16]
    dtype: str
    nodata: int

    @classmethod
    def of(cls, legend: Legend) -> Codes:
        """Codes of every transition among the classes of a legend."""
        k = len(legend)
        small = k * k <= _MOST_UINT8_CODES
        nodata = NODATA if small else _UINT16_NODATA
        table = np.full((k + 1, k + 1), nodata, np.uint16)
        table[:k, :k] = np.arange(k * k).reshape(k, k)
        return cls(legend=legend, table=table, dtype="uint8" if small else "uint16", nodata=nodata)

    def items(self) -> list[tuple[int, LandClass, LandClass]]:
        """(code, class before, class after) of every transition, in order of code."""
        classes, k = self.legend.classes, len(self.legend)
        return [(i * k + j, classes[i], classes[j]) for i in range(k) for j in range(k)]

    def name(self, code: int) -> str:
        """``forest → pasture``, or ``forest (unchanged)``."""
        before, after = divmod(code, len(self.legend))
        names = self.legend.names
        return f"{names[before]} (unchanged)" if before == after else f"{names[before]} → {names[after]}"

    def color(self, code: int) -> str:
        """``#RRGGBB``: the new class's own colour where it changed, a pale tint of it where it did not."""
        before, after = divmod(code, len(self.legend))
        rgb = self.legend.classes[after].rgb
        if before == after:
            rgb = tuple(round(255 - (255 - v) * 0.25) for v in rgb)  # type: ignore[assignment]
        return "#" + "".join(f"{v:02X}" for v in rgb)

    def as_legend(self, occurring: Collection[int]) -> Legend | None:
        """Legend of the codes that occur, for a uint8 raster; None for a uint16 one: its codes do not fit."""
        if self.dtype != "uint8":
            return None
        return Legend(
            tuple(
                LandClass(id=code, name=self.name(code), color=self.color(code))
                for code, _, _ in self.items()
                if code in occurring
            )
        )
