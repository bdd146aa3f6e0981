"""Several class maps read as one stack: one grid, and the classes of them all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA, LandClass, Legend, as_compared, is_ignored
from geoseg.raster.classmap import ClassMap


@dataclass(frozen=True, kw_only=True)
class UnitedMaps:
    """Class maps on one grid in terms of the classes of them all; holds no open file.

    Attributes
    ----------
    maps
        The maps, in the order in which they are read.
    legend
        Their classes, unique by name.
    tables
        Of each map, (256,) int64 from label to position in `legend`; see `united`.
    """

    maps: tuple[ClassMap, ...]
    legend: Legend
    tables: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, maps: Sequence[ClassMap], crosswalk: Mapping[Any, Any] | None = None) -> UnitedMaps:
        """Maps together.

        Numbers of a map that names no classes mean what the first map with names calls them.

        Raises
        ------
        InputError
            Maps on different grids, or numbers without a name.
        UsageError
            A crosswalk that leaves classes out.
        """
        for other in maps[1:]:
            difference = maps[0].grid.difference(other.grid)
            if difference is not None:
                raise InputError(
                    f"not on the grid of {maps[0].path.name}",
                    where=other.path,
                    why=difference,
                    hint="bring all maps to one grid first: gdalwarp -r near -t_srs ... -te ... -ts ...",
                )
        legends = _legends(maps, crosswalk)
        names = [m.path.name for m in maps]
        legend, tables = united(legends, [crosswalk] * len(maps), names)
        return cls(maps=tuple(maps), legend=legend, tables=tuple(tables))

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.maps[0].grid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Positions (maps, h, w) in the legend; its length where there is no class.

        InputError lists labels that a map's own legend has not.
        """
        out = np.empty((len(self.maps), *window.shape), np.uint8)
        for k, (one, table) in enumerate(zip(self.maps, self.tables, strict=True)):
            labels = one.read(window)
            found = table[labels]
            if (strays := found > len(self.legend)).any():
                values = np.unique(labels[strays]).tolist()
                raise InputError(
                    f"holds class {', '.join(map(str, values))}, which is not in its legend",
                    where=one.path,
                    hint="`legend` with a name for it",
                )
            out[k] = found
        return out


def _legends(maps: Sequence[ClassMap], crosswalk: Mapping[Any, Any] | None) -> list[Legend]:
    declared = next((m.declared for m in maps if m.declared is not None), None)
    if declared is None or crosswalk is not None:
        return [m.legend for m in maps]
    legends = []
    for one in maps:
        strange = [] if one.declared else [str(v) for v in one.values() if v not in declared.ids]
        if strange:
            raise InputError(
                "names no classes, another map does",
                where=one.path,
                why=f"values {', '.join(strange)} are none of its numbers "
                f"({', '.join(f'{c.id} {c.name}' for c in declared.classes)})",
                hint="`legend` with their names, or `crosswalk`",
            )
        legends.append(one.declared or declared)
    return legends


def united(
    legends: Sequence[Legend], crosswalks: Sequence[Mapping[Any, Any] | None], maps: Sequence[str]
) -> tuple[Legend, list[NDArray[np.int64]]]:
    """(classes of several maps together, a table for each): equal names are one class of any number.

    Case and outer spaces of a name do not count. A table is (256,) int64 from a map's label to the position
    in the joined legend of K classes; K (unknown) for 255 and for what the crosswalk ignores, K + 1 for
    labels outside the map's own legend.

    Parameters
    ----------
    legends
        Of the maps.
    crosswalks
        Of each map, ``{class name or id: new name, or "ignore"}`` for every class of it; it may merge some.
        Keys of classes that only other maps have are passed over, and so are numbers that occur in none.
    maps
        What errors call them.

    Raises
    ------
    UsageError
        A crosswalk that leaves a class of its map out, with the classes it lacks.
    """
    names = [_renamed(*each, legends) for each in zip(legends, crosswalks, maps, strict=True)]
    legend = _union(legends, names)
    place = {as_compared(name): k for k, name in enumerate(legend.names)}
    tables = []
    for old, new in zip(legends, names, strict=True):
        table = np.full(256, len(legend) + 1, np.int64)
        table[NODATA] = len(legend)
        for c in old.classes:
            name = new[c.id]
            table[c.id] = len(legend) if name is None else place[as_compared(name)]
        tables.append(table)
    return legend, tables


def _renamed(
    legend: Legend, crosswalk: Mapping[Any, Any] | None, called: str, legends: Sequence[Legend]
) -> dict[int, str | None]:
    """Name of each class id in the joined legend; None for ignored ones."""
    if crosswalk is None:
        return {c.id: c.name for c in legend.classes}
    given: dict[int, str | None] = {}
    for source, target in crosswalk.items():
        if (own := _class_id(source, legend, legends)) is not None:
            given[own] = None if is_ignored(target) else str(target).strip()
    missing = [c for c in legend.classes if c.id not in given]
    if missing:
        raise UsageError(
            f"the crosswalk of the map {called} leaves out {', '.join(repr(c.name) for c in missing)}",
            why=f"it maps {', '.join(map(str, crosswalk))}",
            hint="add every class, with 'ignore' for those that should count as unknown",
        )
    return given


def _class_id(source: Any, legend: Legend, legends: Sequence[Legend]) -> int | None:
    """Class id that a crosswalk key means in a legend; None if it is a class of other maps alone."""
    try:
        return legend.find(source).id
    except InputError as error:
        if str(source).strip().isdecimal():
            return None
        others = [other for other in legends if other != legend]
        if not any(as_compared(str(source)) == as_compared(n) for other in others for n in other.names):
            raise error
        return None


def _union(legends: Sequence[Legend], names: Sequence[Mapping[int, str | None]]) -> Legend:
    """Legend of all names; a class keeps the colour and, if it is free, the id of the first map with it."""
    found: dict[str, LandClass] = {}
    taken: set[int] = set()
    for legend, new in zip(legends, names, strict=True):
        for c in legend.classes:
            name = new[c.id]
            if name is None or as_compared(name) in found:
                continue
            free = c.id if c.id not in taken else next((i for i in range(NODATA) if i not in taken), None)
            if free is None:
                raise InputError(
                    f"more than {NODATA} classes in all maps together", hint="merge some with `crosswalk`"
                )
            taken.add(free)
            found[as_compared(name)] = LandClass(id=free, name=name, color=c.color)
    if not found:
        raise InputError("no class is left to compare", why="the crosswalks ignore all of them")
    return Legend(tuple(found.values()))
