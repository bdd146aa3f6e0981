"""Right angles for outlines of chosen classes: buildings, mostly.

The walls of a building stand in two directions. The dominant one is the mean of its edges' directions modulo
90 degrees, weighted by squared length. Every edge of the thinned outline is laid to one of the two; edges in
a row that lie the same way become one wall at the mean of their places; walls shorter than the tolerance are
dropped and their neighbours joined; all walls are moved by the same small distance so that the area stays.

An outline is taken when it is a border without nodes (it stands alone in one other region) inside one cell,
moves no farther than `farthest` and is nowhere nearer to another border than both may have moved together:
so squared outlines overlap nothing, and each is decided for itself. The others stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.kernels.marked import marked
from geoseg.outlines.borders import ARMS, RING, Chains

SQUARED = 128
"""Bit of the smallest corner of a border that has been squared."""
SCALE = 256
"""Least units per pixel of squared corners."""
FARTHEST_PIXELS = 2.0
_LEAST_IOU = 0.6
_LINES = 16  # per pixel row, for the overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Squared:
    """Squared outlines of one chunk.

    Attributes
    ----------
    corners
        (n, 2) int64 (row, col) in the chunk, in 1 / scale pixels, in the chains' direction.
    offsets
        (outlines + 1,) int64 into them.
    first
        (outlines,) int64: smallest corner of each, as row * (width + 1) + col; ascending.
    overlap
        (outlines,) float64: intersection over union with the traced outline.
    """

    corners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    first: NDArray[np.int64]
    overlap: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareTotal:
    """Outlines that got right angles.

    Attributes
    ----------
    outlines
        Their number.
    mean_iou, least_iou
        Intersection over union with the traced outlines.
    """

    outlines: int
    mean_iou: float
    least_iou: float

    def __str__(self) -> str:
        return f"{self.outlines:,} outlines squared, IoU {self.mean_iou:.3f} (least {self.least_iou:.3f})"


class SquareCount:
    """Squared outlines counted while they come."""

    def __init__(self) -> None:
        self._outlines, self._sum, self._least = 0, 0.0, 1.0

    def add(self, overlap: NDArray[np.float64]) -> None:
        """Count outlines with these intersections over union."""
        if len(overlap):
            self._outlines += len(overlap)
            self._sum += float(overlap.sum())
            self._least = min(self._least, float(overlap.min()))

    @property
    def total(self) -> SquareTotal | None:
        """All that were counted; None where there are none."""
        if self._outlines == 0:
            return None
        mean = self._sum / self._outlines
        return SquareTotal(outlines=self._outlines, mean_iou=mean, least_iou=self._least)


def joined_squares(parts: list[Squared]) -> Squared:
    """Squared outlines of several cells."""
    sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(p.offsets) for p in parts)])
    first = np.concatenate([np.zeros(0, np.int64), *(p.first for p in parts)])
    corners = np.concatenate([np.zeros((0, 2), np.int64), *(p.corners for p in parts)])
    begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    order = np.argsort(first)
    rows = [np.arange(begins[k], begins[k + 1]) for k in order]
    return Squared(
        corners=corners[np.concatenate([np.zeros(0, np.int64), *rows])],
        offsets=np.concatenate([[0], np.cumsum(sizes[order])]).astype(np.int64),
        first=first[order],
        overlap=np.concatenate([np.zeros(0), *(p.overlap for p in parts)])[order],
    )


def square(
    corners: NDArray[np.uint8],
    chains: Chains,
    kept: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    edges: tuple[int, int, int, int],
    *,
    pixel: tuple[float, float],
    scale: int,
) -> Squared:
    """Squared outlines of one cell; their smallest corners get the bit SQUARED.

    Parameters
    ----------
    corners
        Bits of the chunk's corners.
    chains, kept
        Chains of the cell, and which of their corners are vertices.
    chosen
        (chains,) bool: which rings to square, if they can be.
    edges
        First and last corner row and column of the cell.
    pixel
        Its height and width, in tolerances.
    scale
        Units per pixel.
    """
    points, offsets, first, overlap = _square(
        corners,
        (chains.rows, chains.cols, chains.offsets, chains.kind),
        kept,
        chosen,
        edges,
        pixel,
        scale,
    )
    return Squared(corners=points, offsets=offsets, first=first, overlap=overlap)


@kernel("u1[:,:], (i4[:], i4[:], i8[:], i1[:]), b1[:], b1[:], (i8, i8, i8, i8), (f8, f8), i8")
def _square(corners, chains, kept, chosen, edges, pixel, scale):  # type: ignore[no-untyped-def]
    rows, cols, offsets, kind = chains
    down, across = pixel
    count = marked(chosen).shape[0]
    out, out_offsets = np.empty((rows.shape[0] + 4, 2), np.int64), np.zeros(count + 1, np.int64)
    first, overlap = np.empty(count, np.int64), np.empty(count)
    made = 0
    # what others may have moved: thinned by one tolerance, rounded by half of one, or squared
    tolerance = max(1.0 / down, 1.0 / across)
    farthest = max(FARTHEST_PIXELS, tolerance)
    apart = max(1.5 * tolerance, farthest) + 1.0
    for k in range(kind.shape[0]):
        if not chosen[k]:
            continue
        begin, end = offsets[k], offsets[k + 1]
        if kind[k] != RING:
            continue
        ring = np.empty((end - begin, 2))
        for i in range(begin, end):
            ring[i - begin, 0], ring[i - begin, 1] = rows[i], cols[i]
        walls = _walls(ring * np.array([down, across]), marked(kept[begin:end]))
        if walls.shape[0] == 0:
            continue
        fit = np.empty(walls.shape)
        for i in range(walls.shape[0]):
            # rounded, as they are written
            fit[i, 0] = np.rint(walls[i, 0] / down * scale) / scale
            fit[i, 1] = np.rint(walls[i, 1] / across * scale) / scale
        share = _overlap(ring, fit)
        if (
            share < _LEAST_IOU
            or not _is_simple(fit)
            or _farthest(ring, fit) > farthest
            or _farthest(fit, ring) > farthest
            or not _stands_alone(corners, ring, fit, edges, apart)
        ):
            continue
        n = out_offsets[made]
        for i in range(fit.shape[0]):
            out[n + i, 0], out[n + i, 1] = np.int64(fit[i, 0] * scale), np.int64(fit[i, 1] * scale)
        first[made] = np.int64(rows[begin]) * corners.shape[1] + cols[begin]
        overlap[made] = share
        corners[rows[begin], cols[begin]] |= SQUARED
        made += 1
        out_offsets[made] = n + fit.shape[0]
    return out[: out_offsets[made]].copy(), out_offsets[: made + 1], first[:made], overlap[:made]


@kernel()
def _area(ring):  # type: ignore[no-untyped-def]
    """Area of a ring; above 0 where it runs clockwise on the map."""
    area = 0.0
    for i in range(ring.shape[0]):
        area += ring[i - 1, 1] * ring[i, 0] - ring[i, 1] * ring[i - 1, 0]
    return area / 2


@kernel()
def _walls(traced, kept):  # type: ignore[no-untyped-def]
    """Corners of the squared ring, in tolerances; none where it has no two directions."""
    ring = traced[kept]
    count = ring.shape[0]
    nothing = np.empty((0, 2))
    sine, cosine = 0.0, 0.0
    for i in range(count):
        r, c = ring[i, 0], ring[i, 1]
        s, t = ring[(i + 1) % count, 0], ring[(i + 1) % count, 1]
        angle, weight = np.arctan2(s - r, t - c), (s - r) ** 2 + (t - c) ** 2
        sine += weight * np.sin(4 * angle)
        cosine += weight * np.cos(4 * angle)
    turn = np.arctan2(sine, cosine) / 4
    co, si = np.cos(turn), np.sin(turn)
    x, y = ring[:, 1] * co + ring[:, 0] * si, ring[:, 0] * co - ring[:, 1] * si
    # edges along x lie at a y, and the other way round; equal ones in a row are one wall
    along = np.empty(count, np.bool_)
    start = -1
    for i in range(count):
        j = (i + 1) % count
        along[i] = abs(x[j] - x[i]) >= abs(y[j] - y[i])
    for i in range(count):
        if along[i] != along[i - 1]:
            start = i
            break
    if start < 0:
        return nothing
    place, weight, walls = np.zeros(count), np.zeros(count), 0
    is_x = np.empty(count, np.bool_)
    for m in range(count):
        i = (start + m) % count
        j = (i + 1) % count
        if m == 0 or along[i] != along[i - 1]:
            is_x[walls] = along[i]
            walls += 1
        length = abs(x[j] - x[i]) if along[i] else abs(y[j] - y[i])
        r, c = _middle(traced, kept[i], kept[j])
        place[walls - 1] += length * (r * co - c * si if along[i] else c * co + r * si)
        weight[walls - 1] += length
    for i in range(walls):
        place[i] /= weight[i]
    walls = _without_short(place, weight, is_x, walls)
    if walls < 4:
        return nothing
    _keep_area(place, is_x, walls, _area(traced))
    out = np.empty((walls, 2))
    for i in range(walls):
        # where wall i meets the one before
        j = i - 1 if i > 0 else walls - 1
        u, v = (place[j], place[i]) if is_x[i] else (place[i], place[j])
        out[i, 0], out[i, 1] = u * si + v * co, u * co - v * si
    return out


@kernel()
def _middle(ring, begin, end):  # type: ignore[no-untyped-def]
    """Centre of the stretch of a ring from one of its corners to another: steps lie about the true wall."""
    r, c, total = 0.0, 0.0, 0.0
    i = begin
    while i != end:
        j = (i + 1) % ring.shape[0]
        length = abs(ring[j, 0] - ring[i, 0]) + abs(ring[j, 1] - ring[i, 1])
        r += length * (ring[i, 0] + ring[j, 0]) / 2
        c += length * (ring[i, 1] + ring[j, 1]) / 2
        total += length
        i = j
    return r / total, c / total


@kernel()
def _without_short(place, weight, is_x, walls):  # type: ignore[no-untyped-def]
    """Number of walls when those shorter than 1 are dropped and their neighbours joined, shortest first."""
    while walls > 4:
        shortest, least = -1, 1.0
        for i in range(walls):
            length = abs(place[(i + 1) % walls] - place[i - 1 if i > 0 else walls - 1])
            if length < least:
                shortest, least = i, length
        if shortest < 0:
            return walls
        one, other = (shortest - 1 + walls) % walls, (shortest + 1) % walls
        total = weight[one] + weight[other]
        place[one] = (place[one] * weight[one] + place[other] * weight[other]) / total
        weight[one] = total
        to = 0
        for i in range(walls):
            if i not in (shortest, other):
                place[to], weight[to], is_x[to] = place[i], weight[i], is_x[i]
                to += 1
        walls = to
    return walls


@kernel()
def _keep_area(place, is_x, walls, area):  # type: ignore[no-untyped-def]
    """Move every wall outwards by the distance that makes the ring's area that one."""
    for _ in range(2):
        now, around = 0.0, 0.0
        for i in range(walls):
            ahead, back = place[(i + 1) % walls], place[i - 1 if i > 0 else walls - 1]
            around += abs(ahead - back)
            if not is_x[i]:
                # x dy
                now += place[i] * (ahead - back)
        step = (area - now) / around
        moved = place[:walls].copy()
        for i in range(walls):
            ahead, back = place[(i + 1) % walls], place[i - 1 if i > 0 else walls - 1]
            sign = 1.0 if ahead > back else -1.0
            # walking with the inside at rising angles, outwards is to the other side
            moved[i] += step * (-sign if is_x[i] else sign)
        for i in range(walls):
            place[i] = moved[i]


