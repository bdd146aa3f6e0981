"""Regions joined over chunk seams, one row of chunks after the other.

A region is finished as soon as a row of chunks ends without it reaching over the lower seam; only regions
that do are kept, so memory follows the width of the scene and never its height. What is held for one region
can have a limit: a region beyond it is cut at the seam, and what lies below is a region of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root
from geoseg.regions.label import REGION, Borders


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
class Cuts:
    """Stretches of a seam at which regions were cut.

    Attributes
    ----------
    node
        (n,) int64: whose pixels lie along the stretch.
    row
        (n,) int64: the seam, as the row of the pixels below it.
    begin, end
        (n,) int64: columns from `begin` to before `end`.
    above
        (n,) bool: whether the node's pixels are those above the seam.
    """

    node: NDArray[np.int64]
    row: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    above: NDArray[np.bool_]


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
    cuts
        Stretches of the upper seam where the row before was cut off, and of the lower one where this row is.
    """

    target: NDArray[np.int64]
    bases: NDArray[np.int64]
    finished: NDArray[np.void]
    still_open: int
    cuts: Cuts


class RegionJoin:
    """Union-find of open regions over the rows of chunks of a scene, fed from the top.

    Parameters
    ----------
    most
        Weight beyond which a region is cut at the next seam; None cuts none.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = np.iinfo(np.int64).max if most is None else most
        self._open = np.zeros(0, REGION)
        self._weight = np.zeros(0, np.int64)
        self._frontier: NDArray[np.int64] | None = None
        self._cut_row = 0
        self._cut_off: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def add_row(
        self, chunks: Sequence[OpenRegions], weights: Sequence[NDArray[np.int64]] | None = None
    ) -> Joined:
        """Join a row of chunks, given from left to right, with each other and with the rows above.

        `weights` are those of the chunks' open regions; without them they weigh nothing.
        """
        sizes = [len(chunk.regions) for chunk in chunks]
        added = [np.zeros(size, np.int64) for size in sizes] if weights is None else weights
        bases = len(self._open) + np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        regions = np.concatenate([self._open, *(chunk.regions for chunk in chunks)])
        parent = np.arange(len(regions), dtype=np.int64)
        for k in range(len(chunks) - 1):
            unite(parent, chunks[k].borders.right, bases[k], chunks[k + 1].borders.left, bases[k + 1])
        top, bottom = (
            _line([getattr(chunk.borders, side) for chunk in chunks], bases) for side in ("top", "bottom")
        )
        if self._frontier is not None:
            unite(parent, self._frontier, 0, top, 0)
        weight = np.concatenate([self._weight, *added]).astype(np.int64)
        merged, is_root, stays = _merge(parent, regions, weight, bottom, self._most)
        crosses = bottom >= 0
        if len(regions):
            crosses &= stays[parent[bottom]]
        # a node's place within its kind, in order of first pixel
        target = np.zeros(len(regions), np.int64)
        finished, staying = (self._ordered(merged, is_root & kind) for kind in (~stays, stays))
        target[finished] = np.arange(len(finished))
        target[staying] = -1 - np.arange(len(staying))
        target = target[parent]
        cuts = self._cuts(regions, top, bottom, (bottom >= 0) & ~crosses)
        self._open, self._weight = merged[staying], weight[staying]
        self._frontier = np.where(crosses, -1 - target[bottom], -1) if len(target) else bottom
        return Joined(
            target=target, bases=bases, finished=merged[finished], still_open=len(staying), cuts=cuts
        )

    def _cuts(
        self,
        regions: NDArray[np.void],
        top: NDArray[np.int64],
        bottom: NDArray[np.int64],
        cut_off: NDArray[np.bool_],
    ) -> Cuts:
        """Stretches of both seams; remembers those of the lower one for the row below."""
        before = self._cut_off if len(self._cut_off) else np.zeros(len(top), np.bool_)
        below, above = _stretches(top, before), _stretches(bottom, cut_off)
        rows = np.full(len(below[0]), self._cut_row), regions["row_end"][above[0]].astype(np.int64)
        self._cut_off = cut_off
        self._cut_row = int(rows[1][0]) if len(rows[1]) else 0
        node, begin, end = (np.concatenate(pair) for pair in zip(below, above, strict=True))
        is_above = np.repeat([False, True], [len(below[0]), len(above[0])])
        return Cuts(node=node, row=np.concatenate(rows), begin=begin, end=end, above=is_above)

    @staticmethod
    def _ordered(regions: NDArray[np.void], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        found = np.flatnonzero(mask)
        return found[np.argsort(regions["first"][found], kind="stable")]


def _line(parts: Sequence[NDArray[np.int32]], bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Borders of a row of chunks side by side, as nodes."""
    return np.concatenate(
        [np.where(part >= 0, part + base, -1) for part, base in zip(parts, bases, strict=True)]
    ).astype(np.int64)


def _stretches(
    nodes: NDArray[np.int64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(node, begin, end) of the longest stretches of one node where the mask holds."""
    line = np.where(mask, nodes, -1)
    begin = np.flatnonzero(np.diff(line, prepend=-2))
    end = np.append(begin[1:], len(line))
    chosen = line[begin] >= 0
    return line[begin][chosen], begin[chosen], end[chosen]


@kernel("i8[:], i4[:], i8, i4[:], i8", "i8[:], i8[:], i8, i8[:], i8")
def unite(parent, one, one_base, other, other_base):  # type: ignore[no-untyped-def]
    """Union of the regions that face each other over a seam: node ``one[k] + one_base`` with the other."""
    for k in range(one.shape[0]):
        if one[k] >= 0 and other[k] >= 0:
            a = find_root(parent, np.int64(one[k] + one_base))
            b = find_root(parent, np.int64(other[k] + other_base))
            if a != b:
                parent[max(a, b)] = min(a, b)


@kernel("i8[:]")
def roots_of(parent):  # type: ignore[no-untyped-def]
    """(n,) int64: the root of every node's set."""
    out = np.empty_like(parent)
    for k in range(parent.shape[0]):
        out[k] = find_root(parent, k)
    return out


@kernel("i8[:], REGION[:], i8[:], i8[:], i8")
def _merge(parent, regions, weight, bottom, most):  # type: ignore[no-untyped-def]
    """(sets summed into their roots, is a root, goes on over the lower seam); flattens `parent`.

    Weights are summed in place; sets of more than `most` do not go on.
    """
    count = regions.shape[0]
    merged = regions.copy()
    is_root, stays = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    for k in range(count):
        root = find_root(parent, k)
        parent[k] = root
        if root == k:
            is_root[k] = True
            continue
        weight[root] += weight[k]
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
            root = parent[bottom[k]]
            stays[root] = weight[root] <= most
    for k in range(count):
        merged[k].is_open = stays[k]
    return merged, is_root, stays
