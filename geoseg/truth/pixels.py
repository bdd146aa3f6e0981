"""A raster as truth: its values or colours as classes, on a grid of any size and CRS."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.legend import NODATA, Legend
from geoseg.raster.classmap import open_class_map
from geoseg.raster.georeference import placement
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions, called, called_notes
from geoseg.raster.scene import Scene
from geoseg.truth.layer import TruthFile
from geoseg.truth.place import require_overlap
from geoseg.raster.rules import Rules

Labels = NDArray[np.uint8]

_UNKNOWN = 256
"""Marks a value without a class; no class has this number."""

_MOST_NAMED = 10
_LARGEST = 2**53


@dataclass(frozen=True, kw_only=True)
class RasterTruth:
    """Classes of a raster under the pixels of a grid.

    Attributes
    ----------
    scene
        One band of whole numbers of any type and range, or three bands of colours.
    grid
        Where classes are wanted.
    values, classes
        Known values in ascending order, colours as 0xRRGGBB, and the class of each (255: none).
    rest
        Class of every other value; None refuses them.
    difference
        What differs between the two grids; None where pixels lie on their twins.
    """

    scene: Scene
    grid: Grid
    legend: Legend
    values: NDArray[np.int64]
    classes: Labels
    rest: int | None
    difference: str | None
    notes: tuple[str, ...]

    @property
    def kind(self) -> Literal["raster"]:
        """``raster``."""
        return "raster"

    @property
    def files(self) -> tuple[Path, ...]:
        """The raster."""
        return self.scene.paths

    def read(self, window: Window) -> Labels:
        """Class ids (h, w) of a window; 255 where there is none. InputError for a value without a class."""
        if self.difference is None:
            return self._read(window)
        return sample_nearest(self.grid, window, self.scene.grid, self._read, fill=NODATA)

    def fingerprint(self) -> Any:
        """Content of the file and the meaning of its values."""
        small = not len(self.values) or abs(self.values).max() < 2**31
        values = self.values.astype(np.int32) if small else self.values
        digest = hashlib.sha256(values.tobytes() + self.classes.tobytes())
        if self.rest is not None:
            digest.update(f"rest {self.rest}".encode())
        return [self.scene.fingerprint(), digest.hexdigest()]

    @property
    def _coloured(self) -> bool:
        return self.scene.count == 3

    def _read(self, window: Window) -> Labels:
        """Classes of a window of the raster's own grid."""
        bands, valid = self.scene.read(window)
        if self._coloured:
            red, green, blue = bands.astype(np.int64)
            pixels: NDArray[Any] = (red << 16) | (green << 8) | blue
        else:
            (pixels,) = bands
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
        dtype = self.scene.dtype
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
        word = "#{:06X}".format if self._coloured else "{:g}".format
        named = ", ".join(f"{word(v)} ({n} pixels)" for v, n in list(zip(distinct, counts, strict=True))[:10])
        more = f" and {len(distinct) - _MOST_NAMED} more" if len(distinct) > _MOST_NAMED else ""
        hint = "add them to `crosswalk`, with a class or 'ignore'"
        if not self._coloured and distinct.tolist() == [NODATA]:
            hint = f"'{NODATA}: ignore' in `crosswalk` if it means no data, or a class if it is one"
        return InputError(
            f"{'colours' if self._coloured else 'values'} without a class: {named}{more}",
            where=self.scene.name,
            why=f"in rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end}; "
            f"known are {', '.join(word(int(v)) for v in self.values) or 'none'}",
            hint=hint,
        )


def open_pixels(file: TruthFile, grid: Grid, legend: Legend) -> RasterTruth:
    """Truth from a raster of class numbers or colours.

    Without a crosswalk, classes that the file names are those of the same names; one without class names
    counts in the legend's own numbers. A raster without georeference but of the grid's size lies on it pixel
    by pixel: so masks come that were painted over pictures.

    Raises
    ------
    InputError
        A file that cannot be used, class names that the legend lacks, no common area.
    UsageError
        Colours without a crosswalk.
    """
    notes: list[str] = []
    reading = _georeference(file, grid, notes)
    bands = None if file.band is None else [file.band]
    rules = Rules.parse(file.crosswalk, legend)
    scene = open_scene(file.path, bands=bands, **reading)
    if _is_coloured(scene):
        table = _colours(file, rules)
    else:
        class_map = open_class_map(file.path, band=file.band, **reading)
        scene, table = class_map.scene, _numbers(file, class_map.declared, rules)
    values = sorted(v for v in table if abs(v) < _LARGEST)
    difference = grid.difference(scene.grid)
    notes = [*called_notes(scene.notes, file.names), *notes]
    if difference is not None:
        notes.append(_alignment_note(file, grid, scene.grid, difference))
    require_overlap(scene.grid.bounds, scene.grid.crs, grid, file)
    ignored = {v: NODATA if c is None else c for v, c in table.items()}
    return RasterTruth(
        scene=scene,
        grid=grid,
        legend=legend,
        values=np.array(values, np.int64),
        classes=np.array([ignored[v] for v in values], np.uint8),
        rest=(NODATA if rules.rest is None else rules.rest) if rules.has_rest else None,
        difference=difference,
        notes=tuple(notes),
    )


