"""Graphs of regions and their borders, in which small regions are given to their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root, marked

UNDECIDED, NEVER = -1, 1 << 30
"""In the place of a round: not known yet, and given away in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Regions and the borders between them.

    Attributes
    ----------
    size, class_id, is_open
        (n,) int64, uint8 and bool: what is known of its size, its class, and whether size or neighbours may
        still grow.
    ends, length
        (m, 2) and (m,) int64: borders. A second end below 0 is a neighbour of which only the class counts
        any more: ``-1 - (256 * since + class)``.
    """

    size: NDArray[np.int64]
    class_id: NDArray[np.uint8]
    is_open: NDArray[np.bool_]
    ends: NDArray[np.int64]
    length: NDArray[np.int64]

    def rest(self, since: NDArray[np.int32], target: NDArray[np.uint8]) -> tuple[Graph, NDArray[np.intp]]:
        """(graph of the nodes that are open or undecided, their positions in this one)."""
        stays = np.flatnonzero(self.is_open | (since == UNDECIDED))
        position = np.full(len(self.size), -1, np.int64)
        position[stays] = np.arange(len(stays))
        ends, length = _undecided_borders(self.ends, self.length, since, target, position)
        ends, length = _summed(ends, length)
        rest = Graph(
            size=self.size[stays],
            class_id=self.class_id[stays],
            is_open=self.is_open[stays],
            ends=ends,
            length=length,
        )
        return rest, stays


def side_by_side(graphs: Sequence[Graph]) -> tuple[Graph, NDArray[np.int64]]:
    """(all graphs as one, first node of each)."""
    bases = np.concatenate([[0], np.cumsum([len(g.size) for g in graphs])[:-1]]).astype(np.int64)
    ends = [np.where(g.ends >= 0, g.ends + base, g.ends) for g, base in zip(graphs, bases, strict=True)]
    joined = Graph(
        size=np.concatenate([g.size for g in graphs]),
        class_id=np.concatenate([g.class_id for g in graphs]),
        is_open=np.concatenate([g.is_open for g in graphs]),
        ends=np.concatenate(ends),
        length=np.concatenate([g.length for g in graphs]),
    )
    return joined, bases


def contracted(
    graph: Graph, parent: NDArray[np.int64], bottom: NDArray[np.int64]
) -> tuple[Graph, NDArray[np.int64]]:
    """(graph of the united regions, their node for every node before); open where they are at the bottom."""
    node, count = _numbered(parent)
    size = np.zeros(count, np.int64)
    np.add.at(size, node, graph.size)
    class_id, is_open = np.zeros(count, np.uint8), np.zeros(count, np.bool_)
    class_id[node] = graph.class_id
    is_open[node[bottom[bottom >= 0]]] = True
    ends, length = _summed(
        np.where(graph.ends >= 0, node[np.maximum(graph.ends, 0)], graph.ends), graph.length
    )
    return Graph(size=size, class_id=class_id, is_open=is_open, ends=ends, length=length), node


def _summed(
    ends: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Borders with every pair once."""
    if len(length) == 0:
        return ends, length
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    ends, length = ends[order], length[order]
    first = np.flatnonzero(np.r_[True, (ends[1:] != ends[:-1]).any(axis=1)])
    return ends[first], np.add.reduceat(length, first)


@kernel("i8[:]")
def _numbered(parent):  # type: ignore[no-untyped-def]
    """(set of every element, numbered from 0 in order of their first element, number of sets)."""
    number = np.empty(parent.shape[0], np.int64)
    count = 0
    for k in range(parent.shape[0]):
        root = find_root(parent, k)
        if root == k:
            number[k] = count
            count += 1
        else:
            number[k] = number[root]
    return number, count


