"""Polygons or points as reference: field values as the map's classes, geometry in the map's pixels.

Geometries are brought to global pixel coordinates once. A chunk burns only those that touch it, from the
same numbers that a burn of the whole map would use, so chunking cannot move a pixel. A pixel belongs to the
polygon that holds its centre (GDAL's rule).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.geometry import HECTARE, Grid, Window, pixel_areas
from geoseg.legend import NODATA
from geoseg.raster.burn import burn

Labels = NDArray[np.uint8]

_BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class PolygonReference:
    """Polygons in pixel coordinates, in burning order: where two overlap, the later one is seen.

    Attributes
    ----------
    shapes
        Polygons and multipolygons in the map's global (col, row) pixel coordinates.
    classes
        Class id of each; 255 for those that say "not scored".
    background
        Class of pixels outside all polygons; 255: not scored.
    notes
        What the user should know.
    """

    shapes: NDArray[np.object_]
    classes: Labels
    background: int = NODATA
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``polygons``."""
        return "polygons"

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(min col, min row, max col, max row) in pixels."""
        return tuple(shapely.total_bounds(self.shapes))

    def pairs(self, window: Window, labels: Labels) -> tuple[Labels, Labels]:
        """(reference labels, map labels) of a window's pixels; 255 where the reference does not score."""
        return self.burn(window), labels

    def burn(self, window: Window) -> Labels:
        """Reference labels (h, w) of a window."""
        hits = self.touching(window)
        return burn_classes(self.shapes[hits], self.classes[hits], window, self.background)

    def touching(self, window: Window) -> NDArray[np.intp]:
        """Positions of the shapes whose bounding box meets a window, in burning order."""
        box = shapely.box(window.col, window.row, window.col_end, window.row_end)
        return np.sort(self._tree.query(box))

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)

    def contested(self, grid: Grid) -> tuple[int, float]:
        """(pixels, hectares) whose class depends on which of two overlapping polygons is burned last.

        Slivers that hold no pixel's centre decide nothing and are not counted.
        """
        low_col, low_row, high_col, high_row = self.bounds
        low = int(max(low_row, 0)) // _BLOCK * _BLOCK, int(max(low_col, 0)) // _BLOCK * _BLOCK
        far = max(int(np.ceil(high_row)), low[0]), max(int(np.ceil(high_col)), low[1])
        span = Window(*low, far[0] - low[0], far[1] - low[1]).clip(*grid.shape)
        pixels, area = 0, 0.0
        for window in span.blocks(_BLOCK, _BLOCK):
            hits = self.touching(window)
            shapes, classes = self.shapes[hits], self.classes[hits]
            if len(np.unique(classes)) < 2:
                continue
            # burned in both orders: no test of polygon against polygon, which large shapes make very slow
            last = burn_classes(shapes, classes, window, self.background)
            first = burn_classes(shapes[::-1], classes[::-1], window, self.background)
            differs = first != last
            pixels += int(differs.sum())
            area += float(np.broadcast_to(pixel_areas(grid, window), window.shape)[differs].sum())
        return pixels, area / HECTARE


@dataclass(frozen=True, kw_only=True)
class PointReference:
    """Points in the map's pixels; each scores the pixel it falls in, and every point counts.

    Attributes
    ----------
    rows, cols
        Pixel of each point; sorted by row.
    classes
        Class id of each; 255 for those that are not scored.
    notes
        What the user should know.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    classes: Labels
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``points``."""
        return "points"

    def pairs(self, window: Window, labels: Labels) -> tuple[Labels, Labels]:
        """(reference labels, map labels) of the points in a window, one-dimensional."""
        first, end = np.searchsorted(self.rows, (window.row, window.row_end))
        rows, cols = self.rows[first:end], self.cols[first:end]
        inside = (cols >= window.col) & (cols < window.col_end)
        mapped = labels[rows[inside] - window.row, cols[inside] - window.col]
        return self.classes[first:end][inside], mapped


def burn_classes(shapes: NDArray[np.object_], classes: Labels, window: Window, background: int) -> Labels:
    """Labels (h, w) of a window, later shapes over earlier ones, `background` where there is none."""
    pairs = list(zip(shapes, classes.tolist(), strict=True))
    burned: Labels = burn(pairs, window, fill=background, dtype="uint8")
    return burned
