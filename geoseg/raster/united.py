"""Several class maps read as one stack: one grid, and the classes of them all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Grid, Window
from geoseg.legend import NODATA, LandClass, Legend, as_compared
from geoseg.raster.classmap import ClassMap
from geoseg.raster.rules import REST


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
            Maps on different grids, numbers without a name, or a crosswalk of classes that no map has.
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
        if crosswalk is not None:
            maps = [one.recoded(lines_for(crosswalk, one, maps)) for one in maps]
        legend, tables = united(_legends(maps, crosswalk))
        return cls(maps=tuple(maps), legend=legend, tables=tuple(tables))

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.maps[0].grid

    @property
    def notes(self) -> tuple[str, ...]:
        """Which maps count in the numbers of another, since they name no classes themselves."""
        named = next((one.path.name for one in self.maps if one.declared is not None), None)
        unnamed = [one.path.name for one in self.maps if one.declared is None]
        if named is None or not unnamed:
            return ()
        return (f"no class names in {', '.join(unnamed)}: numbers mean what {named} calls them",)

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


def lines_for(crosswalk: Mapping[Any, Any], one: ClassMap, maps: Sequence[ClassMap]) -> dict[Any, Any]:
    """Lines of a crosswalk that concern one map of several: no names that only the others have."""
    return {k: v for k, v in crosswalk.items() if _has(one, k) or not any(_has(m, k) for m in maps)}


def _has(classes: ClassMap, key: Any) -> bool:
    """Whether a crosswalk's key is a value, or a class that a map names."""
    if not isinstance(key, str) or key == REST or key.strip().lstrip("-").isdecimal():
        return True
    return classes.declared is not None and key in classes.declared


def united(legends: Sequence[Legend]) -> tuple[Legend, list[NDArray[np.int64]]]:
    """(classes of several maps together, a table for each): equal names are one class of any number.

    Case and outer spaces of a name do not count. A table is (256,) int64 from a map's label to the position
    in the joined legend of K classes; K (unknown) for 255, K + 1 for labels outside the map's own legend.
    """
    legend = _union(legends)
    place = {as_compared(name): k for k, name in enumerate(legend.names)}
    tables = []
    for old in legends:
        table = np.full(256, len(legend) + 1, np.int64)
        table[NODATA] = len(legend)
        for c in old.classes:
            table[c.id] = place[as_compared(c.name)]
        tables.append(table)
    return legend, tables


def _union(legends: Sequence[Legend]) -> Legend:
    """Legend of all names; a class keeps the colour and, if it is free, the id of the first map with it."""
    found: dict[str, LandClass] = {}
    taken: set[int] = set()
    for c in (c for legend in legends for c in legend.classes):
        if as_compared(c.name) in found:
            continue
        free = c.id if c.id not in taken else next((i for i in range(NODATA) if i not in taken), None)
        if free is None:
            raise InputError(
                f"more than {NODATA} classes in all maps together", hint="merge some with `crosswalk`"
            )
        taken.add(free)
        found[as_compared(c.name)] = replace(c, id=free)
    return Legend(tuple(found.values()))
