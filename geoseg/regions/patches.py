"""Patches: areas of one class, joined by sides or also by corners, numbered over all chunks of a map.

Unlike `geoseg.regions.join` nothing is finished before the end: a number for every patch of every chunk is
held, and who belongs together is known when all chunks are in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Window
from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root
from geoseg.legend import NODATA

Labels = NDArray[np.uint8]
Numbers = NDArray[np.int32]


def label_patches(labels: Labels, *, corners: bool) -> tuple[Numbers, int]:
    """(numbers (h, w) from 0 in order of first pixel, -1 for nodata; how many there are)."""
    numbers, count = _labelled(np.ascontiguousarray(labels), corners)
    return numbers, int(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Outermost pixels of a chunk: their classes, and the numbers of their patches in it.

    Attributes
    ----------
    top, bottom, left, right
        (2, n) int64: classes, numbers.
    count
        Patches of the chunk.
    """

    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, labels: Labels, numbers: Numbers, count: int) -> Edges:
        """Edges of a chunk (h, w)."""

        def line(at: tuple[slice | int, slice | int]) -> NDArray[np.int64]:
            return np.stack([labels[at], numbers[at]]).astype(np.int64)

        whole = slice(None)
        return cls(
            top=line((0, whole)),
            bottom=line((-1, whole)),
            left=line((whole, 0)),
            right=line((whole, -1)),
            count=count,
        )


class PatchJoin:
    """Patches of a map's chunks, fed in row-major order.

    Parameters
    ----------
    width
        Of the map in pixels.
    corners
        Whether pixels that share a corner only are neighbours.
    """

    def __init__(self, width: int, *, corners: bool) -> None:
        self._corners = corners
        self._count = 0
        self._row = -1
        self._above = _nothing(width)
        self._bottom = _nothing(width)
        self._before: tuple[int, NDArray[np.int64]] | None = None
        self._pairs: list[NDArray[np.int64]] = [np.zeros((2, 0), np.int64)]

    def add(self, window: Window, edges: Edges) -> int:
        """Number over all chunks of the chunk's first patch."""
        base = self._count
        self._count += edges.count
        if window.row != self._row:
            self._above, self._bottom = self._bottom, _nothing(self._above.shape[1])
            self._row, self._before = window.row, None
        self._unite(self._above, _numbered(edges.top, base), window.col)
        left = _numbered(edges.left, base)
        if self._before is not None and self._before[0] == window.col:
            self._unite(self._before[1], left, 0)
        self._bottom[:, window.col : window.col_end] = _numbered(edges.bottom, base)
        self._before = window.col_end, _numbered(edges.right, base)
        return base

    def patches(self) -> tuple[NDArray[np.int64], int]:
        """(patch of every number, from 0; how many there are)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        one, other = np.concatenate(self._pairs, axis=1)
        graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(self._count, self._count))
        count, patch = connected_components(graph, directed=False)
        return patch.astype(np.int64), int(count)

    def _unite(self, line: NDArray[np.int64], other: NDArray[np.int64], begin: int) -> None:
        """Note which patches meet: `other` lies along `line` from `begin` on."""
        size = other.shape[1]
        for step in (-1, 0, 1) if self._corners else (0,):
            first, last = max(begin + step, 0), min(begin + step + size, line.shape[1])
            facing, own = line[:, first:last], other[:, first - begin - step : last - begin - step]
            meet = (facing[0] == own[0]) & (own[0] != NODATA)
            if meet.any():
                self._pairs.append(np.unique(np.stack([facing[1], own[1]])[:, meet], axis=1))


def _nothing(width: int) -> NDArray[np.int64]:
    return np.full((2, width), NODATA, np.int64)


def _numbered(line: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    return np.stack([line[0], line[1] + base])


@kernel("u1[:,:], b1")
def _labelled(labels, corners):  # type: ignore[no-untyped-def]
    height, width = labels.shape
    parent = np.empty(height * width, np.int32)
    number = np.empty((height, width), np.int32)
    count = 0
    for r in range(height):
        for c in range(width):
            v = labels[r, c]
            if v == NODATA:
                number[r, c] = -1
                continue
            own = -1
            if c > 0 and labels[r, c - 1] == v:
                own = find_root(parent, number[r, c - 1])
            if r > 0:
                for j in range(c - 1 if corners else c, c + 2 if corners else c + 1):
                    if 0 <= j < width and labels[r - 1, j] == v:
                        other = find_root(parent, number[r - 1, j])
                        if own == -1:
                            own = other
                        elif own != other:
                            low, high = min(own, other), max(own, other)
                            parent[high] = low
                            own = low
            if own == -1:
                own = count
                parent[count] = count
                count += 1
            number[r, c] = own
    final = np.empty(count, np.int32)
    patches = 0
    for k in range(count):
        root = find_root(parent, k)
        if root == k:
            final[k] = patches
            patches += 1
        else:
            final[k] = final[root]
    for r in range(height):
        for c in range(width):
            if number[r, c] >= 0:
                number[r, c] = final[number[r, c]]
    return number, patches
