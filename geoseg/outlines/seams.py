"""Rings out of arcs: what the chunks cut is chained by its integer end points, exactly.

Nothing is computed with coordinates: two arcs meet where they end in the same pixel corner. The result is
ring for ring what a walk over the whole raster gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.outlines.trace import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Polygons in pixel corners, ragged twice.

    Attributes
    ----------
    points
        (n, 2) int32 (row, col); a ring starts at its smallest point and does not repeat it.
    ring_offsets
        (rings + 1,) int64 into points.
    polygon_offsets
        (polygons + 1,) int64 into rings; the first ring of a polygon is its exterior, holes follow in order
        of their first point.
    """

    points: NDArray[np.int32]
    ring_offsets: NDArray[np.int64]
    polygon_offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.polygon_offsets) - 1

    def take(self, order: NDArray[np.int64]) -> Rings:
        """The polygons of these positions, in this order."""
        points, ring_offsets, polygon_offsets = _take(
            self.points, self.ring_offsets, self.polygon_offsets, np.ascontiguousarray(order, np.int64)
        )
        return Rings(points=points, ring_offsets=ring_offsets, polygon_offsets=polygon_offsets)


def joined_rings(parts: Sequence[Rings]) -> Rings:
    """Polygons of several `Rings`, one after the other."""
    rings = np.cumsum([0, *(len(part.ring_offsets) - 1 for part in parts)])
    points = np.cumsum([0, *(len(part.points) for part in parts)])
    start = np.zeros(1, np.int64)
    return Rings(
        points=np.concatenate([part.points for part in parts]),
        ring_offsets=np.concatenate(
            [start, *(part.ring_offsets[1:] + n for part, n in zip(parts, points[:-1], strict=True))]
        ),
        polygon_offsets=np.concatenate(
            [start, *(part.polygon_offsets[1:] + n for part, n in zip(parts, rings[:-1], strict=True))]
        ),
    )


def assemble(paths: Paths, polygons: int, target: NDArray[np.int64] | None = None) -> Rings:
    """Polygons from the rings and arcs of `polygons` regions that are complete.

    Parameters
    ----------
    paths
        Rings and arcs; arcs of one region must chain up to rings.
    polygons
        Number of regions.
    target
        Polygon of each owner, or -1 to leave its paths out; the owner itself when left out.
    """
    owner = paths.owner.astype(np.int64) if target is None else target[paths.owner]
    points, offsets, owners = _chain(paths.points, paths.offsets, owner, paths.first, paths.last)
    order, polygon_offsets = _group(points, offsets, owners, polygons)
    points, ring_offsets = _gather(points, offsets, order)
    return Rings(points=points, ring_offsets=ring_offsets, polygon_offsets=polygon_offsets)


@kernel("i4[:,:], i8[:], i8[:], i1[:], i1[:]")
def _chain(points, offsets, owner, first, last):  # type: ignore[no-untyped-def]
    """(points, offsets, owner) of closed rings; rings pass through, arcs are chained."""
    paths = owner.shape[0]
    arcs = 0
    size = 0
    rings = 0
    for i in range(paths):
        if owner[i] >= 0:
            size += offsets[i + 1] - offsets[i]
            rings += 1
            arcs += first[i] >= 0
    out = np.empty((size, 2), np.int32)
    out_offsets, out_owner = np.empty(rings + 1, np.int64), np.empty(rings, np.int64)
    out_offsets[0] = 0
    n = np.int64(0)
    count = 0
    arc_ids = np.empty(arcs, np.int64)
    a = 0
    for i in range(paths):
        if owner[i] < 0:
            continue
        if first[i] >= 0:
            arc_ids[a] = i
            a += 1
            continue
        for k in range(offsets[i], offsets[i + 1]):
            out[n, 0], out[n, 1] = points[k, 0], points[k, 1]
            n += 1
        out_owner[count] = owner[i]
        count += 1
        out_offsets[count] = n
    if arcs == 0:
        return out[:n], out_offsets[: count + 1], out_owner[:count]

    # arcs by (region, start point): two stable sorts
    starts = np.empty(arcs, np.int64)
    owners = np.empty(arcs, np.int64)
    for j in range(arcs):
        k = offsets[arc_ids[j]]
        starts[j] = (np.int64(points[k, 0]) << 32) | np.int64(points[k, 1])
        owners[j] = owner[arc_ids[j]]
    by_start = np.argsort(starts, kind="mergesort")
    order = by_start[np.argsort(owners[by_start], kind="mergesort")]
    starts, owners, arc_ids = starts[order], owners[order], arc_ids[order]
    used = np.zeros(arcs, np.bool_)
    for j in range(arcs):
        if used[j]:
            continue
        begin = n
        at = np.int64(j)
        while not used[at]:
            used[at] = True
            i = arc_ids[at]
            k0, k1 = offsets[i], offsets[i + 1]
            # the arc without its start, which the arc before it brought
            for k in range(k0 + 1, k1):
                out[n, 0], out[n, 1] = points[k, 0], points[k, 1]
                n += 1
            key = (np.int64(points[k1 - 1, 0]) << 32) | np.int64(points[k1 - 1, 1])
            after = _find(starts, owners, owners[at], key)
            # two of the region's arcs start here when it touches itself at this corner: it is joined there
            twice = after + 1 < arcs and starts[after + 1] == key and owners[after + 1] == owners[at]
            if twice and first[arc_ids[after]] != (last[i] + 3) & 3:
                after += 1
            if first[arc_ids[after]] == last[i] and _is_straight(points, k1 - 1, offsets[arc_ids[after]]):
                n -= 1  # straight on: no corner of the ring
            at = after
        turn_to_smallest(out, begin, n)
        out_owner[count] = owners[j]
        count += 1
        out_offsets[count] = n
    return out[:n], out_offsets[: count + 1], out_owner[:count]


