"""Small regions of a map far larger than memory given to their neighbours, dropped, or small holes filled.

How large a region is, and what its neighbours become, can be decided many chunks away. So every chunk decides
what it can by itself and hands on the rest as a small graph: the regions at its seams, those that depend on
them, and the borders between these. Graphs of a row of chunks are joined like the regions (`join.py`), decide
what has become certain, and keep the rest for the next row. What is certain in part of the map is so in the
whole: the result is that of the whole raster for every cut into chunks.

A chunk is taken with the one pixel of its neighbours around it, and chunks are joined where they share
pixels: the two rows, or columns, along a seam. Sizes count a chunk's own pixels, borders those above and to
the left of its own pixels, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.legend import NODATA
from geoseg.regions.graph import NEVER, UNDECIDED, Graph, contracted, settle, side_by_side
from geoseg.regions.join import unite
from geoseg.regions.label import NO_LABEL, Runs, label_at, label_chunk

Kind = Literal["fill", "merge", "drop"]

ROUNDS = {"fill": 1, "merge": 16, "drop": 0}
"""How often small regions are offered to their neighbours; what was given away is one the next time.

So many small regions deep a heap of them is eaten up. The number bounds how far what a chunk cannot know
spreads from its seams.
"""

SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sieve:
    """What becomes of small regions.

    Attributes
    ----------
    kind
        ``merge``: a region takes the class that most of its border has, counting only neighbours that are not
        small themselves, the lowest number of equals; what only touches small ones is asked again after those
        were merged, and so on (`ROUNDS`); what touches nothing else stays. ``drop``: it becomes nodata.
        ``fill``: the regions are 4-connected areas of nodata away from the scene's edge, and all classes
        their neighbours.
    least
        Regions of less are small: pixels, or units of area.
    by_area
        Which of the two.
    """

    kind: Kind
    least: int
    by_area: bool = False

    def sift(
        self,
        classes: NDArray[np.uint8],
        seams: Seams,
        areas: NDArray[np.int64] | None = None,
    ) -> Sifted:
        """What one chunk can say.

        Parameters
        ----------
        classes
            (h + 2, w + 2) uint8: the chunk with one pixel around it, 255 outside the scene.
        seams
            On which sides the scene goes on.
        areas
            (h, 1) or (h, w) int64, for `by_area`.
        """
        classes = np.ascontiguousarray(classes)
        shape = classes.shape[0] - 2, classes.shape[1] - 2
        weights = np.ones(shape, np.int64) if areas is None else np.broadcast_to(areas, shape)
        filling = self.kind == "fill"
        labelled = classes
        if filling:  # nodata plays the only class
            labelled = np.where(classes == NODATA, 0, NODATA).astype(np.uint8)
        runs, regions = label_chunk(
            np.pad(labelled, 1, constant_values=NODATA),
            row=0,
            col=0,
            scene_width=classes.shape[1],
            areas=np.pad(weights, 1),
        )
        size, class_id = regions["area"].copy(), regions["class_id"].astype(np.uint8)
        lines = _Lines.of(runs, classes.shape)
        if filling:
            class_id[:] = NODATA
            # what lies outside the scene is nodata too, so an area at the scene's edge goes on there
            size[lines.at_edge(seams)] = self.least
        is_open = np.zeros(len(size), np.bool_)
        is_open[lines.at_seam(seams)] = True
        ends, length = np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
        if filling:
            ends, length = _rims(classes, runs.row_start, runs.start, runs.label, size < self.least)
        elif self.kind == "merge":
            ends, length = _borders(
                runs.row_start, runs.start, runs.label, classes.shape[1], size < self.least
            )
        graph = Graph(size=size, class_id=class_id, is_open=is_open, ends=ends, length=length)
        since, target = self.settle(graph)
        return Sifted(classes=classes, runs=runs, graph=graph, since=since, target=target, lines=lines)

    def settle(self, graph: Graph) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """(since, target) of every node: round after which it has class `target`, -1 where that is open."""
        since, target = settle(
            graph.size, graph.class_id, graph.is_open, graph.ends, graph.length, self.least, ROUNDS[self.kind]
        )
        if self.kind == "drop":
            target[since == NEVER] = NODATA
        return since, target


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """On which sides of a chunk the scene goes on."""

    top: bool = False
    bottom: bool = False
    left: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Labels along the two outer rows and columns on every side of a chunk with its rim, outermost first.

    Attributes
    ----------
    top, bottom
        (2, w + 2) int32.
    left, right
        (2, h + 2) int32.
    """

    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]

    @classmethod
    def of(cls, runs: Runs, shape: tuple[int, ...]) -> _Lines:
        height, width = shape
        rows = _row_labels(
            runs.row_start, runs.start, runs.label, width, np.array([0, 1, height - 1, height - 2])
        )
        cols = _column_labels(runs.row_start, runs.start, runs.label, np.array([0, 1, width - 1, width - 2]))
        return cls(top=rows[:2], bottom=rows[2:], left=cols[:2], right=cols[2:])

    def at_seam(self, seams: Seams) -> NDArray[np.int32]:
        """Labels along the seams."""
        found = [np.zeros(0, np.int32)]
        found += [getattr(self, side).ravel() for side in SIDES if getattr(seams, side)]
        labels: NDArray[np.int32] = np.concatenate(found)
        kept: NDArray[np.int32] = labels[labels != NO_LABEL]
        return kept

    def at_edge(self, seams: Seams) -> NDArray[np.int32]:
        """Labels in the outermost row or column of the chunk itself where the scene ends."""
        found = [np.zeros(0, np.int32)]
        found += [getattr(self, side)[1] for side in SIDES if not getattr(seams, side)]
        labels: NDArray[np.int32] = np.concatenate(found)
        kept: NDArray[np.int32] = labels[labels != NO_LABEL]
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """What a chunk leaves to its neighbours.

    Attributes
    ----------
    graph
        Regions at its seams and those that depend on them.
    label
        (n,) their labels in the chunk.
    top, bottom
        (2, w) int64: nodes along the seam, the pixels over it first; -1 for none. Empty without a seam.
    left, right
        (2, h + 2) int64, likewise.
    """

    graph: Graph
    label: NDArray[np.intp]
    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What became of regions that a chunk could not decide: labels, and their classes."""

    label: NDArray[np.intp]
    target: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """A chunk's regions with what it could decide itself."""

    classes: NDArray[np.uint8]
    runs: Runs
    graph: Graph
    since: NDArray[np.int32]
    target: NDArray[np.uint8]
    lines: _Lines

    def undecided(self, seams: Seams) -> Undecided:
        """What has to be decided together with other chunks."""
        graph, stays = self.graph.rest(self.since, self.target)
        position = np.full(len(self.target) + 1, -1, np.int64)  # one more, for the label -1
        position[stays] = np.arange(len(stays))
        lines = {
            side: position[getattr(self.lines, side)] if getattr(seams, side) else np.zeros((2, 0), np.int64)
            for side in SIDES
        }
        lines["top"], lines["bottom"] = (lines[side][:, 1:-1] for side in ("top", "bottom"))
        return Undecided(graph=graph, label=stays, **lines)

    def painted(self, patch: Patch | None = None) -> NDArray[np.uint8]:
        """(h + 2, w + 2) uint8: classes as they become, around the chunk as in it."""
        target = self.target.copy()
        if patch is not None:
            target[patch.label] = patch.target
        made: NDArray[np.uint8] = _painted(
            self.classes, self.runs.row_start, self.runs.start, self.runs.label, target
        )
        return made


