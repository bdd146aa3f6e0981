"""The classes that labels are given in: those of the map, or several of them under one name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.legend import NODATA, LandClass, Legend, as_compared, is_ignored

_REST = "*"
_IGNORE = "ignore"


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Classes of a map under other names.

    Attributes
    ----------
    legend
        The classes of labels and strata.
    table
        (256,) uint8 from the map's class number to the class; 255 where it has none.
    left_out
        Classes of the map that are not assessed.
    """

    legend: Legend
    table: NDArray[np.uint8]
    left_out: tuple[LandClass, ...] = ()


def unmerged(legend: Legend) -> Merged:
    """Classes as they are."""
    table = np.full(256, NODATA, np.uint8)
    table[list(legend.ids)] = legend.ids
    return Merged(legend=legend, table=table)


def merge(legend: Legend, groups: Mapping[Any, Any], *, where: object = None) -> Merged:
    """Classes of a map merged by name.

    Parameters
    ----------
    legend
        The map's classes.
    groups
        ``{number: name}`` of every class, as ``geoseg change`` writes it; or
        ``{name: classes}``: one class or a list, by number or name; ``*`` in a name stands for anything, so
        ``forest -> *`` for every transition away from forest; ``*`` alone for all that no other group has.
        Transitions may be written with ``->``, and ``forest -> forest`` for one that is unchanged. What
        stands under ``ignore`` is not assessed.

    Raises
    ------
    UsageError
        A class that is in no group or in two, or a pattern that fits none.
    """
    if all(isinstance(key, int) for key in groups):
        groups = _by_name(groups)
    taken: dict[int, str] = {}
    rest: str | None = None
    for name, patterns in groups.items():
        group = _IGNORE if is_ignored(name) else str(name).strip()
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            if str(pattern).strip() == _REST:
                if rest is not None:
                    raise UsageError("two groups want all other classes", where=where, why=f"{rest}, {group}")
                rest = group
                continue
            for c in _matching(legend, pattern, where):
                if taken.setdefault(c.id, group) != group:
                    raise UsageError(
                        f"class {c.name!r} is in two groups", where=where, why=f"{taken[c.id]} and {group}"
                    )
    lost = [c for c in legend.classes if c.id not in taken]
    if lost and rest is None:
        raise UsageError(
            f"{len(lost)} classes are in no group",
            where=where,
            why=f"of them {', '.join(repr(c.name) for c in lost[:5])}",
            hint="add them, under 'ignore' if they are not to be assessed; '*' stands for all others",
        )
    taken |= {c.id: str(rest) for c in lost}
    names = [n for n in dict.fromkeys(str(g).strip() for g in groups) if n in taken.values()]
    names = [n for n in names if n != _IGNORE]
    if not names:
        raise UsageError("no class is left to assess", where=where)
    _check_distinct(names, where)
    merged = Legend.of(dict(enumerate(names, 1)))
    table = np.full(256, NODATA, np.uint8)
    for number, group in taken.items():
        if group != _IGNORE:
            table[number] = 1 + names.index(group)
    left_out = tuple(c for c in legend.classes if taken[c.id] == _IGNORE)
    return Merged(legend=merged, table=table, left_out=left_out)


def _by_name(names: Mapping[int, Any]) -> dict[str, list[int]]:
    """Groups by name, of a name for every class number."""
    found: dict[str, list[int]] = {}
    for number, name in names.items():
        found.setdefault(_IGNORE if is_ignored(name) else str(name).strip(), []).append(number)
    return found


def _matching(legend: Legend, pattern: Any, where: object) -> Iterable[LandClass]:
    wanted = _plain(str(pattern))
    expression = ".*".join(map(re.escape, wanted.split(_REST)))
    found = [
        c
        for c in legend.classes
        if wanted in (str(c.id), *_spellings(c.name)) or re.fullmatch(expression, _plain(c.name))
    ]
    if not found:
        near = difflib.get_close_matches(wanted, [_plain(n) for n in legend.names], n=1)
        hint = next((repr(n) for n in legend.names if near and _plain(n) == near[0]), None)
        raise UsageError(
            f"no class {pattern!r} in the map",
            where=where,
            why=f"classes are {', '.join(legend.names)}",
            hint=hint,
        )
    return found


def _spellings(name: str) -> list[str]:
    """Ways to say a class: its name, and for what did not change ``forest -> forest``."""
    plain = _plain(name)
    stayed = plain.removesuffix(" (unchanged)")
    return [plain] if stayed == plain else [plain, f"{stayed} > {stayed}"]


def _plain(name: str) -> str:
    """Name without case and outer spaces, with one arrow whichever way it is drawn."""
    return as_compared(re.sub(r"\s*(?:→|->|=>)\s*", " > ", name))


def _check_distinct(names: list[str], where: object) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(as_compared(name), name)) != name:
            raise UsageError(f"groups {other!r} and {name!r} are one name", where=where)
