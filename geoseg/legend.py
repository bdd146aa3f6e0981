"""Legends: which number in a class map means what, and how one legend maps onto another."""

from __future__ import annotations

import colorsys
import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError

Kind = Literal["stuff", "thing"]

NODATA = 255
"""The label of every pixel that has no class, in every class map that geoseg writes."""

# Okabe & Ito (2008), then Tol's muted scheme (2021): told apart with any colour vision, also each by itself
_PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999",
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499",
)  # fmt: skip

# what readers of maps expect of a name, by how its words begin
_EXPECTED = {
    "#0072B2": "water hydro river lake sea ocean reservoir",
    "#009E73": "forest tree wood",
    "#117733": "vegetation plant",
    "#F0E442": "grass pasture meadow savanna herbaceous",
    "#E69F00": "crop agricultur farm field cultivated",
    "#D55E00": "urban built building construction settlement developed residential house roof",
    "#999999": "road railway paved impervious",
    "#56B4E9": "wetland swamp marsh mangrove",
    "#DDCC77": "bare barren soil sand beach rock",
    "#999933": "shrub bush scrub",
    "#88CCEE": "snow ice glacier cloud",
}
_FOREST = "#009E73"
_ALIKE = 0.14  # of the colour circle
_GREY = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LandClass:
    """One class of a legend.

    Attributes
    ----------
    id
        Pixel value, 0 to 254.
    name
        Name shown in tables and attribute fields.
    color
        ``#RRGGBB``.
    kind
        ``thing`` where it is made of objects that can be counted.
    """

    id: int
    name: str
    color: str
    kind: Kind = "stuff"

    def __post_init__(self) -> None:
        if not 0 <= self.id < NODATA:
            raise InputError("class id out of range", why=f"found {self.id}, expected 0 to {NODATA - 1}")
        if not self.name.strip():
            raise InputError("class without a name", why=f"class id {self.id}")
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", self.color):
            raise InputError(f"colour of class {self.name!r} is not #RRGGBB", why=f"found {self.color!r}")
        if self.kind not in ("stuff", "thing"):
            raise InputError(
                f"class {self.name!r} is of an unknown kind",
                why=f"found {self.kind!r}, expected stuff or thing",
            )

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as (red, green, blue), each 0 to 255."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)


