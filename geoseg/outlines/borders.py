"""Shared borders of a class map: found once in the lattice of pixel corners, not once per polygon.

A border runs between two pixels of different class. Nodes are the corners where three or four borders meet,
and every corner on a line of a fixed lattice of cells where a border does more than run along that line. A
border between two nodes is a chain, shared by the regions on both of its sides. A chain lies within one cell,
which is convex, so what replaces a part of it never leaves the cell: whatever is decided inside one cell
holds for the whole scene, for any chunks that are made of whole cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel

CELL = 2048
"""Side in pixels of the cells, which lie on the lattice anchored at the scene's first pixel."""

NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8
"""Bits of a corner: a border leaves it in that direction."""
ARMS = 15
NODE = 16
"""Bit of a corner that never moves."""
KEPT = 32
"""Bit of a corner that is a vertex."""
ROUNDED = 64
"""Bit of a vertex that smoothing may cut."""

OPEN, LOOP, RING = 0, 1, 2
"""Kinds of chain: between two nodes, from a node back to it, and without a node."""

_ROW_STEP = np.array([-1, 0, 1, 0], np.int64)
_COL_STEP = np.array([0, 1, 0, -1], np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """Borders of one cell, ragged.

    Attributes
    ----------
    rows, cols
        (n,) int32 corners in the chunk at which a chain turns, with its two nodes; a ring does not repeat its
        first corner, which is its smallest.
    offsets
        (chains + 1,) int64 into them.
    kind
        (chains,) int8: OPEN, LOOP or RING.
    """

    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    offsets: NDArray[np.int64]
    kind: NDArray[np.int8]


def mark_corners(classes: NDArray[Any], cell: int = CELL) -> NDArray[np.uint8]:
    """(h + 1, w + 1) uint8 bits of every pixel corner of a chunk that starts on the lattice of cells.

    Parameters
    ----------
    classes
        (h + 2, w + 2) as in `label_chunk`.
    cell
        Side of a cell.
    """
    marked: NDArray[np.uint8] = _mark(classes, cell)
    return marked


@kernel("u1[:,:], i8", "u4[:,:], i8")
def _mark(classes, cell):  # type: ignore[no-untyped-def]
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    out = np.empty((height + 1, width + 1), np.uint8)
    for r in range(height + 1):
        upper, lower = classes[r], classes[r + 1]
        on_row = r % cell == 0 or r == height
        for c in range(width + 1):
            a, b, d, e = upper[c], upper[c + 1], lower[c], lower[c + 1]
            arms = (a != b) * NORTH + (b != e) * EAST + (d != e) * SOUTH + (a != d) * WEST
            if arms == 0:
                out[r, c] = 0
                continue
            on_col = c % cell == 0 or c == width
            if arms == NORTH + SOUTH:
                is_node, is_turn = on_row, False
            elif arms == EAST + WEST:
                is_node, is_turn = on_col, False
            else:
                three = arms != NORTH + EAST and arms != EAST + SOUTH
                three = three and arms != SOUTH + WEST and arms != WEST + NORTH
                is_node, is_turn = three or on_row or on_col, True
            out[r, c] = arms + (NODE if is_node else 0) + (KEPT if is_node or is_turn else 0)
    return out


def chains_of(corners: NDArray[np.uint8], row: int, col: int, row_end: int, col_end: int) -> Chains:
    """Chains inside the cell between these corner rows and columns, in order of their first corner.

    Borders along the cell's own edges are left out.
    """
    rows, cols, offsets, kind = _chains(corners, row, col, row_end, col_end)
    return Chains(rows=rows, cols=cols, offsets=offsets, kind=kind)


@kernel("u1[:,:], i8, i8, i8, i8")
def _chains(corners, r0, c0, r1, c1):  # type: ignore[no-untyped-def]
    turns, arms = _count(corners, r0, c0, r1, c1)
    rows, cols = np.empty(turns + arms, np.int32), np.empty(turns + arms, np.int32)
    offsets, kind = np.zeros(arms // 2 + turns // 4 + 1, np.int64), np.empty(arms // 2 + turns // 4, np.int8)
    used = np.zeros((r1 - r0 + 1, c1 - c0 + 1), np.uint8)
    n, chains = np.int64(0), 0
    for r in range(r0, r1 + 1):
        for c in range(c0, c1 + 1):
            if not corners[r, c] & NODE:
                continue
            for d in range(4):
                if used[r - r0, c - c0] & (1 << d) or not _leads_inside(corners, r, c, d, (r0, c0, r1, c1)):
                    continue
                used[r - r0, c - c0] |= 1 << d
                rows[n], cols[n] = r, c
                n, back = _follow(corners, (r, c, d), (rows, cols), n + 1, used, (r0, c0))
                end_r, end_c = rows[n - 1], cols[n - 1]
                used[end_r - r0, end_c - c0] |= 1 << back
                kind[chains] = LOOP if end_r == r and end_c == c else OPEN
                chains += 1
                offsets[chains] = n
    for r in range(r0 + 1, r1):
        for c in range(c0 + 1, c1):
            if corners[r, c] & KEPT and not corners[r, c] & NODE and not used[r - r0, c - c0]:
                # the smallest corner of a ring that no node lies on: its borders run east and south
                n, _ = _follow(corners, (r, c, 1), (rows, cols), n, used, (r0, c0))
                _turn_last_first(rows, cols, offsets[chains], n)
                kind[chains] = RING
                chains += 1
                offsets[chains] = n
    return rows[:n], cols[:n], offsets[: chains + 1], kind[:chains]


@kernel()
def _count(corners, r0, c0, r1, c1):  # type: ignore[no-untyped-def]
    """(corners where chains turn, borders that leave nodes) inside a cell."""
    turns, arms = 0, 0
    for r in range(r0, r1 + 1):
        for c in range(c0, c1 + 1):
            bits = corners[r, c]
            if bits & NODE:
                for d in range(4):
                    arms += _leads_inside(corners, r, c, d, (r0, c0, r1, c1))
            elif bits & KEPT and r0 < r < r1 and c0 < c < c1:
                turns += 1
    return turns, arms


@kernel()
def _leads_inside(corners, r, c, d, cell):  # type: ignore[no-untyped-def]
    """Whether a border leaves (r, c) in direction d through the inside of the cell."""
    r0, c0, r1, c1 = cell
    if not corners[r, c] & (1 << d):
        return False
    if d == 0:
        return r > r0 and c0 < c < c1
    if d == 1:
        return c < c1 and r0 < r < r1
    if d == 2:
        return r < r1 and c0 < c < c1
    return c > c0 and r0 < r < r1


@kernel()
def _follow(corners, begin, chain, n, used, origin):  # type: ignore[no-untyped-def]
    """Write the turns from `begin` (row, column, direction) to the next node, or round; (end, way back)."""
    r, c, d = begin
    rows, cols = chain
    while True:
        r += _ROW_STEP[d]
        c += _COL_STEP[d]
        bits = corners[r, c]
        if not bits & KEPT:
            continue
        rows[n], cols[n] = r, c
        n += 1
        if bits & NODE:
            return n, (d + 2) & 3
        used[r - origin[0], c - origin[1]] = 1
        if r == begin[0] and c == begin[1]:
            return n, d
        ahead = bits & ARMS & ~(1 << ((d + 2) & 3))
        d = 0 if ahead == NORTH else 1 if ahead == EAST else 2 if ahead == SOUTH else 3


@kernel()
def _turn_last_first(rows, cols, begin, end):  # type: ignore[no-untyped-def]
    """Move the last corner of a ring, where its walk ended, to its begin."""
    r, c = rows[end - 1], cols[end - 1]
    for k in range(end - 1, begin, -1):
        rows[k], cols[k] = rows[k - 1], cols[k - 1]
    rows[begin], cols[begin] = r, c