def legend_of_raster(file: TruthFile, grid: Grid) -> Legend | None:
    """Classes that a raster names, or that occur in it; None where it holds colours."""
    with called(file.names):
        reading = _georeference(file, grid, [])
        scene = open_scene(file.path, bands=None if file.band is None else [file.band], **reading)
        if _is_coloured(scene):
            return None
        return open_class_map(file.path, band=file.band, **reading).legend


def grid_of_raster(file: TruthFile, grid: Grid) -> Grid:
    """Where a raster's pixels lie; one without georeference lies on `grid`."""
    reading = _georeference(file, grid, [])
    return open_scene(file.path, bands=None if file.band is None else [file.band], **reading).grid


def _is_coloured(scene: Scene) -> bool:
    return scene.count == 3 and scene.dtype == np.uint8


def _georeference(file: TruthFile, grid: Grid, notes: list[str]) -> ReadingOptions:
    """Options that say where the raster lies."""
    reading = file.reading
    if reading.get("assume_transform") is not None or reading.get("pixel_size") is not None:
        return reading
    placed, shape = placement(file.path, allow_vrt=reading.get("allow_vrt", False))
    if placed:
        return reading
    if shape != grid.shape:
        raise InputError(
            f"a {file.role} without georeference has to be of the {file.ground}'s size",
            where=file.path,
            why=f"found {shape[1]} columns and {shape[0]} rows, "
            f"the {file.ground} has {grid.width} and {grid.height}",
            hint=f"cut it to the {file.ground}, or give it a georeference",
        )
    notes.append(f"the {file.role} has no georeference and lies on the {file.ground} pixel by pixel")
    return {**reading, "assume_crs": grid.crs, "assume_transform": grid.transform}


def _colours(file: TruthFile, rules: Rules) -> dict[int, int | None]:
    """Class id (None: ignored) of every colour of the crosswalk, as 0xRRGGBB."""
    pairs = {
        int(key[1:], 16): target
        for key, target in rules.crosswalk.mapping.items()
        if isinstance(key, str) and re.fullmatch("#[0-9A-Fa-f]{6}", key)
    }
    if not pairs and not rules.has_rest:
        raise UsageError(
            "three bands of colours need a crosswalk",
            where=file.path,
            hint='`crosswalk` with {"#3C1098": building, ...}, or `band`',
        )
    return pairs


def _numbers(file: TruthFile, own: Legend | None, rules: Rules) -> dict[int, int | None]:
    """Class id (None: ignored) of every pixel value that the rules or the raster's own names cover."""
    if not rules.given:
        if own is None:
            return {i: i for i in rules.legend.ids}
        names = rules.assign(own.names, where=file.path, what=f"classes of the {file.role}")
        return {c.id: names[c.name] for c in own.classes}
    table: dict[int, int | None] = {}
    for key, target in rules.crosswalk.mapping.items():
        text = str(key).strip()
        if re.fullmatch(r"-?\d{1,18}", text):
            table[int(text)] = target
        elif own is not None:
            table[own.find(text).id] = target
        else:
            raise InputError(
                f"crosswalk key {key!r} is a name, but the {file.role} has no class names",
                where=file.path,
                hint="the pixel value instead",
            )
    return table


def _alignment_note(file: TruthFile, grid: Grid, source: Grid, difference: str) -> str:
    """How pixels of the raster were brought to the grid, in words."""
    width, height = grid.ground_size
    own_width, own_height = source.ground_size
    ratio = (width * height / (own_width * own_height)) ** 0.5
    size = f"{own_width:.3g} x {own_height:.3g} m against {width:.3g} x {height:.3g} m"
    note = (
        f"{file.role} on another grid ({difference}): each {file.ground} pixel takes the {file.role} pixel "
        "under its centre"
    )
    if ratio > 1.05:
        note += f"; {file.role} pixels are {ratio:.3g} times finer ({size}), most of them are not looked at"
    elif ratio < 0.95:
        note += f"; {file.role} pixels are {1 / ratio:.3g} times coarser ({size})"
    return note