class SieveJoin:
    """Regions that chunks could not decide, decided as rows of chunks come in, from the top.

    Memory: the graph of the regions at the last seam and of those that depend on them, and the patches: 9
    bytes for every region that a chunk left open and that changes.
    """

    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve
        self._graph = Graph(
            size=np.zeros(0, np.int64),
            class_id=np.zeros(0, np.uint8),
            is_open=np.zeros(0, np.bool_),
            ends=np.zeros((0, 2), np.int64),
            length=np.zeros(0, np.int64),
        )
        self._frontier = np.zeros((2, 0), np.int64)
        # regions of chunks that wait: chunk, label there, node
        self._waiting = np.zeros((3, 0), np.int64)
        self._chunks = 0
        self._patches: list[list[Patch]] = []

    def add_row(self, chunks: Sequence[Undecided]) -> None:
        """Join a row of chunks, given from left to right, with each other and with the rows above."""
        graph, bases = side_by_side([self._graph, *(chunk.graph for chunk in chunks)])
        bases = bases[1:]
        parent = np.arange(len(graph.size))
        for k in range(len(chunks) - 1):
            # the same two columns, outermost first from either side
            unite(parent, chunks[k].right.ravel(), bases[k], chunks[k + 1].left[::-1].ravel(), bases[k + 1])
        unite(parent, self._frontier.ravel(), 0, _line([c.top for c in chunks], bases)[::-1].ravel(), 0)
        bottom = _line([c.bottom for c in chunks], bases)
        graph, node = contracted(graph, parent, bottom)
        self._wait(chunks, bases)
        self._waiting[2] = node[self._waiting[2]]
        since, target = self._sieve.settle(graph)
        self._hand_out(graph, since, target)
        self._graph, stays = graph.rest(since, target)
        position = np.full(len(graph.size) + 1, -1, np.int64)
        position[stays] = np.arange(len(stays))
        self._waiting[2] = position[self._waiting[2]]
        self._frontier = position[np.where(bottom >= 0, node[bottom], -1)] if len(node) else bottom

    def patches(self) -> list[Patch]:
        """One for every chunk, in the order in which they came, when all rows are in."""
        if self._waiting.shape[1]:
            raise ValueError(f"{self._waiting.shape[1]} regions are still open")
        return [
            Patch(
                label=np.concatenate([np.zeros(0, np.intp), *(p.label for p in parts)]),
                target=np.concatenate([np.zeros(0, np.uint8), *(p.target for p in parts)]),
            )
            for parts in self._patches
        ]

    def _wait(self, chunks: Sequence[Undecided], bases: NDArray[np.int64]) -> None:
        """Note whose regions the new nodes are."""
        rows = [self._waiting]
        for k, chunk in enumerate(chunks):
            count = len(chunk.label)
            number = np.full(count, self._chunks + k)
            rows.append(np.stack([number, chunk.label, bases[k] + np.arange(count)]))
        self._waiting = np.concatenate(rows, axis=1)
        self._patches += [[] for _ in chunks]
        self._chunks += len(chunks)

    def _hand_out(self, graph: Graph, since: NDArray[np.int32], target: NDArray[np.uint8]) -> None:
        """Move what is decided now from the waiting to the patches of its chunks."""
        chunk, label, node = self._waiting
        decided = since[node] != UNDECIDED
        self._waiting = self._waiting[:, ~decided]
        changed = np.flatnonzero(decided & (target[node] != graph.class_id[node]))
        if len(changed) == 0:
            return
        changed = changed[np.argsort(chunk[changed], kind="stable")]
        numbers, begins = np.unique(chunk[changed], return_index=True)
        for number, part in zip(numbers, np.split(changed, begins[1:]), strict=True):
            self._patches[number].append(Patch(label=label[part], target=target[node[part]]))


