"""Stitching: from overlapping tiles to one seamless chunk. Pure kernels on arrays.

*Crop* gives each pixel to the tile whose lattice cell holds it. *Blend* averages the probabilities of the
tiles that see a pixel, with weights that sum to one. Both are functions of global pixel coordinates, so a
chunk computed alone equals the same pixels of the whole scene bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.pixels import PROBABILITY_SCALE
from geoseg.geometry import Tile, TilePlan, Window

WEIGHT_ONE = 256
"""Sum of the integer weights of all tiles over one pixel, along one axis."""

FULL_SHARE = WEIGHT_ONE * WEIGHT_ONE * PROBABILITY_SCALE
"""Sum over one pixel if every tile is certain of one class."""

NO_CONFIDENCE = 255
"""Value of the confidence layer where there is no class."""


def reflected(start: int, size: int, low: int, high: int) -> NDArray[np.intp]:
    """Indices start .. start + size folded into [low, high) by reflection about the edge pixels' centres.

    As numpy's ``reflect`` padding (d c b | a b c d | c b a), repeated as often as needed; of a single pixel
    every index is that pixel.
    """
    span = high - low
    if span < 1:
        raise ValueError(f"nothing to reflect between {low} and {high}")
    index = np.arange(start, start + size) - low
    if span == 1:
        return np.full(size, low, np.intp)
    period = 2 * (span - 1)
    index = np.abs((index + span - 1) % period - (span - 1))
    return (index + low).astype(np.intp)


def cut_tile(pixels: NDArray[Any], held: Window, tile: Tile, plan: TilePlan) -> NDArray[Any]:
    """Pixels (C, T, T) of one tile's window, cut from an array (C, h, w) that holds window `held`.

    What lies outside the scene is reflected about the scene's edge, using only the pixels that this tile
    sees itself, so that the result is the same whatever else was read.
    """
    seen = tile.window.clip(plan.height, plan.width)
    rows = reflected(tile.window.row, tile.window.height, seen.row, seen.row_end) - held.row
    cols = reflected(tile.window.col, tile.window.width, seen.col, seen.col_end) - held.col
    if seen == tile.window:
        return pixels[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    return pixels[:, rows[:, None], cols]


def batches(tiles: Iterable[Tile], size: int) -> Iterator[list[Tile]]:
    """Lists of at most `size` tiles, in order."""
    held: list[Tile] = []
    for tile in tiles:
        held.append(tile)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def ramp(width: int) -> NDArray[np.int64]:
    """Rising half of a Hann window in integer weights, (2 * width,) from 1 to 255 at most.

    Position k and its mirror sum to exactly `WEIGHT_ONE`: two neighbouring tiles form a partition of unity
    without any normalisation.
    """
    n = 2 * width
    k = np.arange(n // 2) + 0.5
    low = np.maximum(np.rint(np.sin(np.pi / 2 * k / n) ** 2 * WEIGHT_ONE), 1).astype(np.int64)
    return np.concatenate([low, WEIGHT_ONE - low[::-1]])


def axis_weights(index: int, cells: int, side: int, margin: int) -> NDArray[np.uint32]:
    """Integer weights (side,) of lattice cell `index` along one axis of `cells` cells.

    Neighbouring windows overlap by twice the margin; there the weights follow a Hann ramp. At the scene's
    own edge no neighbour exists and the weight stays whole.
    """
    weights = np.full(side, WEIGHT_ONE, np.uint32)
    overlap = 2 * margin
    if overlap:
        rising = ramp(margin).astype(np.uint32)
        if index > 0:
            weights[:overlap] = rising
        if index < cells - 1:
            weights[-overlap:] = rising[::-1]
    return weights


class BlendAccumulator:
    """Sums of weighted probabilities over one row of tiles at a time, for a chunk.

    Sums are unsigned integers (8-bit weights down and across, 16-bit probabilities: at most
    256 * 256 * 65535 < 2**32), so they do not depend on the order of the tiles. Only the rows that a row of
    tiles covers are held: memory is O(classes x tile x chunk width).
    """

    def __init__(self, plan: TilePlan, window: Window, classes: int) -> None:
        self._plan, self._window = plan, window
        self._sums = np.zeros((classes, plan.tile[0], window.width), np.uint32)
        self._first_row: int | None = None

    def add(self, tile: Tile, probabilities: NDArray[np.uint16]) -> None:
        """Add one tile's probabilities (K, T, T), uint16 where 65535 is certainty."""
        plan = self._plan
        if self._first_row is None:
            self._first_row = tile.window.row
        if tile.window.row != self._first_row:
            raise ValueError("a tile of another row: finish the row first")
        rows, cols = plan.lattice
        seen = tile.window.intersect(
            Window(tile.window.row, self._window.col, plan.tile[0], self._window.width)
        )
        _, source = seen.slices_in(tile.window)
        target = slice(seen.col - self._window.col, seen.col_end - self._window.col)
        down = axis_weights(tile.row, rows, plan.tile[0], plan.margin)[:, None]
        across = axis_weights(tile.col, cols, plan.tile[1], plan.margin)[source]
        self._sums[:, :, target] += probabilities[:, :, source] * (down * across)

    def finish_row(self, *, last: bool) -> tuple[Window, NDArray[np.uint32]]:
        """(window, sums (K, rows, width)) of the rows that no later tile can change; they leave memory."""
        assert self._first_row is not None
        start, height, stride = self._first_row, self._plan.tile[0], self._plan.stride[0]
        ready = height if last else stride
        done = Window(start, self._window.col, ready, self._window.width).intersect(self._window)
        sums = self._sums[:, done.row - start : done.row_end - start].copy()
        if not last:
            keep = height - stride
            self._sums[:, :keep] = self._sums[:, stride:]
            self._sums[:, keep:] = 0
            self._first_row = start + stride
        return done, sums
