"""Vertices taken out of shared borders, so that no two borders ever meet where they did not before.

A vertex v between its present neighbours p and n may go when the closed triangle (p, v, n) holds no other
present vertex of any border. The edge p-n then crosses no border: an edge that crossed it would enter the
triangle, and could leave it only over p-v or v-n, which are borders themselves, so it would have to end in
it. Moving v straight onto p-n sweeps over no vertex, so rings stay simple, keep their orientation, and keep
what they contain inside. Two borders between the same two nodes never both become a straight line. All of it
is decided in integers.

Whoever loses area to a neighbour that way gets it back: within a cell the classes keep an account, and no
vertex goes that would put a class farther off than allowed before one of the other sign has gone.

The order is that of Visvalingam and Whyatt (1993), smallest triangle first, or the vertices that go are those
that Douglas and Peucker (1973) leave out. Either way no corner that went lies farther from the new border
than the tolerance, so neither border lies farther from the other (Hausdorff).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.outlines.borders import KEPT, LOOP, OPEN, RING, Chains

FEWEST_OF_A_RING = 4
"""Vertices that a border without a node, or from a node back to it, keeps."""
_STEP = 1  # half pixels: one step of a staircase, whose triangle holds no other corner (Pick 1899)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaBudget:
    """What classes may gain and lose in one cell, so that their areas stay.

    Attributes
    ----------
    left, right
        (chains,) uint8: class on either side of each chain, in its direction.
    most
        (256,) int64: most that a class may be off, in half pixels. Single steps are taken out all the same,
        and made up for by what follows.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    most: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        classes: NDArray[np.uint8],
        chains: Chains,
        edges: tuple[int, int, int, int],
        *,
        share: float,
        pixels: float,
    ) -> AreaBudget:
        """The one that allows each class a share of its area in the cell, or this many pixels if more.

        `classes` is the chunk with the one pixel around it; nodata may gain and lose without limit.
        """
        row, col, row_end, col_end = edges
        held = np.bincount(classes[row + 1 : row_end + 1, col + 1 : col_end + 1].ravel(), minlength=256)
        most = np.maximum(2 * share * held, 2 * pixels).astype(np.int64)
        most[NODATA] = np.iinfo(np.int64).max
        left, right = sides_of(classes, chains)
        return cls(left=left, right=right, most=most)

    @classmethod
    def unlimited(cls, chains: int) -> AreaBudget:
        """The one that allows everything."""
        side = np.zeros(chains, np.uint8)
        return cls(left=side, right=side, most=np.full(256, np.iinfo(np.int64).max))


def sides_of(classes: NDArray[Any], chains: Chains) -> tuple[NDArray[Any], NDArray[Any]]:
    """(left, right) classes of every chain, in its direction."""
    left, right = _sides(classes, chains.rows, chains.cols, chains.offsets)
    return left, right


@kernel("u1[:,:], i4[:], i4[:], i8[:]", "u4[:,:], i4[:], i4[:], i8[:]")
def _sides(classes, rows, cols, offsets):  # type: ignore[no-untyped-def]
    """(left, right) classes of the first edge of each chain."""
    chains = offsets.shape[0] - 1
    left, right = np.empty(chains, classes.dtype), np.empty(chains, classes.dtype)
    for k in range(chains):
        i = offsets[k]
        r, c = rows[i], cols[i]
        if rows[i + 1] == r:
            c = min(c, cols[i + 1])
            left[k], right[k] = classes[r, c + 1], classes[r + 1, c + 1]
            turned = cols[i + 1] < cols[i]
        else:
            r = min(r, rows[i + 1])
            left[k], right[k] = classes[r + 1, c], classes[r + 1, c + 1]
            turned = rows[i + 1] > rows[i]
        if turned:
            left[k], right[k] = right[k], left[k]
    return left, right