def _line(parts: Sequence[NDArray[np.int64]], bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seams of a row of chunks side by side, as nodes."""
    pairs = zip(parts, bases, strict=True)
    return np.concatenate([np.where(part >= 0, part + base, -1) for part, base in pairs], axis=1)


@kernel("i8[:], i4[:], i4[:], i8, b1[:]")
def _borders(row_start, start, label, width, is_small):  # type: ignore[no-untyped-def]
    """(ends, length) of the borders of small regions, above and to the left of the chunk's own pixels."""
    ends, length = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    for fill in range(2):
        n = 0
        for r in range(1, row_start.shape[0] - 2):
            first, end = row_start[r], row_start[r + 1]
            for k in range(first + 1, end):
                if start[k] < width - 1 and _counts(label[k - 1], label[k], is_small):
                    if fill:
                        ends[n, 0], ends[n, 1], length[n] = label[k - 1], label[k], 1
                    n += 1
            above, k = row_start[r - 1], first
            while k < end and above < first:
                k_stop = start[k + 1] if k + 1 < end else width
                above_stop = start[above + 1] if above + 1 < first else width
                common = min(k_stop, above_stop, width - 1) - max(start[k], start[above], 1)
                if common > 0 and _counts(label[above], label[k], is_small):
                    if fill:
                        ends[n, 0], ends[n, 1], length[n] = label[above], label[k], common
                    n += 1
                if k_stop <= above_stop:
                    k += 1
                if above_stop <= k_stop:
                    above += 1
        if not fill:
            ends, length = np.empty((n, 2), np.int64), np.empty(n, np.int64)
    return ends, length


@kernel()
def _counts(a, b, is_small):  # type: ignore[no-untyped-def]
    return a >= 0 and b >= 0 and a != b and (is_small[a] or is_small[b])  # no label is below 0


@kernel("u1[:,:], i8[:], i4[:], i4[:], b1[:]")
def _rims(classes, row_start, start, label, is_small):  # type: ignore[no-untyped-def]
    """(ends, length) of the borders of labelled areas with classes, around the chunk's own pixels."""
    height, width = classes.shape
    ends, length = np.empty((0, 2), np.int64), np.empty(0, np.int64)
    votes = np.zeros(256, np.int64)
    for fill in range(2):
        n = 0
        for r in range(1, height - 1):
            for k in range(row_start[r], row_start[r + 1]):
                if label[k] == NO_LABEL or not is_small[label[k]]:
                    continue
                stop = start[k + 1] if k + 1 < row_start[r + 1] else width
                votes[:] = 0
                if 1 <= start[k] < width - 1:
                    votes[classes[r, start[k] - 1]] += 1
                if 1 < stop < width:
                    votes[classes[r, stop]] += 1
                for c in range(max(start[k], 1), min(stop, width - 1)):
                    votes[classes[r - 1, c]] += 1
                    votes[classes[r + 1, c]] += 1
                votes[NODATA] = 0
                for v in range(NODATA):
                    if votes[v]:
                        if fill:
                            ends[n, 0], ends[n, 1], length[n] = label[k], -1 - v, votes[v]
                        n += 1
        if not fill:
            ends, length = np.empty((n, 2), np.int64), np.empty(n, np.int64)
    return ends, length


@kernel("i8[:], i4[:], i4[:], i8, i8[:]")
def _row_labels(row_start, start, label, width, rows):  # type: ignore[no-untyped-def]
    out = np.empty((rows.shape[0], width), np.int32)
    for i in range(rows.shape[0]):
        for k in range(row_start[rows[i]], row_start[rows[i] + 1]):
            stop = start[k + 1] if k + 1 < row_start[rows[i] + 1] else width
            out[i, start[k] : stop] = label[k]
    return out


@kernel("i8[:], i4[:], i4[:], i8[:]")
def _column_labels(row_start, start, label, cols):  # type: ignore[no-untyped-def]
    height = row_start.shape[0] - 1
    out = np.empty((cols.shape[0], height), np.int32)
    for i in range(cols.shape[0]):
        for r in range(height):
            out[i, r] = label_at(row_start, start, label, r, cols[i])
    return out


@kernel("u1[:,:], i8[:], i4[:], i4[:], u1[:]")
def _painted(classes, row_start, start, label, target):  # type: ignore[no-untyped-def]
    width = classes.shape[1]
    out = classes.copy()
    for r in range(row_start.shape[0] - 1):
        for k in range(row_start[r], row_start[r + 1]):
            if label[k] == NO_LABEL:
                continue
            stop = start[k + 1] if k + 1 < row_start[r + 1] else width
            out[r, start[k] : stop] = target[label[k]]
    return out
