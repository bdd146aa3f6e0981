"""Polygons and points in a grid's pixels.

Geometries are brought to global pixel coordinates once. A chunk burns only those that touch it, from the
same numbers that a burn of the whole grid would use, so chunking cannot move a pixel. A pixel belongs to the
polygon that holds its centre (GDAL's rule), a point to the pixel it falls in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.geometry import HECTARE, Grid, Window, pixel_areas
from geoseg.legend import NODATA, Legend
from geoseg.raster.burn import burn

Labels = NDArray[np.uint8]

_BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class PolygonTruth:
    """Polygons in burning order: where two overlap, the later one is seen.

    Attributes
    ----------
    shapes
        Polygons and multipolygons in the grid's global (col, row) pixel coordinates.
    classes
        Class id of each; 255 for those that say "no class".
    features
        Number of each in the file, from 0.
    background
        Class of pixels outside all polygons; 255: none.
    all_touched
        Whether a pixel belongs to a polygon that touches it anywhere.
    """

    shapes: NDArray[np.object_]
    classes: Labels
    features: NDArray[np.int64]
    legend: Legend
    background: int = NODATA
    all_touched: bool = False
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["polygons"]:
        """``polygons``."""
        return "polygons"

    def read(self, window: Window) -> Labels:
        """Class ids (h, w) of a window; 255 where there is none."""
        hits = self.touching(window)
        return self._burned(hits, window)

    def owners(self, window: Window) -> NDArray[np.int64]:
        """Position (h, w) of the polygon that is seen at each pixel; -1 where there is none."""
        hits = self.touching(window)
        pairs = [(self.shapes[i], i) for i in hits.tolist()]
        owner = burn(pairs, window, fill=-1, dtype="int32", all_touched=self.all_touched)
        return owner.astype(np.int64)

    def fingerprint(self) -> Any:
        """Shapes and classes."""
        digest = hashlib.sha256(b"".join(shapely.to_wkb(self.shapes).tolist()))
        digest.update(self.classes.tobytes())
        return [digest.hexdigest(), self.background, *(["all touched"] if self.all_touched else [])]

    def touching(self, window: Window) -> NDArray[np.intp]:
        """Positions of the shapes whose bounding box meets a window, in burning order."""
        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        return np.sort(self._tree.query(box))

    def contested(self, grid: Grid) -> tuple[int, float]:
        """(pixels, hectares) whose class depends on which of two overlapping polygons is burned last.

        Slivers that hold no pixel's centre decide nothing and are not counted.
        """
        if not len(self.shapes):
            return 0, 0.0
        low_col, low_row, high_col, high_row = shapely.total_bounds(self.shapes)
        low = int(max(low_row, 0)) // _BLOCK * _BLOCK, int(max(low_col, 0)) // _BLOCK * _BLOCK
        far = max(int(np.ceil(high_row)), low[0]), max(int(np.ceil(high_col)), low[1])
        span = Window(*low, far[0] - low[0], far[1] - low[1]).clip(*grid.shape)
        pixels, area = 0, 0.0
        for window in span.blocks(_BLOCK, _BLOCK):
            hits = self.touching(window)
            if len(np.unique(self.classes[hits])) < 2:
                continue
            # burned in both orders: no test of polygon against polygon, which large shapes make very slow
            differs = self._burned(hits, window) != self._burned(hits[::-1], window)
            pixels += int(differs.sum())
            area += float(np.broadcast_to(pixel_areas(grid, window), window.shape)[differs].sum())
        return pixels, area / HECTARE

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)

    def _burned(self, hits: NDArray[np.intp], window: Window) -> Labels:
        pairs = list(zip(self.shapes[hits], self.classes[hits].tolist(), strict=True))
        burned: Labels = burn(
            pairs, window, fill=self.background, dtype="uint8", all_touched=self.all_touched
        )
        return burned


@dataclass(frozen=True, kw_only=True)
class PointTruth:
    """Points, each in the pixel it falls in.

    Attributes
    ----------
    rows, cols
        Pixel of each point; sorted by row, in a row as in the file.
    classes
        Class id of each; 255 for those that say "no class".
    features
        Number of the feature in the file that each belongs to, from 0.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    classes: Labels
    features: NDArray[np.int64]
    legend: Legend
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["points"]:
        """``points``."""
        return "points"

    def read(self, window: Window) -> Labels:
        """Class ids (h, w) of a window; 255 where there is none. Of points in one pixel the last is seen."""
        found = np.full(window.shape, NODATA, np.uint8)
        here = self.within(window)
        found[self.rows[here] - window.row, self.cols[here] - window.col] = self.classes[here]
        return found

    def owners(self, window: Window) -> NDArray[np.int64]:
        """Position (h, w) of the last point in each pixel; -1 where there is none."""
        found = np.full(window.shape, -1, np.int64)
        here = self.within(window)
        found[self.rows[here] - window.row, self.cols[here] - window.col] = here
        return found

    def within(self, window: Window) -> NDArray[np.intp]:
        """Positions of the points in a window, ascending."""
        first, end = np.searchsorted(self.rows, (window.row, window.row_end))
        cols = self.cols[first:end]
        inside = np.flatnonzero((cols >= window.col) & (cols < window.col_end))
        return np.asarray(first + inside, np.intp)

    touching = within

    def fingerprint(self) -> Any:
        """Places and classes."""
        digest = hashlib.sha256()
        for part in (self.rows, self.cols, self.classes):
            digest.update(part.tobytes())
        return [digest.hexdigest()]