@dataclass(frozen=True, slots=True)
class Legend:
    """The classes of a map in ascending order of id; 255 is always nodata and never a class."""

    classes: tuple[LandClass, ...]

    def __post_init__(self) -> None:
        ids = [c.id for c in self.classes]
        if len(set(ids)) != len(ids):
            raise InputError("class id used twice in the legend", why=f"ids {sorted(ids)}")
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise InputError("class name used twice in the legend", why=f"names {names}")
        object.__setattr__(self, "classes", tuple(sorted(self.classes, key=lambda c: c.id)))

    @classmethod
    def of(cls, classes: Mapping[int, str], colors: Mapping[int, str] | None = None) -> Legend:
        """Legend from ``{id: name}`` and optional ``{id: '#RRGGBB'}``.

        A class without a colour gets the one that its name makes expect (blue for water), else the next of a
        palette for any colour vision that no other class has and that looks like none with an expected one.
        """
        chosen = _colors(classes, colors or {})
        return cls(tuple(LandClass(id=i, name=name, color=chosen[i]) for i, name in sorted(classes.items())))

    @classmethod
    def from_json(cls, items: Sequence[Mapping[str, Any]]) -> Legend:
        """Legend from a list of ``{"id", "name", "color"}``, the form in bundles and manifests.

        Things say so in a further ``"kind"``.
        """
        return cls(
            tuple(
                LandClass(
                    id=int(d["id"]), name=str(d["name"]), color=str(d["color"]), kind=d.get("kind", "stuff")
                )
                for d in items
            )
        )

    def to_json(self) -> list[dict[str, Any]]:
        """List of ``{"id", "name", "color"}``, and ``"kind"`` of things."""
        return [
            {"id": c.id, "name": c.name, "color": c.color} | ({"kind": c.kind} if c.kind == "thing" else {})
            for c in self.classes
        ]

    def __len__(self) -> int:
        return len(self.classes)

    def __contains__(self, name_or_id: str | int) -> bool:
        return self._known(name_or_id) is not None

    @property
    def ids(self) -> tuple[int, ...]:
        """Class ids in ascending order."""
        return tuple(c.id for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in order of id."""
        return tuple(c.name for c in self.classes)

    @property
    def things(self) -> tuple[LandClass, ...]:
        """Classes made of objects."""
        return tuple(c for c in self.classes if c.kind == "thing")

    def name(self, class_id: int) -> str:
        """Name of a class id; an id outside the legend is named ``class <id>``."""
        return next((c.name for c in self.classes if c.id == class_id), f"class {class_id}")

    def index_of(self) -> NDArray[np.int16]:
        """Lookup table (256,) int16 from pixel value to position in the legend; -1 where there is none."""
        table = np.full(256, -1, np.int16)
        table[list(self.ids)] = np.arange(len(self))
        return table

    def find(self, name_or_id: str | int) -> LandClass:
        """Class of that id or name (case and spaces forgiven); InputError suggests the nearest name."""
        found = self._known(name_or_id)
        if found is not None:
            return found
        wanted = as_compared(str(name_or_id))
        near = difflib.get_close_matches(wanted, [as_compared(n) for n in self.names], n=1)
        hint = next((f"{c.name!r}" for c in self.classes if near and as_compared(c.name) == near[0]), None)
        raise InputError(
            f"no class {name_or_id!r} in the legend", why=f"classes are {', '.join(self.names)}", hint=hint
        )

    def forests(self) -> tuple[LandClass, ...]:
        """Classes that are called forest, or trees, in one word or several; not those that say no or loss."""
        return tuple(c for c in self.classes if _expected(c.name) == _FOREST)

    def find_all(self, text: str | int) -> tuple[LandClass, ...]:
        """Classes that a text like ``forest,water`` names; a name that has commas itself comes first.

        InputError as in `find`.
        """
        parts, found = str(text).split(","), []
        while parts:
            for count in range(len(parts), 0, -1):
                known = self._known(",".join(parts[:count]))
                if known is not None or count == 1:
                    break
            if known is not None or parts[0].strip():
                found.append(known or self.find(parts[0].strip()))
            parts = parts[count:]
        return tuple(found)

    def _known(self, name_or_id: str | int) -> LandClass | None:
        """Class of exactly that id, else of that name with case and spaces forgiven."""
        wanted = as_compared(str(name_or_id))
        for c in self.classes:
            if c.id == name_or_id or str(c.id) == str(name_or_id).strip():
                return c
        return next((c for c in self.classes if as_compared(c.name) == wanted), None)


def _colors(classes: Mapping[int, str], given: Mapping[int, str]) -> dict[int, str]:
    """Colour of every class: given, expected of its name, or of the palette."""
    chosen = {i: given[i] for i in sorted(classes) if i in given}
    for i, name in sorted(classes.items()):
        if i not in chosen and (color := _expected(name)) and color not in chosen.values():
            chosen[i] = color
    taken = [_hue(color) for color in chosen.values()]
    free = [color for color in _PALETTE if color not in chosen.values()] or list(_PALETTE)
    free.sort(key=lambda color: _alike(_hue(color), taken))  # stable: the palette's order otherwise
    rest = [i for i in sorted(classes) if i not in chosen]
    return chosen | {i: free[k % len(free)] for k, i in enumerate(rest)}


def _expected(name: str) -> str | None:
    """Colour that a name makes expect; None for what is said not to be there, or to change."""
    words = re.findall(r"[a-z]+", name.casefold())
    if {"no", "non", "not", "other", "loss", "gain", "change", "cleared"} & set(words):
        return None
    # the last word is what it is: a forest road is a road
    for word in reversed(words):
        for color, begins in _EXPECTED.items():
            if word.startswith(tuple(begins.split())):
                return color
    return None


def _hue(color: str) -> float | None:
    """Place on the colour circle, 0 to 1; None for grey."""
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    return hue if saturation > _GREY else None


def _alike(hue: float | None, others: Sequence[float | None]) -> bool:
    """Whether a hue lies near one of the others."""
    if hue is None:
        return None in others
    return any(other is not None and _apart(hue, other) < _ALIKE for other in others)


def _apart(one: float, other: float) -> float:
    return min(abs(one - other), 1 - abs(one - other))


def class_numbers(values: Sequence[int | str], legend: Legend | None, *, where: object) -> tuple[int, ...]:
    """Class numbers, ascending, of an option that names classes by number or name.

    Without a legend only numbers will do; UsageError says so.
    """
    if legend is not None:
        return tuple(sorted({c.id for value in values for c in legend.find_all(value)}))
    parts = [part.strip() for value in values for part in str(value).split(",") if part.strip()]
    for part in parts:
        if not part.isdecimal():
            raise UsageError(
                f"class {part!r} is a name, and the map has none", where=where, hint="its number"
            )
    return tuple(sorted({int(part) for part in parts}))


def is_ignored(target: Any) -> bool:
    """Whether a crosswalk's target says that a value is no class: nothing, ``ignore`` or ``nodata``."""
    return target is None or str(target).strip().casefold() in {"ignore", "nodata"}


def as_compared(name: str) -> str:
    """Name as it is compared: without case, outer spaces, ``_`` and ``-``, and in one Unicode form."""
    return re.sub(r"[\s_\-]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """A total mapping from another legend's values to class ids of ours; None means ignore.

    Attributes
    ----------
    mapping
        Source value (number or text, as it stands in the reference) to class id, or None.
    """

    mapping: Mapping[str | int, int | None]

    @classmethod
    def parse(cls, raw: Mapping[Any, Any], legend: Legend) -> Crosswalk:
        """Crosswalk from ``{source: class name or id or "ignore"}`` against a legend.

        Raises
        ------
        InputError
            A target that is no class of the legend.
        """
        mapping: dict[str | int, int | None] = {}
        for source, target in raw.items():
            key: str | int = str(source)
            if isinstance(source, int | float) and not isinstance(source, bool) and source == source // 1:
                key = int(source)
            if is_ignored(target):
                mapping[key] = None
            else:
                mapping[key] = legend.find(target).id
        return cls(mapping)

    @classmethod
    def identity(cls, legend: Legend) -> Crosswalk:
        """Crosswalk that keeps every id, and maps every class name to its id."""
        mapping: dict[str | int, int | None] = {i: i for i in legend.ids}
        mapping.update({c.name: c.id for c in legend.classes})
        return cls(mapping)

    def target(self, value: Any) -> int | None:
        """Class id for one source value, None for ignore; UsageError names a value that is not mapped."""
        for key in _spellings(value):
            if key in self.mapping:
                return self.mapping[key]
        plain = {as_compared(k): v for k, v in self.mapping.items() if isinstance(k, str)}
        if isinstance(value, str) and as_compared(value) in plain:
            return plain[as_compared(value)]
        raise UsageError(
            f"value {value!r} is not in the crosswalk",
            why=f"mapped are {', '.join(map(str, self.mapping))}",
            hint="add it to the `crosswalk` file, with 'ignore' if it should not be scored",
        )


def _spellings(value: Any) -> list[str | int]:
    """Ways a value may be written as a key: 3, 3.0 and "3" are the same class code."""
    keys: list[str | int] = []
    if isinstance(value, str):
        keys.append(value)
        if re.fullmatch(r"-?\d+", value.strip()):
            keys.append(int(value))
    else:
        number = float(value)
        if number.is_integer():
            keys += [int(number), str(int(number))]
        keys.append(str(value))
    return keys