@kernel()
def _is_straight(points, end, start):  # type: ignore[no-untyped-def]
    """Whether the arc that starts there goes on in the direction of the one that ends here."""
    r, c = np.int64(points[end, 0]), np.int64(points[end, 1])
    back_r, back_c = r - points[end - 1, 0], c - points[end - 1, 1]
    return back_r * (points[start + 1, 1] - c) == back_c * (points[start + 1, 0] - r)


@kernel()
def _find(starts, owners, owner, key):  # type: ignore[no-untyped-def]
    """First arc of `owner` that starts at `key`."""
    low, high = 0, starts.shape[0]
    while low < high:
        middle = (low + high) // 2
        if owners[middle] < owner or (owners[middle] == owner and starts[middle] < key):
            low = middle + 1
        else:
            high = middle
    if low == starts.shape[0] or owners[low] != owner or starts[low] != key:
        raise ValueError("a boundary arc has no successor")
    return low


@kernel()
def turn_to_smallest(points, begin, end):  # type: ignore[no-untyped-def]
    """Turn a ring in place so that it starts at its smallest (row, col)."""
    at = begin
    for k in range(begin + 1, end):
        if points[k, 0] < points[at, 0] or (points[k, 0] == points[at, 0] and points[k, 1] < points[at, 1]):
            at = k
    if at == begin:
        return
    turned = np.empty((end - begin, 2), points.dtype)
    size = end - begin
    for k in range(size):
        source = at + k if at + k < end else at + k - size
        turned[k, 0], turned[k, 1] = points[source, 0], points[source, 1]
    for k in range(size):
        points[begin + k, 0], points[begin + k, 1] = turned[k, 0], turned[k, 1]


@kernel("i4[:,:], i8[:], i8[:], i8")
def _group(points, offsets, owner, polygons):  # type: ignore[no-untyped-def]
    """(ring order, polygon offsets): rings by polygon, then first point (the exterior's is smallest)."""
    rings = owner.shape[0]
    polygon_offsets = np.zeros(polygons + 1, np.int64)
    for i in range(rings):
        polygon_offsets[owner[i] + 1] += 1
    for k in range(polygons):
        polygon_offsets[k + 1] += polygon_offsets[k]
    fill = polygon_offsets[:-1].copy()
    order = np.empty(rings, np.int64)
    for i in range(rings):
        order[fill[owner[i]]] = i
        fill[owner[i]] += 1
    for k in range(polygons):
        low, high = polygon_offsets[k], polygon_offsets[k + 1]
        if high - low > 1:
            mine = order[low:high].copy()
            keys = np.empty(high - low, np.int64)
            for j in range(high - low):
                at = offsets[mine[j]]
                keys[j] = (np.int64(points[at, 0]) << 32) | np.int64(points[at, 1])
            mine = mine[np.argsort(keys, kind="mergesort")]
            # a simplified hole may begin in its exterior's first point; the exterior goes round the other way
            if not _is_exterior(points, offsets[mine[0]], offsets[mine[0] + 1]):
                mine[0], mine[1] = mine[1], mine[0]
            for j in range(high - low):
                order[low + j] = mine[j]
    return order, polygon_offsets


@kernel()
def _is_exterior(points, begin, end):  # type: ignore[no-untyped-def]
    """Whether a ring that starts at its smallest point has its inside on the left (south of west)."""
    r, c = np.int64(points[begin, 0]), np.int64(points[begin, 1])
    dr, dc = points[begin + 1, 0] - r, points[begin + 1, 1] - c
    er, ec = points[end - 1, 0] - r, points[end - 1, 1] - c
    return dr * ec > dc * er


@kernel("i4[:,:], i8[:], i8[:]")
def _gather(points, offsets, order):  # type: ignore[no-untyped-def]
    """(points, offsets) of the rings in this order."""
    out_offsets = np.empty(order.shape[0] + 1, np.int64)
    out_offsets[0] = 0
    for j in range(order.shape[0]):
        out_offsets[j + 1] = out_offsets[j] + offsets[order[j] + 1] - offsets[order[j]]
    out = np.empty((out_offsets[-1], 2), points.dtype)
    for j in range(order.shape[0]):
        n = out_offsets[j]
        for k in range(offsets[order[j]], offsets[order[j] + 1]):
            out[n, 0], out[n, 1] = points[k, 0], points[k, 1]
            n += 1
    return out, out_offsets


@kernel("i4[:,:], i8[:], i8[:], i8[:]")
def _take(points, ring_offsets, polygon_offsets, order):  # type: ignore[no-untyped-def]
    polygons = order.shape[0]
    out_polygons = np.empty(polygons + 1, np.int64)
    out_polygons[0] = 0
    for j in range(polygons):
        out_polygons[j + 1] = out_polygons[j] + polygon_offsets[order[j] + 1] - polygon_offsets[order[j]]
    rings = np.empty(out_polygons[-1], np.int64)
    for j in range(polygons):
        for k in range(out_polygons[j + 1] - out_polygons[j]):
            rings[out_polygons[j] + k] = polygon_offsets[order[j]] + k
    points, out_rings = _gather(points, ring_offsets, rings)
    return points, out_rings, out_polygons
