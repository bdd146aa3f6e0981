"""What the values of a layer mean in the classes of a legend: crosswalk, identity, and the values left over.

A value without anything in it (null, NaN, blank text) is no class: its feature is left out, unless the
crosswalk has a key null. Text is compared without regard to case, outer spaces, ``_`` and ``-``, in one
Unicode form; 3, 3.0 and "3" are one code. A truth value is the text true or false, or the class yes or no,
and never the number 1 or 0.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import InputError, UsageError
from geoseg.legend import NODATA, Crosswalk, Legend, as_compared, is_ignored

REST = "*"
"""Crosswalk key for every value that has no key of its own."""

_MOST_NAMED = 10
_TRUTH = {True: ("true", "yes"), False: ("false", "no")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which class of a legend each value of a layer stands for.

    Attributes
    ----------
    legend
        The classes.
    crosswalk
        Value to class id; None (ignore) where the value is no class.
    given
        Whether the user gave it; otherwise values are class names or ids.
    has_rest, rest
        What the key ``*`` says about values without a key.
    has_null, null
        What the key ``null`` says about features without a value.
    """

    legend: Legend
    crosswalk: Crosswalk
    given: bool = False
    has_rest: bool = False
    rest: int | None = None
    has_null: bool = False
    null: int | None = None

    @classmethod
    def parse(cls, raw: Mapping[Any, Any] | str | Path | None, legend: Legend) -> Rules:
        """Rules from a crosswalk file or mapping ``{value: class name, id, or "ignore"}``; None is identity.

        Raises
        ------
        InputError
            A file that cannot be read, or a target that is no class of the legend.
        UsageError
            A key that is a truth value.
        """
        mapping = read_crosswalk(raw)
        if mapping is None:
            return cls(legend=legend, crosswalk=Crosswalk.identity(legend))
        nulls = [k for k in mapping if is_null(k)]
        null = Crosswalk.parse({"null": mapping.pop(nulls[0])}, legend).mapping["null"] if nulls else None
        has_rest = REST in mapping
        rest = Crosswalk.parse({REST: mapping.pop(REST)}, legend).mapping[REST] if has_rest else None
        return cls(
            legend=legend,
            crosswalk=Crosswalk.parse(mapping, legend),
            given=True,
            has_rest=has_rest,
            rest=rest,
            has_null=bool(nulls),
            null=null,
        )

    @property
    def constant(self) -> bool:
        """Whether the value does not matter: the crosswalk is ``{"*": class}`` alone."""
        return self.has_rest and not self.crosswalk.mapping

    def knows(self, value: Any) -> bool:
        """Whether a value has a class or is ignored."""
        return is_null(value) or self.has_rest or self._has_key(value)

    def target(self, value: Any) -> int | None:
        """Class id of one known value; None for ignore."""
        if is_null(value):
            return self.null
        return self.crosswalk.target(self._key(value)) if self._has_key(value) else self.rest

    def assign(self, values: Iterable[Any], *, where: object, what: str) -> dict[Hashable, int | None]:
        """Class id (None for ignore) of every distinct value.

        Raises
        ------
        InputError
            Values without a class, all of them listed with how often they occur and the nearest class.
        """
        counted = Counter(None if is_null(v) else v for v in values)
        unknown = [v for v in counted if not self.knows(v)]
        if unknown:
            raise self._unknown({v: counted[v] for v in unknown}, where, what)
        return {v: self.target(v) for v in counted}

    def rank(self, value: Any) -> int:
        """Place of a value in the crosswalk (or of its class in the legend), for overlapping polygons."""
        keys = [str(k).casefold() for k in self.crosswalk.mapping] if self.given else []
        text = str(self._key(value)).casefold()
        if text in keys:
            return keys.index(text)
        target = self.target(value)
        if not self.given and target is not None:
            return self.legend.ids.index(target)
        return len(keys)

    def _key(self, value: Any) -> str | int | float:
        """What the crosswalk may know a value by."""
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, bool):
            known = {as_compared(str(key)) for key in self.crosswalk.mapping}
            return next((word for word in _TRUTH[plain] if word in known), _TRUTH[plain][0])
        return plain if isinstance(plain, str | int | float) else str(plain)

    def _has_key(self, value: Any) -> bool:
        try:
            self.crosswalk.target(self._key(value))
        except UsageError:
            return False
        return True

    def _unknown(self, unknown: Mapping[Any, int], where: object, what: str) -> InputError:
        named = [f"{self._key(v)!r} ({n} {what})" for v, n in list(unknown.items())[:_MOST_NAMED]]
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        known = [str(k) for k in self.crosswalk.mapping if not self.given or isinstance(k, str | int)]
        near = difflib.get_close_matches(str(next(iter(unknown))), known, n=1)
        classes = ", ".join(f"{c.id} {c.name}" for c in self.legend.classes)
        hint = "add them to `crosswalk`, with a class or 'ignore'"
        if any(isinstance(v, bool) for v in unknown):
            hint += '; truth values are "true" and "false" there, in quotes'
        if near:
            hint += f"; {next(iter(unknown))!r} looks like {near[0]!r}"
        return InputError(
            f"values without a class: {', '.join(named)}{more}",
            where=where,
            why=f"classes are {classes}",
            hint=hint,
        )


