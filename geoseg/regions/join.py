"""Regions joined over chunk seams, one row of chunks after the other.

A region is finished as soon as a row of chunks ends without it reaching over the lower seam; only regions
that do are kept, so memory follows the width of the scene and never its height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geoseg.regions.label import REGION, Borders, find_root


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRegions:
    """Regions of one chunk that go on beyond it.

    Attributes
    ----------
    regions
        REGION array.
    borders
        Where they cross the chunk's seams.
    """

    regions: NDArray[np.void]
    borders: Borders


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What one row of chunks did to the open regions.

    Nodes are the regions that were open before the row, in their order, then the open regions of each chunk
    from left to right.

    Attributes
    ----------
    target
        (nodes,) int64: region that each node became part of: ``t >= 0`` is position t among `finished`, ``t
        < 0`` is position ``-1 - t`` among the regions that are open from now on.
    bases
        (chunks,) int64: node of each chunk's first open region.
    finished
        REGION array in order of first pixel.
    still_open
        Number of regions open from now on.
    """

    target: NDArray[np.int64]
    bases: NDArray[np.int64]
    finished: NDArray[np.void]
    still_open: int


class RegionJoin:
    """Union-find of open regions over the rows of chunks of a scene, fed from the top."""

    def __init__(self) -> None:
        self._open = np.zeros(0, REGION)
        self._frontier: NDArray[np.int64] | None = None

    def add_row(self, chunks: Sequence[OpenRegions]) -> Joined:
        """Join a row of chunks, given from left to right, with each other and with the rows above."""
        sizes = [len(chunk.regions) for chunk in chunks]
        bases = len(self._open) + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        regions = np.concatenate([self._open, *(chunk.regions for chunk in chunks)])
        parent = np.arange(len(regions), dtype=np.int64)
        for k in range(len(chunks) - 1):
            unite(parent, chunks[k].borders.right, bases[k], chunks[k + 1].borders.left, bases[k + 1])
        if self._frontier is not None:
            top = _line([chunk.borders.top for chunk in chunks], bases)
            unite(parent, self._frontier, 0, top, 0)
        bottom = _line([chunk.borders.bottom for chunk in chunks], bases)
        merged, is_root, stays = _merge(parent, regions, bottom)
        # a node's place within its kind, in order of first pixel
        target = np.zeros(len(regions), np.int64)
        finished, staying = (self._ordered(merged, is_root & kind) for kind in (~stays, stays))
        target[finished] = np.arange(len(finished))
        target[staying] = -1 - np.arange(len(staying))
        target = target[parent]
        self._open = merged[staying]
        self._frontier = np.where(bottom >= 0, -1 - target[bottom], -1) if len(target) else bottom
        return Joined(target=target, bases=bases, finished=merged[finished], still_open=len(staying))

    @staticmethod
    def _ordered(regions: NDArray[np.void], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        found = np.flatnonzero(mask)
        return found[np.argsort(regions["first"][found], kind="stable")]


def _line(parts: Sequence[NDArray[np.int32]], bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Borders of a row of chunks side by side, as nodes."""
    return np.concatenate(
        [np.where(part >= 0, part + base, -1) for part, base in zip(parts, bases, strict=True)]
    ).astype(np.int64)


@njit(nogil=True, cache=True)
def unite(parent, one, one_base, other, other_base):  # type: ignore[no-untyped-def]
    """Union of the regions that face each other over a seam: node ``one[k] + one_base`` with the other."""
    for k in range(one.shape[0]):
        if one[k] >= 0 and other[k] >= 0:
            a = find_root(parent, np.int64(one[k] + one_base))
            b = find_root(parent, np.int64(other[k] + other_base))
            if a != b:
                parent[max(a, b)] = min(a, b)


@njit(nogil=True, cache=True)
def _merge(parent, regions, bottom):  # type: ignore[no-untyped-def]
    """(sets summed into their roots, is a root, reaches over the lower seam); flattens `parent`."""
    count = regions.shape[0]
    merged = regions.copy()
    is_root, stays = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for k in range(count):
        root = find_root(parent, k)
        parent[k] = root
        if root == k:
            is_root[k] = True
            continue
        into, part = merged[root], regions[k]
        into.first = min(into.first, part.first)
        into.pixels += part.pixels
        into.area += part.area
        into.confidence += part.confidence
        into.confident += part.confident
        into.row_end = max(into.row_end, part.row_end)
        into.col, into.col_end = min(into.col, part.col), max(into.col_end, part.col_end)
        into.least = min(into.least, part.least)
    for k in range(bottom.shape[0]):
        if bottom[k] >= 0:
            stays[parent[bottom[k]]] = True
    for k in range(count):
        merged[k].is_open = stays[k]
    return merged, is_root, stays
