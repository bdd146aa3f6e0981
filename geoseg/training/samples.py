"""Training crops drawn on the fly from scenes of any size.

One pass over the labels, window by window, notes which classes occur in which cell of the scene. After that
a step's crops are a function of (seed, step) alone: nothing is cut beforehand, and a training that was
stopped goes on with the crops that it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.geometry import Window
from geoseg.legend import NODATA
from geoseg.raster.scene import Scene
from geoseg.training.split import Region
from geoseg.training.targets import Targets
from geoseg.truth.layer import Truth

Pixels = NDArray[np.float32]

_POWER = {"natural": 1.0, "balanced": 0.0, "rare": -0.5}
_TRIES = 8
_READ = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """One scene with its labels and its validation region."""

    scene: Scene
    labels: Truth
    region: Region


@dataclass(frozen=True, kw_only=True, eq=False)
class CellIndex:
    """Where the classes occur, in cells that a training crop can reach.

    Attributes
    ----------
    source, row, col
        (M,) number of the source, and the cell's first pixel.
    home
        (M, 2) first pixel of a crop that holds the cell and keeps away from the validation region.
    counts
        (M, K) uint32 pixels of each of the targets' names.
    cell, crop
        Sides in pixels.
    """

    source: NDArray[np.int32]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    home: NDArray[np.int64]
    counts: NDArray[np.uint32]
    cell: int
    crop: int

    def probabilities(self, sampling: Literal["natural", "balanced", "rare"]) -> NDArray[np.float64]:
        """Probability (K,) of each class to be the one that a crop is drawn for.

        Pixel shares to the power of 1, 0 or -1/2; 0 for classes that do not occur.
        """
        totals = self.counts.sum(axis=0, dtype=np.float64)
        weights = np.zeros_like(totals)
        weights[totals > 0] = totals[totals > 0] ** _POWER[sampling]
        return np.asarray(weights / weights.sum())


def occupied(labels: Truth, targets: Targets, shape: tuple[int, int], side: int) -> NDArray[np.bool_]:
    """Squares (rows, columns) of `side` pixels that hold something to be taught."""
    height, width = shape
    found = np.zeros((-(-height // side), -(-width // side)), np.bool_)
    for window in Window(0, 0, height, width).blocks(side, side):
        found[window.row // side, window.col // side] = any(
            bool((targets.places(labels, part) != NODATA).any()) for part in window.blocks(_READ, _READ)
        )
    return found


def index_cells(sources: Sequence[Source], targets: Targets, crop: int) -> CellIndex:
    """Index of all sources, in memory that grows with the labelled cells only.

    Raises
    ------
    InputError
        No label that a training crop can reach.
    """
    cell = crop // 2
    parts = [_index(i, s, targets, cell, crop) for i, s in enumerate(sources)]
    joined = [np.concatenate(p) for p in zip(*parts, strict=True)]
    index = CellIndex(
        source=joined[0], row=joined[1], col=joined[2], home=joined[3], counts=joined[4], cell=cell, crop=crop
    )
    if not len(index.row):
        raise InputError(
            "no training crop can be drawn",
            why=f"no label lies where a crop of {crop} px keeps away from the validation pixels",
            hint="a smaller crop or margin, or a larger part for training",
        )
    return index


def _index(number: int, source: Source, targets: Targets, cell: int, crop: int) -> tuple[NDArray[Any], ...]:
    classes = len(targets.names)
    height, width = source.scene.grid.shape
    rows, counts = [], []
    step = max(_READ // cell, 1) * cell
    for block in source.scene.grid.window.blocks(step, step):
        found = targets.places(source.labels, block)
        found[source.region.hidden(block)] = NODATA
        for part in block.blocks(cell, cell):
            here = np.bincount(found[part.slices_in(block)].ravel(), minlength=256)[:classes]
            if here.any():
                rows.append((part.row, part.col))
                counts.append(here)
    corner = np.array(rows, np.int64).reshape(-1, 2)
    home = _homes(source.region, corner, (height, width), cell, crop)
    keep = home[:, 0] >= 0
    return (
        np.full(int(keep.sum()), number, np.int32),
        corner[keep, 0],
        corner[keep, 1],
        home[keep],
        np.array(counts, np.uint32).reshape(-1, classes)[keep],
    )


def _homes(
    region: Region, corner: NDArray[np.int64], shape: tuple[int, int], cell: int, crop: int
) -> NDArray[np.int64]:
    """First pixel (M, 2) of a crop around each cell that is allowed; -1 where none of nine is."""
    home = np.full(corner.shape, -1, np.int64)
    slack = crop - cell
    most = np.maximum(np.array(shape) - crop, 0)
    for down, right in ((a, b) for a in (1, 0, 2) for b in (1, 0, 2)):
        open_ = np.flatnonzero(home[:, 0] < 0)
        if not open_.size:
            break
        start = np.clip(corner[open_] - np.array([down, right]) * slack // 2, 0, most)
        windows = [crop_window(r, c, crop, shape) for r, c in start.tolist()]
        free = ~region.touches(windows)
        home[open_[free]] = start[free]
    return home


def crop_window(row: int, col: int, side: int, shape: tuple[int, int]) -> Window:
    """Square inside the scene, smaller where the scene is."""
    return Window(row, col, min(side, shape[0]), min(side, shape[1]))


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Which crop: a window of a source, and the side it would have in a scene large enough."""

    source: int
    window: Window
    side: int


