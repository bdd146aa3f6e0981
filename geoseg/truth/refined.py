"""A layer seen on a lattice of points within each pixel: what most of them have, or all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.geometry import Grid, Window
from geoseg.kernels import kernel
from geoseg.legend import NODATA, Legend
from geoseg.raster.datasource import is_vector
from geoseg.raster.reading import called
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth
from geoseg.truth.pixels import grid_of_raster

Labels = NDArray[np.uint8]

_MOST = 64
_ALONG_POLYGONS = 8
_POINTS_AT_ONCE = 1 << 22
_WHOLE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class RefinedTruth:
    """Classes on a grid whose pixels hold `times` x `times` points each.

    Attributes
    ----------
    finer
        The layer on the grid of the points.
    times
        Points along a side of a pixel.
    """

    finer: Truth
    times: int

    @property
    def kind(self) -> Literal["raster", "polygons", "points"]:
        """What the layer holds."""
        return self.finer.kind

    @property
    def legend(self) -> Legend:
        """The classes."""
        return self.finer.legend

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those that belong to it."""
        return self.finer.files

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was read."""
        n = self.times
        return (*self.finer.notes, f"the reference is looked at in {n} x {n} points of each map pixel")

    def read(self, window: Window) -> Labels:
        """Class (h, w) of most points of each pixel, the lowest number of equals.

        255 where fewer than half of the points have a class.
        """
        out = np.full(window.shape, NODATA, np.uint8)
        for block in self.blocks(window):
            out[block.slices_in(window)] = _most_frequent(self.points(block), self.times)
        return out

    def blocks(self, window: Window) -> Iterator[Window]:
        """Parts of a window whose points are few enough to be held."""
        side = max(math.isqrt(_POINTS_AT_ONCE) // self.times, 1)
        yield from window.blocks(side, side)

    def points(self, window: Window) -> Labels:
        """Class ids (h * times, w * times) of a window's points."""
        n = self.times
        return self.finer.read(Window(window.row * n, window.col * n, window.height * n, window.width * n))

    def fingerprint(self) -> Any:
        """What identifies the content; JSON-ready."""
        return [self.finer.fingerprint(), self.times]


def open_refined(file: TruthFile, grid: Grid, legend: Legend) -> RefinedTruth:
    """Truth on a lattice of points within each pixel.

    Of a finer raster there are as many points as pixels of it, so that on grids that fit together every one
    of its pixels is looked at once; on others, points are half as far apart as its pixels. Polygons have 8 x
    8, a coarser raster one.

    Raises
    ------
    InputError, UsageError
        As `open_truth`; a layer of points.
    """
    with called(file.names):
        times = _ALONG_POLYGONS if is_vector(file.path) else _fineness(grid, grid_of_raster(file, grid))
    if times > 1:
        file = replace(file, ground=f"refined {file.ground}")
    finer = open_truth(file, grid.finer(times), legend)
    if finer.kind == "points":
        raise UsageError("`resample` needs a raster or polygons", where=file.path, why="it holds points")
    return RefinedTruth(finer=finer, times=times)


def _fineness(grid: Grid, source: Grid) -> int:
    """Points along a side of a pixel; 1 where the source is not finer."""
    if grid.crs.equals(source.crs, ignore_axis_order=True):
        t, s = grid.transform, source.transform
        ratios = abs(t.a / s.a), abs(t.e / s.e)
    else:
        own, other = grid.ground_size, source.ground_size
        ratios = own[0] / other[0], own[1] / other[1]
    if max(ratios) <= 1 + _WHOLE:
        return 1
    whole = all(abs(r - round(r)) <= _WHOLE * r for r in ratios) and round(ratios[0]) == round(ratios[1])
    return min(round(ratios[0]) if whole else 2 * math.ceil(max(ratios)), _MOST)


@kernel("u1[:,:], i8")
def _most_frequent(points, times):  # type: ignore[no-untyped-def]
    height, width = points.shape[0] // times, points.shape[1] // times
    out = np.full((height, width), NODATA, np.uint8)
    votes = np.zeros(256, np.int64)
    for r in range(height):
        for c in range(width):
            votes[:] = 0
            for i in range(times):
                for j in range(times):
                    votes[points[r * times + i, c * times + j]] += 1
            if 2 * votes[NODATA] <= times * times:
                out[r, c] = np.argmax(votes[:NODATA])
    return out