@kernel()
def _overlap(one, other):  # type: ignore[no-untyped-def]
    """Intersection over union of two rings, along 16 lines in every row of pixels."""
    (low, high), _ = _box(one, other)
    both, any_ = 0.0, 0.0
    for line in range(int(np.floor(low)) * _LINES, int(np.ceil(high)) * _LINES):
        y = (line + 0.5) / _LINES
        a, b = _crossings(one, y), _crossings(other, y)
        length_a, length_b = _length_inside(a), _length_inside(b)
        common = 0.0
        for i in range(0, a.shape[0], 2):
            for j in range(0, b.shape[0], 2):
                common += max(0.0, min(a[i + 1], b[j + 1]) - max(a[i], b[j]))
        both += common
        any_ += length_a + length_b - common
    return both / any_ if any_ > 0 else 0.0


@kernel()
def _box(one, other):  # type: ignore[no-untyped-def]
    """((first row, last row), (first column, last column)) of two rings together."""
    low_r = high_r = one[0, 0]
    low_c = high_c = one[0, 1]
    for ring in (one, other):
        for i in range(ring.shape[0]):
            low_r, high_r = min(low_r, ring[i, 0]), max(high_r, ring[i, 0])
            low_c, high_c = min(low_c, ring[i, 1]), max(high_c, ring[i, 1])
    return (low_r, high_r), (low_c, high_c)


