"""A raster as truth: its values or colours as classes, on a grid of any size and CRS."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geoseg.errors import InputError
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.legend import NODATA, Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.georeference import placement
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import ReadingOptions, called, called_notes
from geoseg.raster.recoding import Labels, Recoding, is_coloured
from geoseg.raster.rules import Rules
from geoseg.raster.scene import Scene
from geoseg.truth.layer import TruthFile
from geoseg.truth.place import require_overlap


@dataclass(frozen=True, kw_only=True)
class RasterTruth:
    """Classes of a raster under the pixels of a grid.

    Attributes
    ----------
    scene
        One band of whole numbers of any type and range, or three bands of colours.
    grid
        Where classes are wanted.
    recoding
        Class of every value.
    difference
        What differs between the two grids; None where pixels lie on their twins.
    """

    scene: Scene
    grid: Grid
    legend: Legend
    recoding: Recoding
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
        known, rest = self.recoding.values, self.recoding.rest
        small = not len(known) or abs(known).max() < 2**31
        values = known.astype(np.int32) if small else known
        digest = hashlib.sha256(values.tobytes() + self.recoding.classes.tobytes())
        if rest is not None:
            digest.update(f"rest {rest}".encode())
        return [self.scene.fingerprint(), digest.hexdigest()]

    def _read(self, window: Window) -> Labels:
        """Classes of a window of the raster's own grid."""
        return self.recoding.read(self.scene, window)


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
    scene = open_scene(file.path, bands=bands, categorical=True, **reading)
    if is_coloured(scene):
        recoding = Recoding.by_colour(scene, rules)
    else:
        class_map = open_class_map(file.path, band=file.band, **reading)
        scene = class_map.scene
        recoding = Recoding.by_number(scene, rules, class_map.declared)
    scene = recoding.claimed(scene, reading.get("nodata"))
    difference = grid.difference(scene.grid)
    notes = [*called_notes(scene.notes, file.names), *notes]
    if difference is not None:
        notes.append(_alignment_note(file, grid, scene.grid, difference))
    require_overlap(scene.grid.bounds, scene.grid.crs, grid, file)
    return RasterTruth(
        scene=scene,
        grid=grid,
        legend=legend,
        recoding=recoding,
        difference=difference,
        notes=tuple(notes),
    )


def class_map_of(file: TruthFile, grid: Grid) -> ClassMap | None:
    """A raster as a class map of its own; None where it holds colours."""
    with called(file.names):
        reading = _georeference(file, grid, [])
        bands = None if file.band is None else [file.band]
        scene = open_scene(file.path, bands=bands, categorical=True, **reading)
        return None if is_coloured(scene) else open_class_map(file.path, band=file.band, **reading)


def grid_of_raster(file: TruthFile, grid: Grid) -> Grid:
    """Where a raster's pixels lie; one without georeference lies on `grid`."""
    reading = _georeference(file, grid, [])
    bands = None if file.band is None else [file.band]
    return open_scene(file.path, bands=bands, categorical=True, **reading).grid


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
