"""What one worker does to one chunk: read it cleaned with its neighbours' edge pixels, measure, trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.cleaning.cleaned import CleanedMap, SievedChunk
from geoseg.geometry import Window
from geoseg.legend import NODATA
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.shapes import ChunkShapes, shapes_of
from geoseg.raster.classmap import ClassMap
from geoseg.raster.percent import percent
from geoseg.raster.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSource:
    """What a worker reads chunks from; it holds no open file and can be pickled.

    Attributes
    ----------
    cleaned
        The class map, with what is done to its pixels before.
    confidence
        Raster of confidence on the same grid, or None.
    only
        Class numbers to keep, or None for all; the others count as nodata.
    generalization
        How borders are simplified; windows are then made of whole cells.
    on_earth
        Whether pixels that have a corner off the earth count as nodata.
    """

    cleaned: CleanedMap[ClassMap]
    confidence: Scene | None
    only: tuple[int, ...] | None
    generalization: Generalization | None = None
    on_earth: bool = False

    def shapes(self, chunk: SievedChunk) -> ChunkShapes:
        """Regions of a chunk, when all sieves are through."""
        window = chunk.window
        classes = self.cleaned.read(chunk)
        if self.only is not None:
            table = np.full(256, NODATA, np.uint8)
            table[list(self.only)] = self.only
            classes = table[classes]
        if self.on_earth:
            classes = self._on_earth(classes, window)
        return shapes_of(
            classes,
            row=window.row,
            col=window.col,
            scene_width=self.cleaned.classes.grid.width,
            areas=self.cleaned.areas(window),
            confidence=None if self.confidence is None else percent(self.confidence, window),
            generalization=self.generalization,
        )

    def _on_earth(self, classes: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
        """The classes (h + 2, w + 2) without those of pixels that lie off the earth."""
        rows, cols = np.mgrid[window.row - 1 : window.row_end + 2, window.col - 1 : window.col_end + 2]
        off = self.cleaned.classes.grid.off_earth(rows, cols)
        off = off[:-1, :-1] | off[1:, :-1] | off[:-1, 1:] | off[1:, 1:]
        return np.where(off, np.uint8(NODATA), classes)