@kernel()
def _length_inside(crossings):  # type: ignore[no-untyped-def]
    """Length of a line inside a ring that it crosses there."""
    length = 0.0
    for i in range(0, crossings.shape[0], 2):
        length += crossings[i + 1] - crossings[i]
    return length


@kernel()
def _crossings(ring, y):  # type: ignore[no-untyped-def]
    """Columns at which the ring crosses row y, ascending."""
    out = np.empty(ring.shape[0])
    n = 0
    for i in range(ring.shape[0]):
        r, s = ring[i - 1, 0], ring[i, 0]
        if (r <= y) != (s <= y):
            crossing = ring[i - 1, 1] + (y - r) / (s - r) * (ring[i, 1] - ring[i - 1, 1])
            at = n
            while at > 0 and out[at - 1] > crossing:
                out[at] = out[at - 1]
                at -= 1
            out[at] = crossing
            n += 1
    return out[:n]


@kernel()
def _distance(ring, r, c):  # type: ignore[no-untyped-def]
    """Distance of a point from a ring's line."""
    least = np.inf
    for i in range(ring.shape[0]):
        dr, dc = ring[i, 0] - ring[i - 1, 0], ring[i, 1] - ring[i - 1, 1]
        y, x = r - ring[i - 1, 0], c - ring[i - 1, 1]
        t = min(max((y * dr + x * dc) / max(dr * dr + dc * dc, 1e-12), 0.0), 1.0)
        least = min(least, np.hypot(y - t * dr, x - t * dc))
    return least