def legend_of_targets(crosswalk: Mapping[Any, Any], own: Legend | None, *, where: object) -> Legend:
    """Legend of what a crosswalk maps to, where nobody gave one.

    Class numbers stay what they are, and so do classes of `own`, the source's legend; other names are counted
    from 1 in the crosswalk's order.

    Raises
    ------
    InputError
        More classes than a map can hold, or none.
    """
    targets = list(dict.fromkeys(str(t).strip() for t in crosswalk.values() if not is_ignored(t)))
    known = {} if own is None else {as_compared(c.name): c for c in own.classes}
    if not targets:
        raise InputError("the crosswalk leaves no class", where=where, why="it ignores every value")
    if all(t.isdecimal() and int(t) < NODATA for t in targets):
        numbers = sorted({int(t) for t in targets})
        own_names = {} if own is None else {c.id: c.name for c in own.classes}
        classes = {i: own_names.get(i, f"class {i}") for i in numbers}
        return Legend.of(classes, {c.id: c.color for c in own.classes if c.id in classes} if own else None)
    if all(as_compared(t) in known for t in targets):
        return Legend(tuple({c.id: c for c in (known[as_compared(t)] for t in targets)}.values()))
    return numbered(targets, {n: c.color for n, c in known.items()}, where=where)


def numbered(names: Sequence[str], colors: Mapping[str, str] | None = None, *, where: object) -> Legend:
    """Legend of names, counted from 1; `colors` by name as compared. InputError for too many."""
    if len(names) >= NODATA:
        raise InputError(
            f"{len(names)} classes are too many",
            where=where,
            why=f"a map holds {NODATA - 1}",
            hint="a crosswalk that merges them",
        )
    classes = dict(enumerate(names, start=1))
    given = colors or {}
    return Legend.of(
        classes, {i: given[as_compared(n)] for i, n in classes.items() if as_compared(n) in given}
    )


def read_crosswalk(raw: Mapping[Any, Any] | str | Path | None) -> dict[Any, Any] | None:
    """Crosswalk as a mapping from source to target, from a file or as it is; UsageError for another value."""
    if raw is None:
        return None
    from geoseg.strict_yaml import read_yaml

    mapping = dict(raw) if isinstance(raw, Mapping) else read_yaml(raw)
    where = None if isinstance(raw, Mapping) else raw
    for text in (*mapping, *mapping.values()):
        if isinstance(text, bool):
            raise UsageError(
                f"{str(text).lower()} in the crosswalk is a truth value", where=where, hint="put it in quotes"
            )
    for source, target in mapping.items():
        if isinstance(target, list | tuple | Mapping):
            why = "each value has one class, by name or number"
            raise UsageError(
                f"{target!r} in the crosswalk is no class", where=where, why=f"{why}: {source!r}"
            )
    return mapping


def is_null(value: Any) -> bool:
    """Whether a field holds nothing: None, NaN, NaT or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 (NaN and NaT differ from themselves)
    except TypeError:  # pandas' NA is neither equal nor unequal to itself
        return True
