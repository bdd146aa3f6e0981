"""The classes of two dates brought together, and the codes of a from-to raster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.legend import NODATA, LandClass, Legend, as_compared

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
        (256,) int64 from a map's label to the position in `legend`; K (unknown) for 255 and for labels that
        the crosswalk ignores, K + 1 for labels outside the map's own legend.
    """

    legend: Legend
    before: NDArray[np.int64]
    after: NDArray[np.int64]


def join(
    before: Legend,
    after: Legend,
    crosswalk_before: Mapping[Any, Any] | None = None,
    crosswalk_after: Mapping[Any, Any] | None = None,
) -> Classes:
    """Classes of two maps together: equal names are one class, whatever their numbers, case and outer spaces.

    Parameters
    ----------
    before, after
        Legends of the two maps.
    crosswalk_before, crosswalk_after
        ``{class name or id: new name, or "ignore"}`` for every class of that map; it may merge classes.

    Raises
    ------
    UsageError
        A crosswalk that leaves a class of its map out, with the classes it lacks.
    """
    names = [
        _renamed(legend, other, crosswalk, which)
        for legend, other, crosswalk, which in (
            (before, after, crosswalk_before, "before"),
            (after, before, crosswalk_after, "after"),
        )
    ]
    legend = _union((before, after), names)
    plain = [as_compared(name) for name in legend.names]
    tables = []
    for old, new in zip((before, after), names, strict=True):
        table = np.full(256, len(legend) + 1, np.int64)
        table[NODATA] = len(legend)
        for c in old.classes:
            name = new[c.id]
            table[c.id] = len(legend) if name is None else plain.index(as_compared(name))
        tables.append(table)
    return Classes(legend=legend, before=tables[0], after=tables[1])


def _renamed(
    legend: Legend, other: Legend, crosswalk: Mapping[Any, Any] | None, which: str
) -> dict[int, str | None]:
    """Name of each class id in the joined legend; None for ignored ones.

    Keys of classes that only the other map has are passed over, so that one crosswalk serves both, and so are
    numbers that occur in neither.
    """
    if crosswalk is None:
        return {c.id: c.name for c in legend.classes}
    given: dict[int, str | None] = {}
    for source, target in crosswalk.items():
        ignored = target is None or str(target).casefold() in {"ignore", "nodata"}
        if (own := _class_id(source, legend, other)) is not None:
            given[own] = None if ignored else str(target).strip()
    missing = [c for c in legend.classes if c.id not in given]
    if missing:
        raise UsageError(
            f"the crosswalk of the map {which} leaves out {', '.join(repr(c.name) for c in missing)}",
            why=f"it maps {', '.join(map(str, crosswalk))}",
            hint="add every class, with 'ignore' for those that should count as unknown",
        )
    return given


def _class_id(source: Any, legend: Legend, other: Legend) -> int | None:
    """Class id that a crosswalk key means in a legend; None if it is a class of the other map alone."""
    try:
        return legend.find(source).id
    except InputError:
        if str(source).strip().isdecimal():
            return None
        other.find(source)
        return None


def _union(legends: tuple[Legend, ...], names: list[dict[int, str | None]]) -> Legend:
    """Legend of all names; a class keeps the colour and, if it is free, the id of the first map with it."""
    found: dict[str, LandClass] = {}
    for legend, new in zip(legends, names, strict=True):
        for c in legend.classes:
            name = new[c.id]
            if name is not None and as_compared(name) not in found:
                taken = {k.id for k in found.values()}
                free = c.id if c.id not in taken else next((i for i in range(NODATA) if i not in taken), None)
                if free is None:
                    raise InputError(
                        f"more than {NODATA} classes in the two maps together",
                        hint="merge some with `crosswalk`",
                    )
                found[as_compared(name)] = LandClass(id=free, name=name, color=c.color)
    if not found:
        raise InputError("no class is left to compare", why="the crosswalks ignore all of them")
    return Legend(tuple(found.values()))


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