@kernel()
def _farthest(one, other):  # type: ignore[no-untyped-def]
    """Largest distance of a corner of one ring from the other."""
    most = 0.0
    for i in range(one.shape[0]):
        most = max(most, _distance(other, one[i, 0], one[i, 1]))
    return most


@kernel()
def _is_simple(ring):  # type: ignore[no-untyped-def]
    """Whether no two edges that are not neighbours touch, and the ring still runs clockwise on the map."""
    count = ring.shape[0]
    for i in range(count):
        for j in range(i + 2, count):
            if i == 0 and j == count - 1:
                continue
            if _touch(ring[i], ring[i + 1], ring[j], ring[(j + 1) % count]):
                return False
    return _area(ring) > 0


@kernel()
def _touch(a, b, c, d):  # type: ignore[no-untyped-def]
    one = (_side(a, b, c) > 0) != (_side(a, b, d) > 0) or _side(a, b, c) == 0 or _side(a, b, d) == 0
    two = (_side(c, d, a) > 0) != (_side(c, d, b) > 0) or _side(c, d, a) == 0 or _side(c, d, b) == 0
    near = max(min(a[0], b[0]), min(c[0], d[0])) <= min(max(a[0], b[0]), max(c[0], d[0])) and max(
        min(a[1], b[1]), min(c[1], d[1])
    ) <= min(max(a[1], b[1]), max(c[1], d[1]))
    return one and two and near


@kernel()
def _side(a, b, p):  # type: ignore[no-untyped-def]
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


@kernel()
def _stands_alone(corners, ring, fit, edges, apart):  # type: ignore[no-untyped-def]
    """Whether every other border is farther than `apart` from the new ring, on the side that it was on."""
    (top, bottom), (left, right) = _box(ring, fit)
    r0, c0 = int(np.floor(top - apart)), int(np.floor(left - apart))
    r1, c1 = int(np.ceil(bottom + apart)), int(np.ceil(right + apart))
    if r0 <= edges[0] or c0 <= edges[1] or r1 >= edges[2] or c1 >= edges[3]:
        return False
    own = np.zeros((r1 - r0 + 1, c1 - c0 + 1), np.bool_)
    r, c = int(ring[-1, 0]), int(ring[-1, 1])
    for i in range(ring.shape[0]):
        to_r, to_c = int(ring[i, 0]), int(ring[i, 1])
        while r != to_r or c != to_c:
            r += 1 if to_r > r else -1 if to_r < r else 0
            c += 1 if to_c > c else -1 if to_c < c else 0
            own[r - r0, c - c0] = True
    for r in range(r0, r1 + 1):
        for c in range(c0, c1 + 1):
            if corners[r, c] & ARMS and not own[r - r0, c - c0]:
                if _distance(fit, float(r), float(c)) <= apart:
                    return False
                if _is_inside(fit, r, c) != _is_inside(ring, r, c):
                    return False
    return True


@kernel()
def _is_inside(ring, r, c):  # type: ignore[no-untyped-def]
    inside = False
    for i in range(ring.shape[0]):
        y, s = ring[i - 1, 0], ring[i, 0]
        if (y <= r) != (s <= r) and c < ring[i - 1, 1] + (r - y) / (s - y) * (ring[i, 1] - ring[i - 1, 1]):
            inside = not inside
    return inside