@kernel("i8[:], u1[:], b1[:], i8[:,:], i8[:], i8, i8")
def settle(size, class_id, is_open, ends, length, least, rounds):  # type: ignore[no-untyped-def]
    """(since, target): large regions since 0, small ones since the round in which they were given away.

    Three answers are possible after every round: settled, still waiting, or not known yet, since the region
    itself or a neighbour may go on elsewhere.
    """
    count = size.shape[0]
    target = class_id.copy()
    since = np.empty(count, np.int32)
    for k in range(count):
        since[k] = 0 if size[k] >= least else UNDECIDED if is_open[k] else NEVER
    # neighbours of those that wait, side by side
    begin = np.zeros(count + 1, np.int64)
    for e in range(length.shape[0]):
        for i in ends[e]:
            if i >= 0 and since[i] == NEVER:
                begin[i + 1] += 1
    for k in range(count):
        begin[k + 1] += begin[k]
    at = begin[:-1].copy()
    neighbour, shared = np.empty(begin[-1], np.int64), np.empty(begin[-1], np.int64)
    for e in range(length.shape[0]):
        for side in range(2):
            i = ends[e, side]
            if i >= 0 and since[i] == NEVER:
                neighbour[at[i]], shared[at[i]] = ends[e, 1 - side], length[e]
                at[i] += 1
    asked = marked(since == NEVER)
    votes = np.zeros(256, np.int64)
    state, asks_again = np.empty(asked.shape[0], np.int32), np.empty(asked.shape[0], np.bool_)
    asked_in = np.zeros(count, np.int32)
    for turn in range(1, rounds + 1):
        for w in range(asked.shape[0]):
            k = asked[w]
            state[w] = NEVER
            votes[:] = 0
            asks_again[w] = False
            for n in range(begin[k], begin[k + 1]):
                j = neighbour[n]
                if j < 0:
                    when, cls = (-1 - j) // 256, (-1 - j) % 256
                    asks_again[w] |= when >= turn
                else:
                    when, cls = np.int64(since[j]), np.int64(target[j])
                if when == UNDECIDED:
                    state[w] = UNDECIDED
                    break
                if when < turn:
                    votes[cls] += shared[n]
                    state[w] = turn
            if state[w] == turn:
                target[k] = np.argmax(votes)
        # all at once: nobody sees what became of another in this round
        news = 0
        for w in range(asked.shape[0]):
            since[asked[w]] = state[w]
            news += 1 if state[w] == NEVER else begin[asked[w] + 1] - begin[asked[w]]
        # the answer of all others is the same until a neighbour's changes
        following = np.empty(news, np.int64)
        n = 0
        for w in range(asked.shape[0]):
            k = asked[w]
            if state[w] == NEVER:
                if asks_again[w] and asked_in[k] != turn:
                    asked_in[k] = turn
                    following[n] = k
                    n += 1
                continue
            for j in neighbour[begin[k] : begin[k + 1]]:
                if j >= 0 and since[j] == NEVER and asked_in[j] != turn:
                    asked_in[j] = turn
                    following[n] = j
                    n += 1
        asked = following[:n]
        if n > state.shape[0]:
            state, asks_again = np.empty(n, np.int32), np.empty(n, np.bool_)
    return since, target


@kernel("i8[:,:], i8[:], i4[:], u1[:], i8[:]")
def _undecided_borders(ends, length, since, target, position):  # type: ignore[no-untyped-def]
    """Borders of undecided nodes, by their new positions; neighbours that are settled become their class."""
    out, out_length = np.empty_like(ends), np.empty_like(length)
    n = 0
    for e in range(length.shape[0]):
        a, b = ends[e]
        if since[a] != UNDECIDED:
            if b < 0 or since[b] != UNDECIDED:
                continue
            a, b = b, a
        if b >= 0:
            if since[b] == NEVER:
                continue
            b = position[b] if since[b] == UNDECIDED else -1 - (256 * np.int64(since[b]) + target[b])
        a = position[a]
        out[n, 0], out[n, 1], out_length[n] = max(a, b), min(a, b), length[e]
        n += 1
    return out[:n].copy(), out_length[:n].copy()