def thin(
    corners: NDArray[np.uint8],
    chains: Chains,
    edges: tuple[int, int, int, int],
    budget: AreaBudget,
    *,
    pixel: tuple[float, float],
    peucker: bool,
) -> NDArray[np.bool_]:
    """(n,) bool: which corners of the chains stay vertices; the others lose their bit in `corners`.

    Parameters
    ----------
    corners
        Bits of the chunk's corners, changed in place.
    chains
        Chains of one cell.
    edges
        First and last corner row and column of that cell: (row, col, row end, col end).
    budget
        What classes may gain and lose.
    pixel
        Its height and width, in tolerances.
    peucker
        Take out only what Douglas and Peucker leave out.
    """
    kept: NDArray[np.bool_] = _thin(
        corners,
        (chains.rows, chains.cols, chains.offsets, chains.kind),
        edges,
        (budget.left, budget.right, budget.most),
        pixel,
        peucker,
    )
    return kept


@kernel("u1[:,:], (i4[:], i4[:], i8[:], i1[:]), (i8, i8, i8, i8), (u1[:], u1[:], i8[:]), (f8, f8), b1")
def _thin(corners, chains, edges, budget, pixel, peucker):  # type: ignore[no-untyped-def]
    rows, cols, offsets, kind = chains
    count = rows.shape[0]
    before, after, chain_of, inner, goes, bare = _linked(chains, edges, pixel, peucker)
    kept = np.ones(count, np.bool_)
    gain = np.zeros(256, np.int64)
    heap = np.empty(3 * count + 16, np.int64)
    blocked, is_blocked = np.empty(count, np.int64), np.zeros(count, np.bool_)
    waiting = 0
    for i in range(count):
        if goes[i]:
            key = (abs(_turn(rows, cols, before[i], i, after[i])) << 32) | i
            waiting = _push(heap, waiting, key)
    while True:
        removed, stuck = False, 0
        while waiting > 0:
            top = heap[0]
            waiting = _pop(heap, waiting)
            i = top & 0xFFFFFFFF
            p, n = np.int64(before[i]), np.int64(after[i])
            turn = _turn(rows, cols, p, i, n)
            if not kept[i] or top >> 32 != abs(turn):
                continue
            k = chain_of[i]
            if kind[k] != OPEN and inner[k] + (kind[k] == LOOP) <= FEWEST_OF_A_RING:
                continue
            if not _is_near(rows, cols, p, n, offsets[k], offsets[k + 1], pixel):
                continue
            is_last = inner[k] == 1 and kind[k] == OPEN
            if is_last and _on_one_edge(rows, cols, p, n, edges):
                continue
            if (
                (is_last and _has_pair(bare, _pair(rows, cols, p, n, edges)))
                or not _allows(budget, gain, k, turn)
                or (abs(turn) > _STEP and _holds_others(corners, rows, cols, p, i, n))
            ):
                if not is_blocked[i]:
                    is_blocked[i] = True
                    blocked[stuck] = i
                    stuck += 1
                continue
            kept[i] = False
            removed = True
            corners[rows[i], cols[i]] &= ~np.uint8(KEPT)
            gain[budget[0][k]] += turn
            gain[budget[1][k]] -= turn
            after[p], before[n] = n, p
            inner[k] -= 1
            if inner[k] == 0:
                _add_pair(bare, _pair(rows, cols, p, n, edges))
            for j in (p, n):
                if goes[j]:
                    key = (abs(_turn(rows, cols, before[j], j, after[j])) << 32) | j
                    waiting = _push(heap, waiting, key)
        # what blocked a vertex may be gone by now
        if not removed or stuck == 0:
            return kept
        for v in blocked[:stuck]:
            is_blocked[v] = False
            if kept[v]:
                key = (abs(_turn(rows, cols, before[v], v, after[v])) << 32) | v
                waiting = _push(heap, waiting, key)


@kernel()
def _linked(chains, edges, pixel, peucker):  # type: ignore[no-untyped-def]
    """Neighbours and chain of every corner, corners inside each chain, what may go, straight borders."""
    rows, cols, offsets, kind = chains
    count = rows.shape[0]
    before, after = np.empty(count, np.int32), np.empty(count, np.int32)
    chain_of, inner = np.empty(count, np.int32), np.empty(kind.shape[0], np.int64)
    goes = np.zeros(count, np.bool_)
    bare = _no_pairs(kind.shape[0])
    for k in range(kind.shape[0]):
        begin, end = offsets[k], offsets[k + 1]
        for i in range(begin, end):
            before[i], after[i], chain_of[i] = i - 1, i + 1, k
        if kind[k] == RING:
            before[begin], after[end - 1] = end - 1, begin
            inner[k] = end - begin
            goes[begin:end] = True
        else:
            inner[k] = end - begin - 2
            goes[begin + 1 : end - 1] = True
            if inner[k] == 0:
                _add_pair(bare, _pair(rows, cols, begin, end - 1, edges))
        if peucker:
            _spare_farthest(rows, cols, begin, end, kind[k], pixel, goes)
    return before, after, chain_of, inner, goes, bare


