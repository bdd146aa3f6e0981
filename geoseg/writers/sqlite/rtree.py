"""The R-tree of an SQLite file (sqlite.org/rtree.html), packed instead of grown box by box.

Boxes come roughly in order of y. A run of them is cut into slices of x, about as many as make square nodes;
in each slice as many as fill a node follow each other (after Leutenegger, Lopez and Edgington 1997, sorting
tiles recursively; the order of the stream takes the place of the sort by y). A node's box is all that is kept
of a run: 24 bytes for 51 polygons.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.writers.sqlite.pages import TablePages
from geoseg.writers.sqlite.record_format import BLOB, Column, records

ROOT = 1
"""Number of the root node."""

_RUN = 1 << 18
_HEADER = 4
_CELL = np.dtype([("id", ">i8"), ("box", ">f4", 4)])


class PackedTree:
    """An R-tree over boxes numbered from 1 in the order in which they come.

    Parameters
    ----------
    rowids, nodes, parents
        The tables that hold it: node of every box, nodes, parent of every node but the root. A placeholder
        takes the root's place in `nodes`.
    node_size
        Bytes of a node.
    """

    def __init__(self, *, rowids: TablePages, nodes: TablePages, parents: TablePages, node_size: int) -> None:
        self._rowids, self._nodes, self._parents = rowids, nodes, parents
        self._node_size = node_size
        self._capacity = (node_size - _HEADER) // _CELL.itemsize
        self._waiting: list[NDArray[np.float32]] = []
        self._count = 0
        self._level: list[NDArray[np.float32]] = []
        self._made = ROOT
        self._append_nodes(np.array([ROOT]), np.zeros((1, node_size), np.uint8))

    def add(self, boxes: NDArray[np.float64]) -> None:
        """Take (n, 4) boxes of min x, min y, max x, max y; all finite."""
        self._waiting.append(_outwards(boxes))
        if sum(map(len, self._waiting)) >= _RUN:
            self._pack_leaves()

    def finish(self) -> bytes:
        """The root node; every table is complete but for it."""
        if not self._level and sum(map(len, self._waiting)) <= self._capacity:
            boxes = np.concatenate([*self._waiting, np.zeros((0, 4), np.float32)])
            self._append_rowids(np.full(len(boxes), ROOT))
            return self._root(0, boxes, np.arange(1, len(boxes) + 1))
        self._pack_leaves()
        ids, boxes = np.arange(ROOT + 1, self._made + 1), np.concatenate(self._level)
        parents, depth = [], 1
        while len(boxes) > self._capacity:
            by_y = np.argsort(boxes[:, 3], kind="stable")
            node, above = self._pack(boxes[by_y], ids[by_y])
            parent = np.empty(len(ids), np.int64)
            parent[by_y] = node
            parents.append(parent)
            ids, boxes = np.arange(self._made - len(above) + 1, self._made + 1), above
            depth += 1
        parents.append(np.full(len(ids), ROOT))
        below = np.concatenate(parents)
        keys = np.arange(ROOT + 1, ROOT + 1 + len(below))
        self._parents.append(keys, records([Column.of_nulls(len(keys)), Column.of_integers(below)]))
        return self._root(depth, boxes, ids)

    def _pack_leaves(self) -> None:
        if not self._waiting:
            return
        boxes = np.concatenate(self._waiting)
        self._waiting = []
        node, level = self._pack(boxes, np.arange(self._count + 1, self._count + 1 + len(boxes)))
        self._append_rowids(node)
        self._level.append(level)

    def _append_rowids(self, node: NDArray[np.int64]) -> None:
        keys = np.arange(self._count + 1, self._count + 1 + len(node))
        self._rowids.append(keys, records([Column.of_nulls(len(keys)), Column.of_integers(node)]))
        self._count += len(node)

    def _pack(
        self, boxes: NDArray[np.float32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(node of each box, box of each node); the nodes are written, numbered on from the last one."""
        order, slot = _tiles(boxes, self._capacity)
        position = np.cumsum(slot == 0) - 1
        count = int(position[-1]) + 1
        cells = np.zeros((count, self._capacity), _CELL)
        cells["id"][position, slot] = ids[order]
        cells["box"][position, slot] = boxes[order]
        starts = np.flatnonzero(slot == 0)
        above = np.empty((count, 4), np.float32)
        for k, reduce in enumerate((np.minimum, np.maximum, np.minimum, np.maximum)):
            above[:, k] = reduce.reduceat(boxes[order, k], starts)
        numbers = np.arange(self._made + 1, self._made + 1 + count)
        self._append_nodes(numbers, self._node_bytes(0, cells, np.diff([*starts, len(order)])))
        self._made += count
        node = np.empty(len(boxes), np.int64)
        node[order] = numbers[position]
        return node, above

    def _node_bytes(self, depth: int, cells: NDArray[np.void], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
        out = np.zeros((len(cells), self._node_size), np.uint8)
        header = np.empty((len(cells), 2), ">u2")
        header[:, 0], header[:, 1] = depth, sizes
        out[:, :_HEADER] = header.view(np.uint8)
        end = _HEADER + cells.shape[1] * _CELL.itemsize
        out[:, _HEADER:end] = cells.view(np.uint8).reshape(len(cells), -1)
        return out

    def _root(self, depth: int, boxes: NDArray[np.float32], ids: NDArray[np.int64]) -> bytes:
        cells = np.zeros((1, self._capacity), _CELL)
        cells["id"][0, : len(ids)], cells["box"][0, : len(ids)] = ids, boxes
        return self._node_bytes(depth, cells, np.array([len(ids)])).tobytes()

    def _append_nodes(self, numbers: NDArray[np.int64], content: NDArray[np.uint8]) -> None:
        begins = np.arange(len(numbers), dtype=np.int64) * self._node_size
        sizes = np.full(len(numbers), self._node_size, np.int64)
        blobs = Column(kind=BLOB, values=begins, sizes=sizes, heap=content.ravel())
        self._nodes.append(numbers, records([Column.of_nulls(len(numbers)), blobs]))


def _outwards(boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, 4) of min x, max x, min y, max y in single precision, never inside the boxes."""
    ordered = boxes[:, [0, 2, 1, 3]]
    rounded = ordered.astype(np.float32)
    for k, (away, inside) in enumerate(((-np.inf, np.greater), (np.inf, np.less)) * 2):
        wrong = inside(rounded[:, k], ordered[:, k])
        rounded[wrong, k] = np.nextafter(rounded[wrong, k], np.float32(away))
    return rounded


def _tiles(boxes: NDArray[np.float32], capacity: int) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """(order of boxes, slot of each in its node): full nodes from the first to the last of each slice."""
    middle = (boxes[:, 0].astype(np.float64) + boxes[:, 1]) / 2
    width = max(float(np.ptp(middle)), 1e-300)
    height = max(float(boxes[:, 3].max()) - float(boxes[:, 2].min()), 1e-300)
    nodes = -(-len(boxes) // capacity)
    slices = int(np.clip(np.rint(np.sqrt(nodes * width / height)), 1, min(nodes, 1 << 15)))
    which = np.minimum((middle - middle.min()) * (slices / width), slices - 1).astype(np.int16)
    order = np.argsort(which, kind="stable")  # a radix sort
    sizes = np.bincount(which, minlength=slices)
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return order, (np.arange(len(boxes)) - begins) % capacity
