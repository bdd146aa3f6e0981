"""Boundary pieces of regions that are not finished yet, kept until their region is.

A region may span the whole scene, so a piece is stored once, as 8 bytes per corner, and joining two regions
links their lists instead of moving anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.outlines.trace import Paths
from geoseg.regions.join import Joined

_NONE = -1
_WORTH_COMPACTING = 1 << 18


class PendingPaths:
    """Pieces of the open regions, as linked lists in growing arrays."""

    def __init__(self) -> None:
        self._points = np.empty((1 << 12, 2), np.int32)
        self._begin = np.zeros(1 << 8, np.int64)
        self._size = np.zeros(1 << 8, np.int64)
        self._next = np.zeros(1 << 8, np.int64)
        self._first = np.zeros(1 << 8, np.int8)
        self._last = np.zeros(1 << 8, np.int8)
        self._paths = 0
        self._used = 0
        self._alive = 0
        self._head = np.zeros(0, np.int64)
        self._tail = np.zeros(0, np.int64)

    @property
    def corners(self) -> int:
        """Number of corners held for regions that are not finished."""
        return self._alive

    def add_row(self, joined: Joined, pieces: Sequence[tuple[Paths, int]]) -> Paths:
        """Take in the pieces of a row of chunks; give out the pieces of the regions that it finished.

        Pieces come with the node of their owner 0. `owner` of what comes out is the position among
        ``joined.finished``.
        """
        begun = self._paths
        nodes = [self._append(part) + base for part, base in pieces]
        owner = np.concatenate([*nodes, np.zeros(0, np.int64)]).astype(np.int64)
        finished = len(joined.finished)
        lists = self._head, self._tail
        head, tail = _link(self._next, lists, joined.target, owner, begun, (finished, joined.still_open))
        out = self._gather(head[:finished])
        self._alive -= len(out.points)
        self._head, self._tail = head[finished:], tail[finished:]
        if self._used - self._alive > max(self._alive, _WORTH_COMPACTING):
            self._compact()
        return out

    def _append(self, part: Paths) -> NDArray[np.int32]:
        paths, corners = len(part.owner), len(part.points)
        self._reserve(self._paths + paths, self._used + corners)
        here = slice(self._paths, self._paths + paths)
        self._points[self._used : self._used + corners] = part.points
        self._begin[here] = part.offsets[:-1] + self._used
        self._size[here] = np.diff(part.offsets)
        self._next[here] = _NONE
        self._first[here], self._last[here] = part.first, part.last
        self._paths += paths
        self._used += corners
        self._alive += corners
        return part.owner

    def _reserve(self, paths: int, corners: int) -> None:
        if corners > len(self._points):
            self._points = _resized(self._points, self._used, max(corners, len(self._points) * 3 // 2))
        if paths > len(self._begin):
            size = max(paths, 2 * len(self._begin))
            for name in ("_begin", "_size", "_next", "_first", "_last"):
                setattr(self, name, _resized(getattr(self, name), self._paths, size))

    def _gather(self, head: NDArray[np.int64]) -> Paths:
        points, offsets, owner, first, last = _gather(
            self._points, self._begin, self._size, self._next, self._first, self._last, head
        )
        return Paths(points=points, offsets=offsets, owner=owner, first=first, last=last)

    def _compact(self) -> None:
        """Drop what was given out."""
        kept = self._gather(self._head)
        counts = np.bincount(kept.owner, minlength=len(self._head))
        self._points, self._used, self._alive = kept.points, len(kept.points), len(kept.points)
        self._begin, self._size = kept.offsets[:-1].copy(), np.diff(kept.offsets)
        self._first, self._last = kept.first, kept.last
        self._paths = len(kept.owner)
        ends = np.cumsum(counts)
        self._next = np.arange(1, self._paths + 1, dtype=np.int64)
        self._next[ends[counts > 0] - 1] = _NONE
        self._head = np.where(counts > 0, ends - counts, _NONE)
        self._tail = np.where(counts > 0, ends - 1, _NONE)


def _resized(array: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    grown = np.empty((size, *array.shape[1:]), array.dtype)
    grown[:used] = array[:used]
    return grown


@kernel("i8[:], (i8[:], i8[:]), i8[:], i8[:], i8, (i8, i8)")
def _link(following, lists, target, owner, begun, regions):  # type: ignore[no-untyped-def]
    """(head, tail) of the lists of finished regions, then of open ones."""
    head, tail = lists
    finished, still_open = regions
    heads, tails = np.full(finished + still_open, -1, np.int64), np.full(finished + still_open, -1, np.int64)
    for node in range(head.shape[0]):
        if head[node] < 0:
            continue
        t = target[node]
        slot = t if t >= 0 else finished - 1 - t
        if heads[slot] < 0:
            heads[slot] = head[node]
        else:
            following[tails[slot]] = head[node]
        tails[slot] = tail[node]
    for k in range(owner.shape[0]):
        t = target[owner[k]]
        slot = t if t >= 0 else finished - 1 - t
        if heads[slot] < 0:
            heads[slot] = begun + k
        else:
            following[tails[slot]] = begun + k
        tails[slot] = begun + k
    return heads, tails


@kernel("i4[:,:], i8[:], i8[:], i8[:], i1[:], i1[:], i8[:]")
def _gather(points, begin, size, following, first, last, head):  # type: ignore[no-untyped-def]
    paths, corners = 0, 0
    for k in range(head.shape[0]):
        at = head[k]
        while at >= 0:
            paths += 1
            corners += size[at]
            at = following[at]
    out = np.empty((corners, 2), np.int32)
    offsets, owner = np.empty(paths + 1, np.int64), np.empty(paths, np.int32)
    out_first, out_last = np.empty(paths, np.int8), np.empty(paths, np.int8)
    offsets[0] = 0
    i, n = 0, np.int64(0)
    for k in range(head.shape[0]):
        at = head[k]
        while at >= 0:
            for j in range(begin[at], begin[at] + size[at]):
                out[n, 0], out[n, 1] = points[j, 0], points[j, 1]
                n += 1
            owner[i], out_first[i], out_last[i] = k, first[at], last[at]
            i += 1
            offsets[i] = n
            at = following[at]
    return out, offsets, owner, out_first, out_last
