"""Boundaries of one chunk's regions, in integer pixel corners: rings of what ends here, arcs of what goes on.

Every region is walked with its pixels on the left, so an exterior ring runs counter-clockwise in a north-up
map and a hole clockwise. Two pixels of one class that touch only at a corner belong together there when they
are of the same region, and not otherwise: rings then never touch themselves, and every polygon is valid (OGC
Simple Features 6.1.11). Whether they are of one region can depend on what lies beyond the chunk; where it
does, the walk is cut at that corner and `seams` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.regions.label import Runs, label_at

WEST, SOUTH, EAST, NORTH = 0, 1, 2, 3
"""Directions of a walk: along a pixel's top, left, bottom and right edge."""

_ROW_STEP = np.array([0, 1, 0, -1], np.int64)
_COL_STEP = np.array([-1, 0, 1, 0], np.int64)
# corners of pixel (0, 0) where its edge in that direction starts and ends
_START_ROW, _START_COL = np.array([0, 0, 1, 1], np.int64), np.array([1, 0, 0, 1], np.int64)
_END_ROW, _END_COL = np.array([0, 1, 1, 0], np.int64), np.array([0, 0, 1, 1], np.int64)

_CUT = -2  # the walk cannot know its next pixel
_TOP_SEEN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Boundary pieces of regions, ragged.

    Attributes
    ----------
    points
        (n, 2) int32: (row, col) of pixel corners in the scene.
    offsets
        (paths + 1,) int64: points of path i are ``offsets[i]`` to ``offsets[i + 1]``. A ring does not repeat
        its first point and starts at its smallest (row, col); an arc has both its ends.
    owner
        (paths,) int32: region that the path bounds.
    first, last
        (paths,) int8: directions in which an arc starts and ends; -1 for a ring.
    """

    points: NDArray[np.int32]
    offsets: NDArray[np.int64]
    owner: NDArray[np.int32]
    first: NDArray[np.int8]
    last: NDArray[np.int8]


def trace_chunk(
    classes: NDArray[Any],
    runs: Runs,
    is_open: NDArray[np.bool_],
    *,
    row: int,
    col: int,
) -> Paths:
    """Paths of all regions of a chunk; `owner` is the region's label.

    Parameters
    ----------
    classes
        (h + 2, w + 2) as in `label_chunk`.
    runs, is_open
        Runs and open flags of its regions.
    row, col
        Scene position of the chunk's first pixel.
    """
    classes = np.ascontiguousarray(classes)
    points, offsets, owner, first, last = _trace(
        classes, classes.ravel(), (runs.row_start, runs.start, runs.label), is_open, (row, col)
    )
    return Paths(points=points, offsets=offsets, owner=owner, first=first, last=last)


def select_paths(paths: Paths, rank: NDArray[np.int32]) -> Paths:
    """Paths of the owners with a rank, owned by that rank from now on."""
    keep = rank[paths.owner] >= 0
    sizes = np.diff(paths.offsets)
    return Paths(
        points=paths.points[np.repeat(keep, sizes)],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[keep])]),
        owner=rank[paths.owner[keep]],
        first=paths.first[keep],
        last=paths.last[keep],
    )


@kernel(
    "u1[:,:], u1[:], (i8[:], i4[:], i4[:]), b1[:], (i8, i8)",
    "u4[:,:], u4[:], (i8[:], i4[:], i4[:]), b1[:], (i8, i8)",
)
def _trace(classes, flat, runs, is_open, origin):  # type: ignore[no-untyped-def]
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    row_start, start, label = runs
    seen = np.zeros(height * width, np.uint8)
    points = np.empty((1024, 2), np.int32)
    offsets, owner = np.zeros(256, np.int64), np.empty(256, np.int32)
    first, last = np.empty(256, np.int8), np.empty(256, np.int8)
    paths = 0
    chunk = (flat, height, width, runs, is_open)
    stack = _border_starts(chunk)
    depth = stack.shape[0]
    r, k, c = 0, 0, 0
    while True:
        # next edge to walk from: a known start of an arc, else the next stretch of a top edge nobody walked
        # yet
        if depth > 0:
            depth -= 1
            pixel, d = stack[depth] >> 2, stack[depth] & 3
            bit = np.uint8(2 << d)
            if seen[pixel] & bit:
                continue
            seen[pixel] |= bit
            pr, pc = pixel // width, pixel % width
            own = label_at(row_start, start, label, pr, pc)
            is_arc = True
        else:
            r, k, c = _next_top(classes, runs, seen, r, k, c)
            if r == height:
                break
            pr, pc, d, own = r, c, np.int64(WEST), label[k]
            is_arc = False
        begin = (pr, pc, d, is_arc)
        points, end, cut_at, heading = _walk(chunk, own, begin, seen, points, offsets[paths], origin)
        if cut_at >= 0:
            # where the cut lies inside the chunk, two arcs start at it: around the pixel beyond, and here
            pr, pc = cut_at // width, cut_at % width
            right = (heading + 3) & 3
            yr = pr + _ROW_STEP[heading] + _ROW_STEP[right]
            yc = pc + _COL_STEP[heading] + _COL_STEP[right]
            if 0 <= yr < height and 0 <= yc < width:
                if depth + 2 > stack.shape[0]:
                    stack = _grown(stack, 2 * depth + 16)
                stack[depth] = (yr * width + yc) * 4 + right
                stack[depth + 1] = cut_at * 4 + ((heading + 1) & 3)
                depth += 2
        if cut_at >= 0 and not is_arc:
            # cut on the way round: forget it, its arcs are walked from their own starts. None is missed: as
            # many arcs start as end at every cut inside the chunk, so those that no known start leads to
            # form closed circuits, and each circuit has a top edge
            continue
        if paths + 2 > owner.shape[0]:
            size = 2 * owner.shape[0]
            offsets, owner = _grown(offsets, size), _grown(owner, size)
            first, last = _grown(first, size), _grown(last, size)
        owner[paths] = own
        first[paths] = d if is_arc else -1
        last[paths] = heading if is_arc else -1
        paths += 1
        offsets[paths] = end
    n = offsets[paths]
    return (
        points[:n].copy(),
        offsets[: paths + 1].copy(),
        owner[:paths].copy(),
        first[:paths].copy(),
        last[:paths].copy(),
    )


@kernel()
def _next_top(classes, runs, seen, r, k, c):  # type: ignore[no-untyped-def]
    """(row, run, column) of the next stretch of top edge not walked yet, at its left end; or row = height.

    Looks at (r, c) in run k first.
    """
    row_start, start, label = runs
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    while r < height:
        above = classes[r]
        while k < row_start[r + 1]:
            c0 = np.int64(start[k])
            c1 = np.int64(start[k + 1]) if k + 1 < row_start[r + 1] else np.int64(width)
            if label[k] >= 0:
                v = classes[r + 1, c0 + 1]
                c = max(c, c0)
                begins = c == c0 or above[c] == v
                while c < c1:
                    other = above[c + 1] != v
                    if other and begins and not seen[r * width + c] & np.uint8(_TOP_SEEN):
                        return r, k, c
                    begins = not other
                    c += 1
            c = c1
            k += 1
        r += 1
        c = 0
    return r, k, c


@kernel()
def _grown(array, size):  # type: ignore[no-untyped-def]
    grown = np.empty(size, array.dtype)
    for k in range(array.shape[0]):
        grown[k] = array[k]
    return grown


@kernel()
def _walk(chunk, own, begin, seen, points, n, origin):  # type: ignore[no-untyped-def]
    """Walk from `begin` (row, column, edge, whether of an arc) to the next cut, or round to the start.

    Returns (points, end, pixel of the cut or -1, last direction). A ring is begun at the last pixel along an
    edge. An arc records its start and its end; a ring
    is turned to start at its smallest point.
    """
    flat, height, width, _, is_open = chunk
    r, c, d, is_arc = begin
    row, col = origin
    stride = width + 2
    cuts = is_open[own]
    r_begin, c_begin, d_begin = r, c, d
    p = (r + 1) * stride + c + 1
    v = flat[p]
    begun = smallest = n
    smallest_row, smallest_col = np.int64(1) << 40, np.int64(0)
    if is_arc:
        # the corner where edge d starts
        points[n, 0] = row + r + _START_ROW[d]
        points[n, 1] = col + c + _START_COL[d]
        n += 1
    while True:
        dr, dc = _ROW_STEP[d], _COL_STEP[d]
        right = (d + 3) & 3
        sr, sc = dr + _ROW_STEP[right], dc + _COL_STEP[right]
        ahead, beyond = dr * stride + dc, sr * stride + sc
        # straight on: the same class ahead, another one beyond the edge
        while flat[p + ahead] == v and flat[p + beyond] != v:
            if cuts and not (0 <= r + dr < height and 0 <= c + dc < width):
                break
            p += ahead
            r += dr
            c += dc
        # pixel (r, c) is the last one along this edge, which ends in a corner
        if r == r_begin and c == c_begin and d == d_begin and n > begun and not is_arc:
            _rotate(points, begun, n, smallest)
            return points, n, np.int64(-1), d
        er = row + r + _END_ROW[d]
        ec = col + c + _END_COL[d]
        if d == WEST:
            seen[r * width + c] |= np.uint8(_TOP_SEEN)
        if n + 2 > points.shape[0]:
            points = _grown_points(points, n)
        points[n, 0], points[n, 1] = er, ec
        if er < smallest_row or (er == smallest_row and ec < smallest_col):
            smallest, smallest_row, smallest_col = n, er, ec
        n += 1
        cut_at = r * width + c
        crosses = flat[p + beyond] == v
        if crosses and flat[p + ahead] != v:
            joined = _corner(chunk, own, r + sr, c + sc)
            if joined == _CUT:
                return points, n, cut_at, d
            crosses = joined == 1
        elif not crosses and flat[p + ahead] == v:
            return points, n, cut_at, d  # straight on, out of the chunk
        if crosses:
            r, c, p = r + sr, c + sc, p + beyond
            if cuts and not (0 <= r < height and 0 <= c < width):
                return points, n, cut_at, d
            d = right
        else:
            d = (d + 1) & 3


@kernel()
def _grown_points(points, n):  # type: ignore[no-untyped-def]
    grown = np.empty((2 * points.shape[0], 2), np.int32)
    for k in range(n):
        grown[k, 0], grown[k, 1] = points[k, 0], points[k, 1]
    return grown


@kernel()
def _corner(chunk, own, yr, yc):  # type: ignore[no-untyped-def]
    """Whether `own` and the pixel (yr, yc) that it touches at a corner are one region; _CUT if unknown."""
    _, height, width, (row_start, start, label), is_open = chunk
    inside = 0 <= yr < height and 0 <= yc < width
    if not is_open[own]:
        return np.int64(inside and label_at(row_start, start, label, yr, yc) == own)
    if not inside:
        return np.int64(_CUT)
    other = label_at(row_start, start, label, yr, yc)
    if other == own:
        return np.int64(1)
    return np.int64(_CUT) if is_open[other] else np.int64(0)


@kernel()
def _rotate(points, begin, end, at):  # type: ignore[no-untyped-def]
    """Turn points[begin:end] in place so that point `at` comes first (three reversals)."""
    if at == begin:
        return
    _reverse(points, begin, at)
    _reverse(points, at, end)
    _reverse(points, begin, end)


@kernel()
def _reverse(points, begin, end):  # type: ignore[no-untyped-def]
    i, j = begin, end - 1
    while i < j:
        for k in range(2):
            points[i, k], points[j, k] = points[j, k], points[i, k]
        i += 1
        j -= 1


@kernel()
def _border_starts(chunk):  # type: ignore[no-untyped-def]
    """First edges of the arcs that start at the chunk's border, as pixel * 4 + direction."""
    _, height, width, (row_start, start, label), is_open = chunk
    starts = np.empty(8 * (height + width) + 8, np.int64)
    n = 0
    for r in range(height):
        whole = r == 0 or r == height - 1
        for k in range(row_start[r], row_start[r + 1]):
            own = label[k]
            if own < 0 or not is_open[own]:
                continue
            c0 = np.int64(start[k])
            c1 = np.int64(start[k + 1]) if k + 1 < row_start[r + 1] else np.int64(width)
            c = c0
            while c < c1:
                if not whole and c != 0 and c != width - 1:
                    # only the border's pixels
                    c = max(c + 1, min(c1, np.int64(width - 1)))
                    continue
                for d in range(4):
                    if _is_start(chunk, own, np.int64(r), c, d):
                        starts[n] = (np.int64(r) * width + c) * 4 + d
                        n += 1
                c += 1
    return starts[:n]


@kernel()
def _is_start(chunk, own, r, c, d):  # type: ignore[no-untyped-def]
    """Whether edge d of pixel (r, c) is a boundary whose predecessor this chunk cannot know."""
    flat, height, width = chunk[:3]
    stride = width + 2
    right = (d + 3) & 3
    p = (r + 1) * stride + c + 1
    v = flat[p]
    side = _ROW_STEP[right] * stride + _COL_STEP[right]
    if flat[p + side] == v:
        return False
    back = p - _ROW_STEP[d] * stride - _COL_STEP[d]
    br, bc = r - _ROW_STEP[d], c - _COL_STEP[d]
    yr, yc = br + _ROW_STEP[right], bc + _COL_STEP[right]
    if flat[back] == v:
        if flat[back + side] == v:
            br, bc = yr, yc
        return not (0 <= br < height and 0 <= bc < width)
    if flat[back + side] == v:
        return _corner(chunk, own, yr, yc) == _CUT
    return False
