"""Exact shares of pixels that polygons cover, by signed areas summed along rows.

Each edge adds, in every row that it crosses, the area between itself and the right end of the row; rings of
opposite orientation take it away again. A running sum along the row then is the covered share of each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.geometry import Window
from geoseg.kernels import kernel

_ROUNDING = 1e-9
"""Shares of a pixel below which a share counts as none: sums of many edges are off by roundings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Rings of plots in pixels.

    Attributes
    ----------
    xy
        (n, 2) float64: column and row of the corners; each ring's first one comes again as its last.
    rings
        (rings + 1,) int64: where each ring begins in `xy`.
    plots
        (plots + 1,) int64: where each plot's rings begin.
    """

    xy: NDArray[np.float64]
    rings: NDArray[np.int64]
    plots: NDArray[np.int64]

    @classmethod
    def of(cls, shapes: NDArray[np.object_]) -> Outlines:
        """Rings of valid polygons and multipolygons; what is neither has none."""
        parts, owner = shapely.get_parts(shapely.orient_polygons(shapes), return_index=True)
        lines, part = shapely.get_rings(parts, return_index=True)
        xy, ring = shapely.get_coordinates(lines, return_index=True)
        return cls(
            xy=np.ascontiguousarray(xy),
            rings=np.searchsorted(ring, np.arange(len(lines) + 1)).astype(np.int64),
            plots=np.searchsorted(owner[part], np.arange(len(shapes) + 1)).astype(np.int64),
        )

    def cover(self, plot: int, window: Window) -> NDArray[np.float64]:
        """Shares (h, w) from 0 to 1 of a window's pixels that a plot covers."""
        rings = self.rings[self.plots[plot] : self.plots[plot + 1] + 1]
        made: NDArray[np.float64] = _cover(self.xy, rings, *_as_tuple(window), _ROUNDING)
        return made


def _as_tuple(window: Window) -> tuple[int, int, int, int]:
    return window.row, window.col, window.height, window.width


@kernel("f8[:,:], i8[:], i8, i8, i8, i8, f8")
def _cover(xy, offsets, row, col, height, width, rounding):  # type: ignore[no-untyped-def]
    sums = np.zeros((height, width + 1))
    for k in range(offsets.shape[0] - 1):
        for j in range(offsets[k], offsets[k + 1] - 1):
            x0, y0 = xy[j, 0] - col, xy[j, 1] - row
            x1, y1 = xy[j + 1, 0] - col, xy[j + 1, 1] - row
            if y0 == y1:
                continue
            sign = 1.0
            if y0 > y1:
                x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
            if y1 <= 0 or y0 >= height:
                continue
            slope = (x1 - x0) / (y1 - y0)
            low, high = min(x0, x1), max(x0, x1)
            for r in range(max(int(np.floor(y0)), 0), min(int(np.ceil(y1)), height)):
                top, bottom = max(y0, r), min(y1, r + 1)
                if bottom <= top:
                    continue
                a = min(max(x0 + (top - y0) * slope, low), high)
                b = min(max(x0 + (bottom - y0) * slope, low), high)
                _add(sums[r], min(a, b), max(a, b), sign * (bottom - top), width)
    out = np.empty((height, width))
    for r in range(height):
        total = 0.0
        for c in range(width):
            total += sums[r, c]
            share = abs(total)
            out[r, c] = 0.0 if share < rounding else 1.0 if share > 1.0 - rounding else share
    return out


@kernel()
def _add(line, left, right, rise, width):  # type: ignore[no-untyped-def]
    """Add an edge from column `left` to `right` that rises so far within one row."""
    if left >= width:
        return
    if right <= 0.0:
        line[0] += rise
        return
    if left < 0.0:  # what lies to the left covers whole rows
        before = rise * (-left / (right - left))
        line[0] += before
        rise -= before
        left = 0.0
    if right > width:  # what lies to the right covers nothing here
        rise *= (width - left) / (right - left)
        right = float(width)
    first = min(int(left), width - 1)
    if right <= first + 1:
        middle = 0.5 * (left + right) - first
        line[first] += rise * (1.0 - middle)
        line[first + 1] += rise * middle
        return
    per = rise / (right - left)
    done = 0.0
    for c in range(first, min(int(np.ceil(right)), width)):
        a, b = max(left, float(c)), min(right, c + 1.0)
        share = per * (b - a)  # rise within this pixel
        inside = share * (c + 1.0 - 0.5 * (a + b))
        line[c] += inside - done
        done = inside - share
    line[min(int(np.ceil(right)), width)] -= done