@kernel()
def _allows(budget, gain, k, turn):  # type: ignore[no-untyped-def]
    """Whether the classes beside chain k may gain and lose so much, or are nearer to even by it."""
    if abs(turn) <= _STEP:
        return True
    left, right, most = budget
    one, other = gain[left[k]], gain[right[k]]
    return abs(one + turn) <= max(abs(one), most[left[k]]) and abs(other - turn) <= max(
        abs(other), most[right[k]]
    )


@kernel()
def _turn(rows, cols, a, b, c):  # type: ignore[no-untyped-def]
    """Twice the area of a triangle of corners: what the left side gains when b goes, in half pixels."""
    r, s = np.int64(rows[b]), np.int64(cols[b])
    return (rows[a] - r) * (cols[c] - s) - (cols[a] - s) * (rows[c] - r)


@kernel()
def _squared_distance(dr, dc, er, ec):  # type: ignore[no-untyped-def]
    """Squared distance of the point (dr, dc) from the segment between the origin and (er, ec)."""
    length = er * er + ec * ec
    t = dr * er + dc * ec
    if t <= 0.0 or length == 0.0:
        return dr * dr + dc * dc
    if t >= length:
        return (dr - er) ** 2 + (dc - ec) ** 2
    cross = dr * ec - dc * er
    return cross * cross / length


@kernel()
def _is_near(rows, cols, p, n, begin, end, pixel):  # type: ignore[no-untyped-def]
    """Whether all corners between p and n are within the tolerance of the segment p-n."""
    down, across = pixel
    r, c = rows[p], cols[p]
    er, ec = (rows[n] - r) * down, (cols[n] - c) * across
    i = p + 1
    while True:
        if i == end:
            i = begin
        if i == n:
            return True
        if _squared_distance((rows[i] - r) * down, (cols[i] - c) * across, er, ec) > 1.0:
            return False
        i += 1


@kernel()
def _spare_farthest(rows, cols, begin, end, kind, pixel, goes):  # type: ignore[no-untyped-def]
    """Unmark the corners that Douglas and Peucker keep; a ring is split at its first and farthest corner."""
    down, across = pixel
    stack = np.empty((64, 2), np.int64)
    depth = 0
    if kind == RING:
        farthest, most = begin, -1.0
        for i in range(begin, end):
            d = ((rows[i] - rows[begin]) * down) ** 2 + ((cols[i] - cols[begin]) * across) ** 2
            if d > most:
                farthest, most = i, d
        goes[begin] = goes[farthest] = False
        stack[0, 0], stack[0, 1] = begin, farthest
        stack[1, 0], stack[1, 1] = farthest, end
        depth = 2
    else:
        stack[0, 0], stack[0, 1] = begin, end - 1
        depth = 1
    while depth > 0:
        depth -= 1
        a, b = stack[depth, 0], stack[depth, 1]
        r, c = rows[a], cols[a]
        last = begin if b == end else b
        er, ec = (rows[last] - r) * down, (cols[last] - c) * across
        farthest, most = a, 1.0
        for i in range(a + 1, b):
            d = _squared_distance((rows[i] - r) * down, (cols[i] - c) * across, er, ec)
            if d > most:
                farthest, most = i, d
        if farthest == a:
            continue
        goes[farthest] = False
        if depth + 2 > stack.shape[0]:
            grown = np.empty((2 * stack.shape[0], 2), np.int64)
            for k in range(depth):
                grown[k, 0], grown[k, 1] = stack[k, 0], stack[k, 1]
            stack = grown
        stack[depth, 0], stack[depth, 1] = a, farthest
        stack[depth + 1, 0], stack[depth + 1, 1] = farthest, b
        depth += 2


