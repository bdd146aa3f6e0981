"""A class map made calmer in raster space: majority filter, nodata holes filled, small regions removed.

Every step looks a known number of pixels far, its reach. A window that is read with that much around it gives
the pixels that the whole raster gives, so the result does not depend on chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geoseg.legend import NODATA
from geoseg.regions.label import NO_LABEL, label_chunk

Small = Literal["merge", "drop"]

ROUNDS = 2
"""How often small regions are offered to their neighbours; what was merged is a neighbour the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """Steps to apply, in this order; the default does nothing.

    Attributes
    ----------
    majority
        Side of a square window, odd: every pixel takes the class that occurs most in it. A tie keeps the
        pixel's own class where that is among the most frequent, else the lowest class number wins. Nodata
        neither votes nor changes.
    fill
        4-connected nodata areas of fewer pixels, away from the scene's edge, take the class that most of
        their border has.
    least_pixels
        Regions of fewer pixels are small.
    least_area
        Regions of less area are small, in the units of the areas given to `apply`; it needs `least_pixels`,
        the number of pixels that surely reach it, as a bound.
    small
        ``merge``: a small region takes the class that most of its border has, counting only neighbours that
        are not small themselves; what only touches small ones is asked again after those were merged; what
        touches nothing else stays as it is. ``drop``: it becomes nodata.
    """

    majority: int = 1
    fill: int = 0
    least_pixels: int = 0
    least_area: int = 0
    small: Small = "merge"

    @property
    def reach(self) -> int:
        """Pixels around a window that decide what it becomes."""
        sieve = max(self.least_pixels - 1, 0) * (1 if self.small == "drop" else ROUNDS + 1)
        return self.majority // 2 + max(self.fill - 1, 0) + sieve

    def apply(self, classes: NDArray[np.uint8], areas: NDArray[np.int64] | None = None) -> NDArray[np.uint8]:
        """Cleaned classes of a window.

        Parameters
        ----------
        classes
            (h + 2, w + 2) uint8: a window with the one pixel around it, 255 outside the scene. Pixels nearer
            than `reach` to a side where the scene goes on may differ from what the whole raster gives.
        areas
            (h, 1) or (h, w) int64, where `least_area` is set.

        Returns
        -------
        (h + 2, w + 2) uint8; the rim is as it came.
        """
        classes = np.ascontiguousarray(classes)
        if self.majority > 1:
            classes = _majority(classes, self.majority // 2)
        if self.fill:
            classes = _fill(classes, self.fill)
        if self.least_pixels:
            classes = self._sieve(classes, areas)
        return classes

    def _sieve(self, classes: NDArray[np.uint8], areas: NDArray[np.int64] | None) -> NDArray[np.uint8]:
        runs, regions = label_chunk(classes, row=0, col=0, scene_width=classes.shape[1], areas=areas)
        if self.least_area:
            is_small = regions["area"] < self.least_area
        else:
            is_small = regions["pixels"] < self.least_pixels
        # a region that leaves the window is large: near enough to matter, its way out alone has pixels enough
        is_small &= ~regions["is_open"]
        target = regions["class_id"].copy()
        if self.small == "drop":
            target[is_small] = NODATA
        else:
            target = _adopt(
                classes, runs.row_start, runs.start, runs.label, target, is_small, regions["class_id"].copy()
            )
        painted: NDArray[np.uint8] = _painted(classes, runs.row_start, runs.start, runs.label, target)
        return painted


def _fill(classes: NDArray[np.uint8], fewer_than: int) -> NDArray[np.uint8]:
    """Classes with small nodata areas filled: nodata plays the only class, all classes its surroundings."""
    holes = np.where(classes == NODATA, 0, NODATA).astype(np.uint8)
    runs, regions = label_chunk(holes, row=0, col=0, scene_width=classes.shape[1])
    # what lies outside the scene is nodata too, so an area at the scene's edge goes on there
    is_small = (regions["pixels"] < fewer_than) & ~regions["is_open"]
    filled: NDArray[np.uint8] = _surrounded(classes, runs.row_start, runs.start, runs.label, is_small)
    return filled


@njit(nogil=True, cache=True)
def _majority(classes, radius):  # type: ignore[no-untyped-def]
    """Mode in a square window; the counts move along a row with the window."""
    height, width = classes.shape
    out = classes.copy()
    counts = np.zeros(256, np.int32)
    for r in range(1, height - 1):
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
            if own == NODATA or c == 0 or c == width - 1:
                continue
            best, most = own, counts[own]
            for k in range(top, bottom + 1):
                for j in range(max(c - radius, 0), min(c + radius, width - 1) + 1):
                    v = classes[k, j]
                    if v != NODATA and (counts[v] > most or (counts[v] == most and best != own and v < best)):
                        best, most = v, counts[v]
            out[r, c] = best
    return out


@njit(nogil=True, cache=True)
def _adopt(classes, row_start, start, label, target, is_small, own):  # type: ignore[no-untyped-def]
    """Class of every region after its small ones joined the class that most of their border has."""
    position = np.full(256, -1, np.int64)
    names = np.empty(256, np.int64)
    kinds = 0
    for k in range(own.shape[0]):
        if position[own[k]] < 0:
            position[own[k]] = kinds
            names[kinds] = own[k]
            kinds += 1
    rank = np.full(is_small.shape[0], -1, np.int64)
    waiting = 0
    for k in range(is_small.shape[0]):
        if is_small[k]:
            rank[k] = waiting
            waiting += 1
    settled = ~is_small
    for _ in range(ROUNDS):
        joined = settled.copy()
        votes = np.zeros((waiting, kinds), np.int32)
        _count_votes(classes, row_start, start, label, target, rank, settled, position, votes)
        for k in range(is_small.shape[0]):
            if settled[k]:
                continue
            best, most = -1, 0
            for j in range(kinds):
                n = votes[rank[k], j]
                if n > most or (n == most and n > 0 and names[j] < best):
                    best, most = names[j], n
            if most > 0:
                target[k] = best
                joined[k] = True
        settled = joined
    return target


@njit(nogil=True, cache=True)
def _count_votes(  # type: ignore[no-untyped-def]
    classes, row_start, start, label, target, rank, settled, position, votes
):
    """Add the lengths of all borders between an unsettled region and a settled one."""
    width = classes.shape[1] - 2
    for r in range(row_start.shape[0] - 1):
        first, end = row_start[r], row_start[r + 1]
        for k in range(first + 1, end):
            _vote(label[k - 1], label[k], 1, target, rank, settled, position, votes)
        if r == 0:
            continue
        above, k = row_start[r - 1], first
        while k < end and above < first:
            k_stop = start[k + 1] if k + 1 < end else width
            above_stop = start[above + 1] if above + 1 < first else width
            length = min(k_stop, above_stop) - max(start[k], start[above])
            if length > 0:
                _vote(label[above], label[k], length, target, rank, settled, position, votes)
            if k_stop <= above_stop:
                k += 1
            if above_stop <= k_stop:
                above += 1


@njit(nogil=True, cache=True, inline="always")
def _vote(a, b, length, target, rank, settled, position, votes):  # type: ignore[no-untyped-def]
    if a < 0 or b < 0 or a == b:  # nodata, or within one region
        return
    if settled[a] and not settled[b]:
        votes[rank[b], position[target[a]]] += length
    elif settled[b] and not settled[a]:
        votes[rank[a], position[target[b]]] += length


@njit(nogil=True, cache=True)
def _painted(classes, row_start, start, label, target):  # type: ignore[no-untyped-def]
    width = classes.shape[1] - 2
    out = classes.copy()
    for r in range(row_start.shape[0] - 1):
        for k in range(row_start[r], row_start[r + 1]):
            if label[k] == NO_LABEL:
                continue
            stop = start[k + 1] if k + 1 < row_start[r + 1] else width
            out[r + 1, start[k] + 1 : stop + 1] = target[label[k]]
    return out


@njit(nogil=True, cache=True)
def _surrounded(classes, row_start, start, label, is_small):  # type: ignore[no-untyped-def]
    """Classes with the small areas painted in the class of most of their border, the lower one of equals."""
    width = classes.shape[1] - 2
    rank = np.full(is_small.shape[0], -1, np.int64)
    count = 0
    for k in range(is_small.shape[0]):
        if is_small[k]:
            rank[k] = count
            count += 1
    votes = np.zeros((count, 256), np.int32)
    for r in range(row_start.shape[0] - 1):
        for k in range(row_start[r], row_start[r + 1]):
            if label[k] == NO_LABEL or rank[label[k]] < 0:
                continue
            stop = start[k + 1] if k + 1 < row_start[r + 1] else width
            mine = votes[rank[label[k]]]
            mine[classes[r + 1, start[k]]] += 1
            mine[classes[r + 1, stop + 1]] += 1
            for c in range(start[k], stop):
                mine[classes[r, c + 1]] += 1
                mine[classes[r + 2, c + 1]] += 1
    target = np.full(is_small.shape[0], NODATA, np.uint8)
    for k in range(is_small.shape[0]):
        if rank[k] >= 0:
            votes[rank[k], NODATA] = 0  # itself
            best = np.argmax(votes[rank[k]])
            if votes[rank[k], best] > 0:
                target[k] = best
    return _painted(classes, row_start, start, label, target)
