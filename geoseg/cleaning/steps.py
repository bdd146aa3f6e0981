"""A class map made calmer in raster space: majority filter, opening and closing, small regions removed.

The first three are filters: a pixel depends on those within their reach, and a window that is read with that
much around it gives what the whole raster gives. Regions have no such reach;
`geoseg.regions.sieve` decides them over all chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.cleaning.morphology import Sides, closed, opened
from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.regions.sieve import Sieve


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Steps to apply, in this order; the default does nothing.

    Attributes
    ----------
    majority
        Side of a square window, odd: every pixel takes the class that occurs most in it. A tie keeps the
        pixel's own class where that is among the most frequent, else the lowest class number wins. Nodata
        neither votes nor changes.
    opening, closing
        See `geoseg.cleaning.morphology`.
    sieves
        What becomes of small holes and regions, one after the other.
    """

    majority: int = 1
    opening: Sides = ()
    closing: Sides = ()
    sieves: tuple[Sieve, ...] = ()

    @property
    def reach(self) -> int:
        """Pixels around a window that decide what the filters make of it."""
        opening, closing = (
            max((s for _, s in sides), default=1) // 2 for sides in (self.opening, self.closing)
        )
        # what is taken away depends on windows that meet the pixel's; who gets it, on those taken away around
        return self.majority // 2 + 3 * opening + 2 * closing

    def filtered(self, classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes (h, w) after the filters; what lies outside is nodata.

        Pixels nearer than `reach` to a side where the scene goes on may differ from what the whole raster
        gives.
        """
        if self.majority > 1:
            classes = _majority(np.ascontiguousarray(classes), self.majority // 2)
        if self.opening:
            classes = opened(classes, self.opening)
        if self.closing:
            classes = closed(classes, self.closing)
        return classes


@kernel("u1[:,:], i8")
def _majority(classes, radius):  # type: ignore[no-untyped-def]
    """Mode in a square window; the counts move along a row with the window."""
    height, width = classes.shape
    out = classes.copy()
    counts = np.zeros(256, np.int32)
    for r in range(height):
        top, bottom = max(r - radius, 0), min(r + radius, height - 1)
        counts[:] = 0
        for c in range(min(radius, width)):
            for k in range(top, bottom + 1):
                counts[classes[k, c]] += 1
        for c in range(width):
            if c + radius < width:
                for k in range(top, bottom + 1):
                    counts[classes[k, c + radius]] += 1
            if c - radius - 1 >= 0:
                for k in range(top, bottom + 1):
                    counts[classes[k, c - radius - 1]] -= 1
            own = classes[r, c]
            if own == NODATA:
                continue
            best, most = own, counts[own]
            for k in range(top, bottom + 1):
                for j in range(max(c - radius, 0), min(c + radius, width - 1) + 1):
                    v = classes[k, j]
                    if v != NODATA and (counts[v] > most or (counts[v] == most and best != own and v < best)):
                        best, most = v, counts[v]
            out[r, c] = best
    return out
