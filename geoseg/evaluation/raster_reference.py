"""A raster as reference: its values as the map's classes, on the map's grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.evaluation.job import REFERENCE_NAMES, ReferenceJob
from geoseg.evaluation.rules import Rules
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.legend import NODATA, Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.reading import called, called_notes

Labels = NDArray[np.uint8]

_UNKNOWN = 256
"""Marks a value without a class; no class has this number."""


@dataclass(frozen=True, kw_only=True)
class RasterReference:
    """Labels of a reference raster under the pixels of a map.

    Attributes
    ----------
    raster
        The reference; values of any type and range, as long as they are whole numbers.
    grid
        The map's grid.
    values, classes
        Known values in ascending order, and the class of each (255: ignored).
    rest
        Class of every other value; None refuses them.
    difference
        What differs between the two grids; None where pixels lie on their twins.
    notes
        What the user should know.
    """

    raster: ClassMap
    grid: Grid
    values: NDArray[np.int64]
    classes: Labels
    rest: int | None
    difference: str | None
    notes: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``raster``."""
        return "raster"

    def pairs(self, window: Window, labels: Labels) -> tuple[Labels, Labels]:
        """(reference labels, map labels) of a window's pixels; 255 where the reference does not score."""
        if self.difference is None:
            return self._read(window), labels
        sampled = sample_nearest(self.grid, window, self.raster.grid, self._read, fill=NODATA)
        return sampled, labels

    def _read(self, window: Window) -> Labels:
        """Classes of a window of the reference's own grid."""
        (pixels,), valid = self.raster.scene.read(window)
        if pixels.dtype == np.uint8 and NODATA not in self.values:
            valid &= pixels != NODATA
        found = self._classes_of(pixels)
        unknown = valid & (found == _UNKNOWN)
        if unknown.any():
            raise self._unknown(pixels[unknown], window)
        return np.where(valid, found, NODATA).astype(np.uint8)

    def _classes_of(self, pixels: NDArray[Any]) -> NDArray[np.uint16]:
        """Class of every pixel, 256 where its value has none."""
        if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
            bits = pixels.view(f"u{pixels.dtype.itemsize}")
            found: NDArray[np.uint16] = self._table[bits]
            return found
        return self._search(pixels)

    @cached_property
    def _table(self) -> NDArray[np.uint16]:
        """Classes of all values of the pixel type, by their bits as an unsigned number."""
        dtype = self.raster.scene.dtype
        bits = np.arange(2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}")
        return self._search(bits.view(dtype))

    def _search(self, pixels: NDArray[Any]) -> NDArray[np.uint16]:
        rest = _UNKNOWN if self.rest is None else self.rest
        if not len(self.values):
            return np.full(pixels.shape, rest, np.uint16)
        at = np.minimum(np.searchsorted(self.values, pixels), len(self.values) - 1)
        classes = self.classes.astype(np.uint16)  # 256 does not fit uint8
        found: NDArray[np.uint16] = np.where(self.values[at] == pixels, classes[at], np.uint16(rest))
        return found

    def _unknown(self, values: NDArray[Any], window: Window) -> InputError:
        distinct, counts = np.unique(values, return_counts=True)
        named = ", ".join(f"{v:g} ({n} pixels)" for v, n in list(zip(distinct, counts, strict=True))[:10])
        return InputError(
            f"values without a class: {named}",
            where=self.raster.path,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}; "
            f"known are {', '.join(map(str, self.values.tolist()))}",
            hint="add them to the `crosswalk` file, with a class of the map or 'ignore'",
        )


def open_raster_reference(job: ReferenceJob, grid: Grid, legend: Legend) -> RasterReference:
    """Reference from a raster of class numbers.

    Without a crosswalk, classes that both files name are the same where their names are; a raster without
    class names counts in the map's own class numbers.

    Raises
    ------
    InputError
        A file that cannot be used, class names that the map lacks, no common area.
    """
    with called(REFERENCE_NAMES):
        raster = open_class_map(job.reference, band=job.reference_band, **job.reference_reading)
    rules = Rules.parse(job.crosswalk, legend)
    table = _value_table(raster, rules)
    values = np.array(sorted(table), np.int64)
    ignored = {v: NODATA if c is None else c for v, c in table.items()}
    difference = grid.difference(raster.grid)
    notes = list(called_notes(raster.scene.notes, REFERENCE_NAMES))
    if difference is not None:
        notes.append(_alignment_note(grid, raster.grid, difference))
    return RasterReference(
        raster=raster,
        grid=grid,
        values=values,
        classes=np.array([ignored[v] for v in values.tolist()], np.uint8),
        rest=(NODATA if rules.rest is None else rules.rest) if rules.has_rest else None,
        difference=difference,
        notes=tuple(notes),
    )


def _value_table(raster: ClassMap, rules: Rules) -> Mapping[int, int | None]:
    """Class id (None: ignored) of every pixel value that the rules or the raster's own names cover."""
    own = raster.declared
    if not rules.given:
        if own is None:
            return {i: i for i in rules.legend.ids}
        names = rules.assign(own.names, where=raster.path, what="classes of the reference")
        return {c.id: names[c.name] for c in own.classes}
    table: dict[int, int | None] = {}
    for key, target in rules.crosswalk.mapping.items():
        text = str(key).strip()
        if text.lstrip("-").isdecimal():
            table[int(text)] = target
        elif own is not None:
            table[own.find(text).id] = target
        else:
            raise InputError(
                f"crosswalk key {key!r} is a name, but the reference has no class names",
                where=raster.path,
                hint="the pixel value instead",
            )
    return table


def _alignment_note(grid: Grid, source: Grid, difference: str) -> str:
    """How reference pixels were brought to the map's grid, in words."""
    width, height = grid.ground_size
    own_width, own_height = source.ground_size
    ratio = (width * height / (own_width * own_height)) ** 0.5
    size = f"{own_width:.3g} x {own_height:.3g} m against {width:.3g} x {height:.3g} m"
    note = (
        f"reference on another grid ({difference}): each map pixel takes the reference pixel under its centre"
    )
    if ratio > 1.05:
        note += f"; reference pixels are {ratio:.3g} times finer ({size}), most of them are not looked at"
    elif ratio < 0.95:
        note += f"; reference pixels are {1 / ratio:.3g} times coarser ({size})"
    return note
