"""What one worker does to one chunk: read it with its neighbours' edge pixels, label, measure, trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.geometry.integer_areas import integer_areas
from geoseg.legend import NODATA
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.shapes import ChunkShapes, shapes_of
from geoseg.raster.classmap import ClassMap
from geoseg.raster.scene import Scene
from geoseg.regions.clean import Cleaning
from geoseg.regions.sieve import Patch, Seams, Sieve, Sifted, Undecided

_AS_IT_IS = Cleaning()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One chunk, as a task gets it.

    Attributes
    ----------
    window
        Its pixels.
    patches
        What became of the regions that it could not decide itself, for the sieves that are through.
    """

    window: Window
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSource:
    """What a worker reads chunks from; it holds no open file and can be pickled.

    Attributes
    ----------
    classes
        The class map.
    confidence
        Raster of confidence on the same grid, or None.
    area_unit
        Square metres of a unit of area.
    only
        Class numbers to keep, or None for all; the others count as nodata.
    cleaning
        What is done to the pixels before.
    generalization
        How borders are simplified; windows are then made of whole cells.
    """

    classes: ClassMap
    confidence: Scene | None
    area_unit: float
    only: tuple[int, ...] | None
    cleaning: Cleaning = _AS_IT_IS
    generalization: Generalization | None = None

    def shapes(self, part: Part) -> ChunkShapes:
        """Regions of a chunk, when all sieves are through."""
        window = part.window
        classes = self._cleaned(part)
        if self.only is not None:
            table = np.full(256, NODATA, np.uint8)
            table[list(self.only)] = self.only
            classes = table[classes]
        return shapes_of(
            classes,
            row=window.row,
            col=window.col,
            scene_width=self.classes.grid.width,
            areas=integer_areas(self.classes.grid, window, self.area_unit),
            confidence=None if self.confidence is None else percent(self.confidence, window),
            generalization=self.generalization,
        )

    def undecided(self, part: Part) -> Undecided:
        """What a chunk leaves to its neighbours of the sieve after those that are through."""
        sieve = self.cleaning.sieves[len(part.patches)]
        return self._sifted(sieve, self._cleaned(part), part.window).undecided(self._seams(part.window))

    def _cleaned(self, part: Part) -> NDArray[np.uint8]:
        """(h + 2, w + 2): filtered classes with one pixel around, after the sieves that are through."""
        grid, inner = self.classes.grid, part.window.grow(1).clip(*self.classes.grid.shape)
        around = inner.grow(self.cleaning.reach).clip(*grid.shape)
        classes = self.cleaning.filtered(self.classes.read(around))[inner.slices_in(around)]
        rims = (
            (inner.row - part.window.row + 1, part.window.row_end + 1 - inner.row_end),
            (inner.col - part.window.col + 1, part.window.col_end + 1 - inner.col_end),
        )
        classes = np.pad(classes, rims, constant_values=NODATA)
        for sieve, patch in zip(self.cleaning.sieves, part.patches, strict=False):
            classes = self._sifted(sieve, classes, part.window).painted(patch)
        return classes

    def _sifted(self, sieve: Sieve, classes: NDArray[np.uint8], window: Window) -> Sifted:
        areas = integer_areas(self.classes.grid, window, self.area_unit) if sieve.by_area else None
        return sieve.sift(classes, self._seams(window), areas)

    def _seams(self, window: Window) -> Seams:
        height, width = self.classes.grid.shape
        return Seams(
            top=window.row > 0,
            bottom=window.row_end < height,
            left=window.col > 0,
            right=window.col_end < width,
        )


def percent(confidence: Scene, window: Window) -> NDArray[np.uint8]:
    """Confidence (h, w) in percent, 255 where there is none, from percent or from fractions.

    Raises
    ------
    InputError
        A value that is neither.
    """
    (values,), valid = confidence.read(window)
    most = 1 if values.dtype.kind == "f" else 100
    wrong = valid & ((values < 0) | (values > most))
    if wrong.any():
        raise InputError(
            f"confidence {values[wrong][0]:g} is out of range",
            where=confidence.name,
            why=f"{values.dtype} holds 0 to {most}",
            hint="fractions from 0 to 1 as float32, or whole percent from 0 to 100, with a nodata tag",
        )
    out = np.full(values.shape, NODATA, np.uint8)
    out[valid] = np.rint(values[valid] * (100 / most))
    return out
