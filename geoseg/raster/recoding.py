"""From the values of a raster to class numbers: whole numbers of any type and range, or colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Window
from geoseg.legend import NODATA, Legend
from geoseg.raster.rules import Rules
from geoseg.raster.scene import Scene

Labels = NDArray[np.uint8]

_UNKNOWN = 256
"""Marks a value without a class; no class has this number."""

_MOST_NAMED = 10
_LARGEST = 2**53
_COLOUR = re.compile("#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3})")


@dataclass(frozen=True, kw_only=True)
class Recoding:
    """Which class every value of a raster stands for.

    Attributes
    ----------
    values, classes
        Known values in ascending order, colours as 0xRRGGBB, and the class of each (255: none).
    rest
        Class of every other value; None refuses them.
    dtype
        Pixel type of the raster.
    coloured
        Whether values are colours, red, green and blue in three bands.
    """

    values: NDArray[np.int64]
    classes: Labels
    rest: int | None
    dtype: np.dtype[Any]
    coloured: bool

    @classmethod
    def by_number(cls, scene: Scene, rules: Rules, own: Legend | None) -> Recoding:
        """Recoding of class numbers; `own` are the names that the raster itself has for its numbers.

        Without a crosswalk, classes that the raster names are those of the same names; one without class
        names counts in the legend's own numbers.

        Raises
        ------
        InputError
            Names that are none of the raster's or none of the legend's.
        """
        if rules.given:
            pairs = rules.crosswalk.mapping.items()
            return cls._of(scene, rules, {_number(key, scene, own): target for key, target in pairs})
        if own is None:
            return cls._of(scene, rules, {i: i for i in rules.legend.ids})
        names = rules.assign(own.names, where=scene.name, what="classes of the raster")
        return cls._of(scene, rules, {c.id: names[c.name] for c in own.classes})

    @classmethod
    def by_colour(cls, scene: Scene, rules: Rules) -> Recoding:
        """Recoding of colours, keys like ``"#3C1098"``; UsageError without any, or with another key."""
        keys = rules.crosswalk.mapping if rules.given else {}
        table = {_colour(key, scene): target for key, target in keys.items()}
        if not table and not rules.has_rest:
            raise UsageError(
                "three bands of colours need a crosswalk",
                where=scene.name,
                hint='`crosswalk` with {"#3C1098": building, ...}, or `band`',
            )
        nodata = [band.nodata for band in scene.bands]
        if None not in nodata:
            red, green, blue = (int(v) for v in nodata if v is not None)
            table.setdefault(red << 16 | green << 8 | blue, None)
        return cls._of(scene, rules, table, coloured=True)

    @classmethod
    def _of(
        cls, scene: Scene, rules: Rules, table: Mapping[int, int | None], *, coloured: bool = False
    ) -> Recoding:
        values = sorted(v for v in table if abs(v) < _LARGEST)
        targets = [table[v] for v in values]
        return cls(
            values=np.array(values, np.int64),
            classes=np.array([NODATA if t is None else t for t in targets], np.uint8),
            rest=(NODATA if rules.rest is None else rules.rest) if rules.has_rest else None,
            dtype=scene.dtype,
            coloured=coloured,
        )

    def read(self, scene: Scene, window: Window) -> Labels:
        """Class ids (h, w) of a window of a scene; 255 where there is none.

        Raises
        ------
        InputError
            A value without a class; all of them are named.
        """
        bands, valid = scene.read(window)
        if self.coloured:
            red, green, blue = bands.astype(np.int64)
            pixels: NDArray[Any] = (red << 16) | (green << 8) | blue
        else:
            (pixels,) = bands
        found = self._classes_of(pixels)
        unknown = valid & (found == _UNKNOWN)
        if unknown.any():
            raise self._unknown(pixels[unknown], scene, window)
        return np.where(valid, found, NODATA).astype(np.uint8)

    def claimed(self, scene: Scene, asked: float | None) -> Scene:
        """Scene in which no value that stands for a class is nodata, whatever its file's tag says.

        A colour is nodata as a whole, not where one of its three bands holds that value.

        Raises
        ------
        UsageError
            A value that was `asked` to be nodata and that stands for a class.
        """
        if self.coloured:
            return _without_nodata(scene)
        nodata = scene.nodata
        if nodata is None or nodata not in self.values[self.classes != NODATA]:
            return scene
        if asked is not None:
            raise UsageError(
                f"value {nodata:g} cannot be both nodata and a class",
                where=scene.name,
                why="`nodata` says the one, `crosswalk` the other",
                hint="leave out one of them",
            )
        note = f"{scene.paths[0].name}: its tag calls {nodata:g} nodata, the crosswalk a class; it is a class"
        return replace(_without_nodata(scene), notes=(*scene.notes, note))

    def _classes_of(self, pixels: NDArray[Any]) -> NDArray[np.uint16]:
        """Class of every pixel, 256 where its value has none."""
        if self.coloured or self.dtype.kind == "f" or self.dtype.itemsize > 2:
            return self._search(pixels)
        found: NDArray[np.uint16] = self._table[pixels.view(f"u{self.dtype.itemsize}")]
        return found

    @cached_property
    def _table(self) -> NDArray[np.uint16]:
        """Classes of all values of a small pixel type, by their bits as an unsigned number."""
        bits = np.arange(2 ** (8 * self.dtype.itemsize)).astype(f"u{self.dtype.itemsize}")
        return self._search(bits.view(self.dtype))

    def _search(self, pixels: NDArray[Any]) -> NDArray[np.uint16]:
        rest = _UNKNOWN if self.rest is None else self.rest
        if not len(self.values):
            return np.full(pixels.shape, rest, np.uint16)
        at = np.minimum(np.searchsorted(self.values, pixels), len(self.values) - 1)
        classes = self.classes.astype(np.uint16)  # 256 does not fit uint8
        found: NDArray[np.uint16] = np.where(self.values[at] == pixels, classes[at], np.uint16(rest))
        return found

    def _unknown(self, values: NDArray[Any], scene: Scene, window: Window) -> InputError:
        distinct, counts = np.unique(values, return_counts=True)
        word = "#{:06X}".format if self.coloured else "{:g}".format
        named = ", ".join(f"{word(v)} ({n} pixels)" for v, n in list(zip(distinct, counts, strict=True))[:10])
        more = f" and {len(distinct) - _MOST_NAMED} more" if len(distinct) > _MOST_NAMED else ""
        hint = "add them to `crosswalk`, with a class or 'ignore'"
        if not self.coloured and distinct.tolist() == [NODATA]:
            hint = f"'{NODATA}: ignore' in `crosswalk` if it means no data, or a class if it is one"
        return InputError(
            f"{'colours' if self.coloured else 'values'} without a class: {named}{more}",
            where=scene.name,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}; "
            f"known are {', '.join(word(int(v)) for v in self.values) or 'none'}",
            hint=hint,
        )


def _without_nodata(scene: Scene) -> Scene:
    return replace(scene, bands=tuple(replace(band, nodata=None) for band in scene.bands))


def is_coloured(scene: Scene) -> bool:
    """Whether pixels are colours, red, green and blue in three bands of bytes."""
    return scene.count == 3 and scene.dtype == np.uint8


def _colour(key: str | int, scene: Scene) -> int:
    """Colour that a key of a crosswalk names, 0xRRGGBB; #F00 is short for #FF0000."""
    text = str(key).strip()
    if _COLOUR.fullmatch(text):
        digits = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
        return int(digits, 16)
    raise UsageError(
        f"crosswalk key {key!r} is no colour",
        where=scene.name,
        why="the raster has three bands of colours",
        hint='keys in quotes, like "#3C1098", and "*" for all other colours; or `band`',
    )


def _number(key: str | int, scene: Scene, own: Legend | None) -> int:
    """Value that a key of a crosswalk names."""
    text = str(key).strip()
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if own is not None:
        return own.find(text).id
    raise InputError(
        f"crosswalk key {key!r} is a name, but the raster has no class names",
        where=scene.name,
        hint="the pixel value instead",
    )
