"""What the values of a reference mean in the map's classes: crosswalk, identity, and the values left over."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import InputError, UsageError
from geoseg.job import read_yaml
from geoseg.legend import Crosswalk, Legend

REST = "*"
"""Crosswalk key for every value that has no key of its own."""

_NULLS = {"null", "none", "~", ""}
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which class of the map each value of a reference stands for.

    Attributes
    ----------
    legend
        The map's classes.
    crosswalk
        Value to class id; None (ignore) where the value is not to be scored.
    given
        Whether the user gave it; otherwise values are the map's own class names or ids.
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
            A file that cannot be read, or a target that is no class of the map.
        UsageError
            A key that YAML turned into true or false.
        """
        if raw is None:
            return cls(legend=legend, crosswalk=Crosswalk.identity(legend))
        mapping = dict(raw) if isinstance(raw, Mapping) else read_yaml(raw)
        for key in mapping:
            if isinstance(key, bool):
                raise UsageError(
                    f"crosswalk key {str(key).lower()} is a truth value",
                    why="YAML reads a bare yes, no, on or off as true or false",
                    hint="put it in quotes",
                )
        nulls = [k for k in mapping if k is None or str(k).strip().casefold() in _NULLS]
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
        if is_null(value):
            return self.has_null
        return self.has_rest or self._has_key(value)

    def target(self, value: Any) -> int | None:
        """Class id of one known value; None for ignore."""
        if is_null(value):
            return self.null
        return self.crosswalk.target(_plain_value(value)) if self._has_key(value) else self.rest

    def assign(self, values: Iterable[Any], *, where: object, what: str) -> dict[Hashable, int | None]:
        """Class id (None for ignore) of every distinct value.

        Raises
        ------
        InputError
            Values without a class, all of them listed with how often they occur and the nearest class.
        """
        counted = Counter(None if is_null(v) else v for v in values)
        if None in counted and not self.has_null:
            raise InputError(
                f"{counted[None]} of {counted.total()} {what} have no value",
                where=where,
                hint="'null: ignore' in the `crosswalk` file",
            )
        unknown = [v for v in counted if not self.knows(v)]
        if unknown:
            raise self._unknown({v: counted[v] for v in unknown}, where, what)
        return {v: self.target(v) for v in counted}

    def rank(self, value: Any) -> int:
        """Place of a value in the crosswalk (or of its class in the legend), for overlapping polygons."""
        keys = [str(k).casefold() for k in self.crosswalk.mapping] if self.given else []
        text = str(_plain_value(value)).casefold()
        if text in keys:
            return keys.index(text)
        target = self.target(value)
        if not self.given and target is not None:
            return self.legend.ids.index(target)
        return len(keys)

    def _has_key(self, value: Any) -> bool:
        try:
            self.crosswalk.target(_plain_value(value))
        except UsageError:
            return False
        return True

    def _unknown(self, unknown: Mapping[Any, int], where: object, what: str) -> InputError:
        named = [f"{v!r} ({n} {what})" for v, n in list(unknown.items())[:_MOST_NAMED]]
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        known = [str(k) for k in self.crosswalk.mapping if not self.given or isinstance(k, str | int)]
        near = difflib.get_close_matches(str(next(iter(unknown))), known, n=1)
        classes = ", ".join(f"{c.id} {c.name}" for c in self.legend.classes)
        hint = "add them to the `crosswalk` file, with a class of the map or 'ignore'"
        if near:
            hint += f"; {next(iter(unknown))!r} looks like {near[0]!r}"
        return InputError(
            f"values without a class: {', '.join(named)}{more}",
            where=where,
            why=f"classes of the map are {classes}",
            hint=hint,
        )


def is_null(value: Any) -> bool:
    """Whether a field holds nothing: None, NaN, NaT or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 (NaN and NaT differ from themselves)
    except TypeError:  # pandas' NA is neither equal nor unequal to itself
        return True


def _plain_value(value: Any) -> Any:
    """Value as Python's own number or text, the only things a crosswalk compares."""
    plain = value.item() if hasattr(value, "item") else value
    return plain if isinstance(plain, str | int | float) else str(plain)
