"""A chunk's boundary pieces with simplified borders: what both neighbours of a border get is the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.geometry import Grid
from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.outlines import Method
from geoseg.outlines.borders import (
    ARMS,
    CELL,
    EAST,
    KEPT,
    NODE,
    NORTH,
    RING,
    ROUNDED,
    SOUTH,
    WEST,
    Chains,
    chains_of,
    mark_corners,
)
from geoseg.outlines.seams import turn_to_smallest
from geoseg.outlines.smooth import FINEST, cut, mark_rounded, scale_of
from geoseg.outlines.square import SCALE, SQUARED, Squared, joined_squares, square
from geoseg.outlines.thin import AreaBudget, sides_of, thin
from geoseg.outlines.trace import Paths

STAYS = 4
"""Bit of `Paths.last`: the arc ends in a node of three or four borders, a vertex of all that meet there."""
AREA_SHARE, AREA_PIXELS = 0.002, 2.0
"""How much of its area in a cell a class may gain or lose: this share, or so many pixels if that is more."""
_UNTOUCHED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalized:
    """A chunk's boundary pieces, generalized.

    Attributes
    ----------
    paths
        In the place of the exact ones; points in 1 / ``Generalization.scale`` pixels.
    overlap
        (outlines,) float64: intersection over union of every outline that was squared with the traced one.
    """

    paths: Paths
    overlap: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalization:
    """How borders are simplified and smoothed.

    Attributes
    ----------
    down, across
        Height and width of a pixel, in tolerances; for smoothing alone the tolerance is half a pixel.
    thins
        Whether vertices are taken out.
    method
        Which ones.
    rounds
        Rounds of corner cutting, 0 for none.
    squares
        Class numbers whose outlines get right angles where they can; ``all`` of whatever regions are made of.
    cell
        Side of the cells that each is simplified for itself; a chunk is made of whole cells.
    """

    down: float
    across: float
    thins: bool = True
    method: Method = "visvalingam"
    rounds: int = 0
    squares: tuple[int, ...] | Literal["all"] = ()
    cell: int = CELL

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width of a pixel, in tolerances."""
        return float(self.down), float(self.across)

    @classmethod
    def of(
        cls,
        grid: Grid,
        tolerance: float | None,
        method: Method,
        rounds: int,
        squares: tuple[int, ...] = (),
    ) -> Generalization | None:
        """The one for a tolerance in metres on the ground at the grid's centre; None for no change.

        Raises
        ------
        UsageError
            A grid too large for the numbers that smoothing takes.
        """
        if tolerance is None and rounds == 0:
            return None
        scale = max(scale_of(rounds), SCALE if squares else 1)
        most = np.iinfo(np.int32).max // scale
        if max(grid.shape) > most:
            raise UsageError(
                f"{rounds} rounds of smoothing, or right angles, reach {most:,} pixels",
                why=f"the map has {grid.height:,} x {grid.width:,}",
                hint="fewer rounds",
            )
        width, height = grid.ground_size
        metres = _UNTOUCHED * min(width, height) if tolerance is None else tolerance
        return cls(
            down=height / metres,
            across=width / metres,
            thins=tolerance is not None,
            method=method,
            rounds=rounds,
            squares=squares,
        )

    @classmethod
    def right_angles(cls, grid: Grid, metres: float) -> Generalization:
        """Right angles for all regions of a grid's pixels; what cannot have them stays as it is traced."""
        width, height = grid.ground_size
        return cls(down=height / metres, across=width / metres, thins=False, squares="all")

    def coarsened(self, coarser: int) -> Generalization:
        """The same for pixels so many times as large."""
        return replace(self, down=self.down * coarser, across=self.across * coarser)

    @property
    def scale(self) -> int:
        """Units per pixel of the points that come out."""
        return max(scale_of(self.rounds), SCALE if self.squares else 1)

    def chunk_shape(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of a chunk of whole cells that is at least as large as this one."""
        return -(-height // self.cell) * self.cell, -(-width // self.cell) * self.cell

    def apply(
        self, paths: Paths, classes: NDArray[Any], *, row: int, col: int, nodata: int = NODATA
    ) -> Generalized:
        """Boundary pieces of a chunk, simplified.

        Parameters
        ----------
        paths
            The exact ones, from `trace_chunk`.
        classes
            (h + 2, w + 2) as in `label_chunk`; uint8 where vertices are taken out.
        row, col
            Scene position of the chunk's first pixel, on the lattice of cells.
        nodata
            Value that belongs to no region.
        """
        corners, squared = self._corners(np.ascontiguousarray(classes), nodata)
        points, offsets, last = _redraw(
            (paths.points, paths.offsets, paths.first, paths.last),
            corners,
            (squared.corners, squared.offsets, squared.first),
            row,
            col,
            (self.rounds, self.scale, self.pixel),
        )
        redrawn = Paths(points=points, offsets=offsets, owner=paths.owner, first=paths.first, last=last)
        return Generalized(paths=redrawn, overlap=squared.overlap)

    def _corners(self, classes: NDArray[Any], nodata: int) -> tuple[NDArray[np.uint8], Squared]:
        """Bits of the chunk's corners, with the vertices that stay, and what is drawn in their place."""
        parts: list[Squared] = []
        corners = mark_corners(classes, self.cell)
        thinned = corners if self.thins else corners.copy()
        height, width = corners.shape[0] - 1, corners.shape[1] - 1
        for r in range(0, height, self.cell):
            for c in range(0, width, self.cell):
                edges = r, c, min(r + self.cell, height), min(c + self.cell, width)
                chains = chains_of(corners, *edges)
                every = np.ones(len(chains.rows), np.bool_)
                kept = every
                if self.thins or self.squares:
                    kept = thin(
                        thinned,
                        chains,
                        edges,
                        self._budget(classes, chains, edges),
                        pixel=self.pixel,
                        peucker=self.method == "douglas-peucker",
                    )
                if self.squares:
                    parts.append(
                        square(
                            corners,
                            chains,
                            kept,
                            (chains.kind == RING) & self._is_squared(sides_of(classes, chains)[1], nodata),
                            edges,
                            pixel=self.pixel,
                            scale=self.scale,
                        )
                    )
                if self.rounds:
                    mark_rounded(corners, chains, kept if self.thins else every, self.pixel)
        return corners, joined_squares(parts)

    def _is_squared(self, inside: NDArray[Any], nodata: int) -> NDArray[np.bool_]:
        return inside != nodata if self.squares == "all" else np.isin(inside, self.squares)

    def _budget(self, classes: NDArray[Any], chains: Chains, edges: tuple[int, int, int, int]) -> AreaBudget:
        """Areas are kept in the order of Visvalingam; Douglas and Peucker's choice is left as it is known.

        Where no vertex is taken out for good, squared outlines keep their areas by themselves.
        """
        if self.method == "douglas-peucker" or not self.thins:
            return AreaBudget.unlimited(len(chains.kind))
        return AreaBudget.of(classes, chains, edges, share=AREA_SHARE, pixels=AREA_PIXELS)


@kernel("(i4[:,:], i8[:], i1[:], i1[:]), u1[:,:], (i8[:,:], i8[:], i8[:]), i8, i8, (i8, i8, (f8, f8))")
def _redraw(paths, corners, squared, row, col, how):  # type: ignore[no-untyped-def]
    """(points, offsets, last) of the same paths over the vertices that stay."""
    points, offsets, first, last = paths
    rounds, scale, pixel = how
    finer = scale // (1 << (FINEST + 2 * rounds))
    count = first.shape[0]
    out, out_offsets = np.empty((points.shape[0] + 64, 2), np.int32), np.zeros(count + 1, np.int64)
    out_last = last.copy()
    line = np.empty((256, 2), np.int64)
    n = np.int64(0)
    for i in range(count):
        begin, end = offsets[i], offsets[i + 1]
        is_ring = first[i] < 0
        if is_ring and corners[points[begin, 0] - row, points[begin, 1] - col] & SQUARED:
            out, n = _drawn(out, n, points[begin : begin + 2], corners, squared, (row, col), scale)
            out_offsets[i + 1] = n
            continue
        line, size = _vertices(points[begin:end], is_ring, corners, (row, col), line)
        if n + (size << rounds) > out.shape[0]:
            out = _grown(out, max(n + (size << rounds), out.shape[0] * 3 // 2), n)
        begun = n
        for j in range(size):
            r, c = line[j, 0], line[j, 1]
            bits = corners[r, c]
            if is_ring or 0 < j < size - 1:
                p, v = line[j - 1 if j > 0 else size - 1], line[j]
                after = line[j + 1 if j + 1 < size else 0]
                if bits & ROUNDED and rounds > 0:
                    n = cut(out, n, p, v, after, rounds, pixel)
                    for m in range(n - (1 << rounds), n):
                        out[m, 0] = out[m, 0] * finer + row * scale
                        out[m, 1] = out[m, 1] * finer + col * scale
                    continue
                if _passes(bits) and (v[0] - p[0]) * (after[1] - v[1]) == (v[1] - p[1]) * (after[0] - v[0]):
                    continue
            out[n, 0], out[n, 1] = (row + r) * scale, (col + c) * scale
            n += 1
        if is_ring:
            turn_to_smallest(out, begun, n)
        elif not _passes(corners[line[size - 1, 0], line[size - 1, 1]]):
            out_last[i] |= STAYS
        out_offsets[i + 1] = n
    return out[:n].copy(), out_offsets, out_last


@kernel()
def _drawn(out, n, path, corners, squared, origin, scale):  # type: ignore[no-untyped-def]
    """(out, end) with the squared ring that begins with the corners of the path."""
    ring, offsets, first = squared
    row, col = origin
    r, c = path[0, 0] - row, path[0, 1] - col
    k = np.searchsorted(first, np.int64(r) * corners.shape[1] + c)
    size = offsets[k + 1] - offsets[k]
    if n + size > out.shape[0]:
        out = _grown(out, max(n + size, out.shape[0] * 3 // 2), n)
    # chains of rings leave their smallest corner eastwards
    turned = path[1, 0] != path[0, 0]
    for j in range(size):
        at = offsets[k] + (size - 1 - j if turned else j)
        out[n + j, 0], out[n + j, 1] = ring[at, 0] + row * scale, ring[at, 1] + col * scale
    turn_to_smallest(out, n, n + size)
    return out, n + size


@kernel()
def _passes(bits):  # type: ignore[no-untyped-def]
    """Whether a corner is a node only because a border crosses a line of the lattice of cells there."""
    arms = bits & ARMS
    return bool(bits & NODE) and (arms == NORTH + SOUTH or arms == EAST + WEST)


@kernel()
def _vertices(path, is_ring, corners, origin, line):  # type: ignore[no-untyped-def]
    """(line, size): corners of the chunk that stay along a path, those passed straight included."""
    row, col = origin
    size = 0
    at = path.shape[0] - 1 if is_ring else 0
    r, c = np.int64(path[at, 0] - row), np.int64(path[at, 1] - col)
    if not is_ring:
        line[0, 0], line[0, 1] = r, c
        size = 1
    for k in range(0 if is_ring else 1, path.shape[0]):
        to_r, to_c = np.int64(path[k, 0] - row), np.int64(path[k, 1] - col)
        step_r = 1 if to_r > r else -1 if to_r < r else 0
        step_c = 1 if to_c > c else -1 if to_c < c else 0
        while r != to_r or c != to_c:
            r += step_r
            c += step_c
            if corners[r, c] & KEPT:
                if size == line.shape[0]:
                    line = _grown(line, 2 * size, size)
                line[size, 0], line[size, 1] = r, c
                size += 1
    return line, size


@kernel()
def _grown(array, size, used):  # type: ignore[no-untyped-def]
    grown = np.empty((size, 2), array.dtype)
    for k in range(used):
        grown[k, 0], grown[k, 1] = array[k, 0], array[k, 1]
    return grown
