"""Which polygons share a border, and how much of it: their edges matched on the lines they lie on, exactly.

Both sides of a shared border are drawn from the same corners, so an edge of one polygon lies on edges of its
neighbours, though not always corner by corner: a straight side passes by where two others meet. Edges are
therefore matched as intervals of a line, in integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.outlines.seams import Rings
from geoseg.outlines.stream import Shapes

_FEWEST_EDGES = 1 << 18
_EDGE = np.dtype(
    [
        ("dr", np.int32),
        ("dc", np.int32),
        ("offset", np.int64),
        ("begin", np.int64),
        ("end", np.int64),
        ("covered", np.int64),
        ("row", np.int32),
        ("col", np.int32),
        ("number", np.int64),
        ("is_left", np.bool_),
        ("is_new", np.bool_),
    ],
    align=True,
)
"""A directed edge on its line.

dr, dc
    Direction of the line without common factors, pointing to larger (row, col).
offset
    Which of the parallel lines.
begin, end
    Interval on it, in steps of (dr, dc) scaled by dr² + dc².
covered
    How much of the interval has met its other side.
row, col
    Point at `begin`.
number
    Polygon.
is_left, is_new
    On which side of the line the polygon lies; whether it has been matched against the older ones.
"""

NEIGHBOURS = "neighbours"
"""Name of the side table with pairs of polygons and their common border."""


class Lengths(Protocol):
    """What measures polygons in pixel corners."""

    def perimeters(self, rings: Rings) -> NDArray[np.float64]:
        """(polygons,) float64 metres."""
        ...


class Neighbours:
    """Pairs of polygons with a common border, fed with complete polygons in the order of their numbers.

    Memory holds 24 bytes a pair, and the edges that have not met their other side yet: those against polygons
    that are not finished, and those against nodata.

    Parameters
    ----------
    lengths
        Measures borders in metres.
    """

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self._count = 0
        self._edges = np.empty(0, _EDGE)
        self._waiting: list[NDArray[np.void]] = []
        self._waiting_size = 0
        self._pairs = np.empty((0, 2), np.int64)
        self._metres = np.empty(0)

    def add(self, shapes: Shapes) -> None:
        """Take in polygons; their numbers go on from the last ones, from 1."""
        numbers = np.empty(len(shapes.order), np.int64)
        numbers[shapes.order] = np.arange(self._count + 1, self._count + 1 + len(shapes.order))
        self._count += len(shapes.order)
        rings = shapes.rings
        edges = np.empty(len(rings.points), _EDGE)
        _fill(edges, rings.points, rings.ring_offsets, rings.polygon_offsets, numbers)
        self._waiting.append(edges)
        self._waiting_size += len(edges)
        # sorting costs most, so the older edges are gone through again only for as many new ones
        if self._waiting_size > max(len(self._edges), _FEWEST_EDGES):
            self._match()

    def table(self) -> pa.Table:
        """Columns ``id_a``, ``id_b`` (int64, a < b) and ``border_m`` (metres), in order of both numbers."""
        self._match()
        columns = {"id_a": self._pairs[:, 0], "id_b": self._pairs[:, 1], "border_m": self._metres}
        arrays = {name: pa.array(np.ascontiguousarray(values)) for name, values in columns.items()}
        return pa.table(
            list(arrays.values()),
            schema=pa.schema([pa.field(name, a.type, nullable=False) for name, a in arrays.items()]),
        )

    def _match(self) -> None:
        if not self._waiting:
            return
        edges = np.concatenate([self._edges, *self._waiting])
        self._waiting, self._waiting_size = [], 0
        order = np.lexsort((edges["begin"], edges["offset"], edges["dc"], edges["dr"]))
        edges = edges[order]
        pairs, points = _overlaps(edges)
        ends = np.arange(len(pairs) + 1, dtype=np.int64)
        # there and back is a ring of two corners
        metres = (
            self._lengths.perimeters(Rings(points=points, ring_offsets=2 * ends, polygon_offsets=ends)) / 2
        )
        self._sum_up(pairs, metres)
        edges = edges[edges["covered"] < edges["end"] - edges["begin"]]
        edges["is_new"] = False
        self._edges = edges

    def _sum_up(self, pairs: NDArray[np.int64], metres: NDArray[np.float64]) -> None:
        pairs = np.concatenate([self._pairs, pairs])
        metres = np.concatenate([self._metres, metres])
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        pairs, metres = pairs[order], metres[order]
        is_first = np.ones(len(pairs), np.bool_)
        is_first[1:] = (np.diff(pairs, axis=0) != 0).any(axis=1)
        starts = np.flatnonzero(is_first)
        self._pairs = pairs[starts]
        self._metres = np.add.reduceat(metres, starts) if len(starts) else np.empty(0)


@kernel("_EDGE[:], i4[:,:], i8[:], i8[:], i8[:]")
def _fill(edges, points, ring_offsets, polygon_offsets, numbers):  # type: ignore[no-untyped-def]
    n = 0
    for p in range(polygon_offsets.shape[0] - 1):
        for i in range(polygon_offsets[p], polygon_offsets[p + 1]):
            begin, end = ring_offsets[i], ring_offsets[i + 1]
            for j in range(begin, end):
                k = j + 1 if j + 1 < end else begin
                r0, c0 = np.int64(points[j, 0]), np.int64(points[j, 1])
                r1, c1 = np.int64(points[k, 0]), np.int64(points[k, 1])
                edge = edges[n]
                n += 1
                edge.is_left = r1 > r0 or (r1 == r0 and c1 > c0)
                if not edge.is_left:
                    r0, c0, r1, c1 = r1, c1, r0, c0
                dr, dc = r1 - r0, c1 - c0
                a, b = dr, abs(dc)
                while b:
                    a, b = b, a % b
                dr, dc = dr // a, dc // a
                edge.dr, edge.dc = dr, dc
                edge.offset = dr * c0 - dc * r0
                edge.begin, edge.end = dr * r0 + dc * c0, dr * r1 + dc * c1
                edge.covered = 0
                edge.row, edge.col = r0, c0
                edge.number = numbers[p]
                edge.is_new = True


@kernel("_EDGE[:]")
def _overlaps(edges):  # type: ignore[no-untyped-def]
    """(pairs (n, 2), ends (2n, 2)) of what the edges on both sides of each line have in common."""
    room = 1024
    pairs, points = np.empty((room, 2), np.int64), np.empty((2 * room, 2), np.int32)
    n = 0
    left = right = -1  # the last edge on either side
    for k in range(edges.shape[0]):
        edge = edges[k]
        # intervals on one side never overlap, so only the last one of the other side can meet this one
        other = right if edge.is_left else left
        if edge.is_left:
            left = k
        else:
            right = k
        if other < 0:
            continue
        that = edges[other]
        if that.dr != edge.dr or that.dc != edge.dc or that.offset != edge.offset or that.end <= edge.begin:
            continue
        if not (edge.is_new or that.is_new):
            continue
        low, high = max(edge.begin, that.begin), min(edge.end, that.end)
        edge.covered += high - low
        that.covered += high - low
        if n == room:
            room *= 2
            more_pairs, more_points = np.empty((room, 2), np.int64), np.empty((2 * room, 2), np.int32)
            for m in range(n):
                more_pairs[m, 0], more_pairs[m, 1] = pairs[m, 0], pairs[m, 1]
            for m in range(2 * n):
                more_points[m, 0], more_points[m, 1] = points[m, 0], points[m, 1]
            pairs, points = more_pairs, more_points
        pairs[n, 0], pairs[n, 1] = min(edge.number, that.number), max(edge.number, that.number)
        square = np.int64(edge.dr) * edge.dr + np.int64(edge.dc) * edge.dc
        for m, at in ((0, low), (1, high)):
            steps = (at - edge.begin) // square
            points[2 * n + m, 0] = edge.row + steps * edge.dr
            points[2 * n + m, 1] = edge.col + steps * edge.dc
        n += 1
    return pairs[:n], points[: 2 * n]


def numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches with a first column ``region_id``, from 1: the numbers that `Neighbours` gives."""
    begin = 1
    for batch in batches:
        ids = pa.array(np.arange(begin, begin + len(batch)))
        begin += len(batch)
        yield pa.RecordBatch.from_arrays([ids, *batch.columns], schema=with_number(batch.schema))


def with_number(schema: pa.Schema) -> pa.Schema:
    """A schema with the column that `numbered` adds."""
    return pa.schema([pa.field("region_id", pa.int64(), nullable=False), *schema])