@kernel()
def _holds_others(corners, rows, cols, a, b, c):  # type: ignore[no-untyped-def]
    """Whether the closed triangle of three vertices holds another vertex."""
    return holds_vertex(
        corners,
        (np.int64(rows[a]), np.int64(cols[a])),
        (np.int64(rows[b]), np.int64(cols[b])),
        (np.int64(rows[c]), np.int64(cols[c])),
        1,
        3,
    )


@kernel()
def holds_vertex(corners, a, b, c, scale, own):  # type: ignore[no-untyped-def]
    """Whether a closed triangle holds more than `own` vertices; its corners are given in 1 / scale pixels."""
    (ar, ac), (br, bc), (cr, cc) = a, b, c
    if (br - ar) * (cc - ac) - (bc - ac) * (cr - ar) < 0:
        br, bc, cr, cc = cr, cc, br, bc
    left, right = min(ac, bc, cc), max(ac, bc, cc)
    low, high = -(-left // scale), right // scale
    found = 0
    for r in range(-(-min(ar, br, cr) // scale), max(ar, br, cr) // scale + 1):
        first, last = low, high
        y = r * scale
        for e in range(3):
            if e == 0:
                pr, pc, qr, qc = ar, ac, br, bc
            elif e == 1:
                pr, pc, qr, qc = br, bc, cr, cc
            else:
                pr, pc, qr, qc = cr, cc, ar, ac
            # (q - p) x (point - p) >= 0, solved for the column
            slope = (qr - pr) * scale
            rest = (qc - pc) * (y - pr) + (qr - pr) * pc
            if slope > 0:
                first = max(first, -(-rest // slope))
            elif slope < 0:
                last = min(last, rest // slope)
            elif rest > 0:
                last = first - 1
        for s in range(first, last + 1):
            if corners[r, s] & KEPT:
                found += 1
                if found > own:
                    return True
    return False


@kernel()
def _on_one_edge(rows, cols, p, n, edges):  # type: ignore[no-untyped-def]
    """Whether both nodes lie on the same edge of the cell."""
    row, col, row_end, col_end = edges
    if rows[p] == rows[n] and (rows[p] == row or rows[p] == row_end):
        return True
    return cols[p] == cols[n] and (cols[p] == col or cols[p] == col_end)


@kernel()
def _pair(rows, cols, p, n, edges):  # type: ignore[no-untyped-def]
    """One number for two different corners of a cell, whatever their order; above 0."""
    a = (np.int64(rows[p] - edges[0]) << 15) | np.int64(cols[p] - edges[1])
    b = (np.int64(rows[n] - edges[0]) << 15) | np.int64(cols[n] - edges[1])
    return (min(a, b) << 30) | max(a, b)


@kernel()
def _no_pairs(most):  # type: ignore[no-untyped-def]
    """Empty hash set, open addressing, of up to `most` numbers above 0."""
    size = 16
    while size < 2 * most:
        size *= 2
    return np.zeros(size, np.int64)


@kernel()
def _slot(pairs, key):  # type: ignore[no-untyped-def]
    # Fibonacci hashing
    at = ((key * np.int64(-7046029254386353131)) >> 20) & (pairs.shape[0] - 1)
    while pairs[at] != 0 and pairs[at] != key:
        at = (at + 1) & (pairs.shape[0] - 1)
    return at


@kernel()
def _add_pair(pairs, key):  # type: ignore[no-untyped-def]
    pairs[_slot(pairs, key)] = key


@kernel()
def _has_pair(pairs, key):  # type: ignore[no-untyped-def]
    return pairs[_slot(pairs, key)] == key


@kernel()
def _push(heap, size, key):  # type: ignore[no-untyped-def]
    """Add to a binary heap, smallest first; its new size."""
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if heap[above] <= key:
            break
        heap[at] = heap[above]
        at = above
    heap[at] = key
    return size + 1


@kernel()
def _pop(heap, size):  # type: ignore[no-untyped-def]
    """Take the smallest out of a binary heap; its new size."""
    size -= 1
    key = heap[size]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= key:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = key
    return size