class Sampler:
    """Draws crops: a class, a cell that has it, a place around that cell that validation does not see."""

    def __init__(
        self,
        sources: Sequence[Source],
        index: CellIndex,
        *,
        sampling: Literal["natural", "balanced", "rare"],
        scale: float,
    ) -> None:
        self._sources, self._index, self._scale = sources, index, scale
        self._odds = index.probabilities(sampling)
        self._cumulated = np.cumsum(index.counts, axis=0, dtype=np.float64)

    def draw(self, rng: np.random.Generator) -> Draw:
        """One crop; it never touches a validation region or its margin."""
        index = self._index
        wanted = int(rng.choice(len(self._odds), p=self._odds))
        column = self._cumulated[:, wanted]
        at = int(np.searchsorted(column, rng.random() * column[-1], side="right"))
        number = int(index.source[at])
        source = self._sources[number]
        height, width = source.scene.grid.shape
        for _ in range(_TRIES):
            factor = float(np.exp(rng.uniform(-1, 1) * np.log1p(self._scale)))
            side = max(round(index.crop * factor), 8)
            center = [
                int(start) + int(rng.integers(index.cell)) + round((rng.random() - 0.5) * 0.8 * side)
                for start in (index.row[at], index.col[at])
            ]
            row, col = (
                int(np.clip(c - side // 2, 0, max(size - side, 0)))
                for c, size in zip(center, (height, width), strict=True)
            )
            window = crop_window(row, col, side, (height, width))
            if not source.region.touches([window])[0]:
                return Draw(source=number, window=window, side=side)
        row, col = index.home[at].tolist()
        window = crop_window(row, col, index.crop, (height, width))
        return Draw(source=number, window=window, side=index.crop)


def pad(pixels: Pixels, layer: NDArray[Any], side: int, unknown: int) -> tuple[Pixels, NDArray[Any]]:
    """Both grown to squares of `side`: pixels mirrored as far as there are any, layers by `unknown`."""
    down, right = side - layer.shape[0], side - layer.shape[1]
    if down <= 0 and right <= 0:
        return pixels, layer
    rows, cols = (np.arange(side) % (2 * n) for n in layer.shape)
    rows, cols = (np.where(a < n, a, 2 * n - 1 - a) for a, n in zip((rows, cols), layer.shape, strict=True))
    grown = np.pad(layer, ((0, max(down, 0)), (0, max(right, 0))), constant_values=unknown)
    return pixels[:, rows][:, :, cols], grown
