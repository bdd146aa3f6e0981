"""What one chunk knows of the objects: pieces painted by its tiles, and what its neighbours need to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.segments import TileSegments
from geoseg.geometry import Chunk, Tile, TilePlan, Window
from geoseg.legend import NODATA
from geoseg.objects.matching import SHARE_ONE, Strip, matched, matched_across
from geoseg.regions.join import roots_of, unite

PIECE = np.dtype(
    [
        ("first", np.int64),
        ("pixels", np.int64),
        ("score", np.int64),
        ("class_id", np.uint8),
        ("at_edge", np.bool_),
    ]
)
"""Segments of one chunk that are one object.

first
    Row-major index in the scene of its first pixel; -1 where it has none in this chunk.
pixels
    Its pixels in the chunk.
score
    Sum of the scores of its segments, each times its pixels.
at_edge
    Whether it touches a pixel that has no answer, or the end of the scene.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rim:
    """Segments of a chunk's outermost tiles, as its neighbours meet them.

    Attributes
    ----------
    top, bottom, left, right
        A strip for each tile along that side, from left to right or from top to bottom (those of the left and
        the right are turned, so that they too lie along the side); None for a tile that was not run. Empty
        where the scene ends. Nodes are pieces of the chunk.
    """

    top: tuple[Strip | None, ...]
    bottom: tuple[Strip | None, ...]
    left: tuple[Strip | None, ...]
    right: tuple[Strip | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkPieces:
    """Objects as far as one chunk knows them.

    Attributes
    ----------
    ids
        (h, w) uint32: 0 for none, else 1 + row of the table.
    table
        (n,) PIECE.
    rim
        What its neighbours need.
    stuff
        (h, w) uint8: classes of stuff, 255 for none; None where no tile gave any.
    capped
        Tiles with more objects than they may have.
    """

    ids: NDArray[np.uint32]
    table: NDArray[np.void]
    rim: Rim
    stuff: NDArray[np.uint8] | None
    capped: int


class PiecePainter:
    """Pieces of a chunk, painted tile by tile, in row-major order.

    A pixel is of the segment that the tile whose core holds it gives it. Segments of neighbouring tiles that
    agree in the band are one piece.

    Parameters
    ----------
    wanted
        (h + 2, w + 2): where there is to be an answer, with one pixel around the chunk; False outside the
        scene.
    match
        As in `matched`.
    """

    def __init__(self, plan: TilePlan, chunk: Chunk, wanted: NDArray[np.bool_], match: int) -> None:
        self._plan, self._window, self._wanted, self._match = plan, chunk.window, wanted, match
        cells = plan.tiles_of(chunk)
        self._row, self._col = cells[0].row, cells[0].col
        self._shape = cells[-1].row - self._row + 1, cells[-1].col - self._col + 1
        self._nodes = np.zeros(chunk.window.shape, np.uint32)  # 1 + node
        self._stuff: NDArray[np.uint8] | None = None
        self._seen: dict[tuple[int, int], Strip] = {}  # whole tiles; ids (T, T)
        self._rims: dict[tuple[str, int], Strip] = {}
        self._scores: list[NDArray[np.uint16]] = []
        self._classes: list[NDArray[np.uint8]] = []
        self._pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._count, self._capped = 0, 0

    def add(self, tile: Tile, found: TileSegments) -> None:
        """Paint what a tile sees, and match it with its neighbours to the left and above."""
        table, capped = found.table, found.capped
        seen = tile.window.clip(self._plan.height, self._plan.width)
        ids = np.zeros_like(found.ids)  # what is mirrored beyond the scene is nobody's
        ids[seen.slices_in(tile.window)] = found.ids[seen.slices_in(tile.window)]
        strip = Strip(
            ids=ids,
            class_id=np.ascontiguousarray(table["class_id"]),
            node=np.arange(self._count, self._count + len(table)),
        )
        inside, target = tile.core.slices_in(tile.window), tile.core.slices_in(self._window)
        core = ids[inside].astype(np.uint32)
        self._nodes[target] = np.where(core, core + np.uint32(self._count), 0)
        if found.stuff is not None:
            if self._stuff is None:
                self._stuff = np.full(self._window.shape, NODATA, np.uint8)
            self._stuff[target] = found.stuff[inside]
        self._scores.append(table["score"])
        self._classes.append(strip.class_id)
        self._count += len(table)
        self._capped += capped
        self._meet(tile.row - self._row, tile.col - self._col, strip)

    def finish(self) -> ChunkPieces:
        """The pieces of all tiles that came."""
        nodes = self._nodes
        nodes[~self._wanted[1:-1, 1:-1]] = 0
        parent = np.arange(self._count)
        for one, other in self._pairs:
            unite(parent, one, 0, other, 0)
        root = roots_of(parent)
        pixels = np.bincount(nodes.ravel(), minlength=self._count + 1)[1:]
        first = self._first()
        table, piece = self._table(root, pixels, first)
        lookup = np.concatenate([[0], piece + 1]).astype(np.uint32)
        ids = lookup[nodes]
        table["at_edge"][np.unique(ids[(ids > 0) & self._near_nothing()]) - 1] = True
        return ChunkPieces(ids=ids, table=table, rim=self._rim(piece), stuff=self._stuff, capped=self._capped)

    def _table(
        self, root: NDArray[np.int64], pixels: NDArray[np.int64], first: NDArray[np.int64]
    ) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """(PIECE of every set of nodes, in order of first pixel, piece of each node)."""
        sets, index = np.unique(root, return_inverse=True)
        scores = np.concatenate([np.zeros(0, np.uint16), *self._scores]).astype(np.int64)
        classes = np.concatenate([np.zeros(0, np.uint8), *self._classes])
        table = np.zeros(len(sets), PIECE)
        table["first"] = np.iinfo(np.int64).max
        np.minimum.at(table["first"], index, np.where(pixels > 0, first, np.iinfo(np.int64).max))
        np.add.at(table["pixels"], index, pixels)
        np.add.at(table["score"], index, scores * pixels)
        table["class_id"] = classes[sets]
        order = np.argsort(table["first"], kind="stable")
        place = np.empty(len(sets), np.int64)
        place[order] = np.arange(len(sets))
        table = table[order]
        table["first"][table["pixels"] == 0] = -1
        return table, place[index]

    def _first(self) -> NDArray[np.int64]:
        """(nodes,) row-major index in the scene of each node's first pixel; anything for those without."""
        flat = self._nodes.ravel()
        where = np.flatnonzero(flat)[::-1]
        place = np.zeros(self._count + 1, np.int64)
        place[flat[where]] = where  # of equal ones the last to be assigned stays
        row, col = np.divmod(place[1:], self._window.width)
        return (self._window.row + row) * self._plan.width + self._window.col + col

    def _near_nothing(self) -> NDArray[np.bool_]:
        """(h, w) bool: pixels beside one where there is to be no answer."""
        w = self._wanted
        return ~(w[:-2, 1:-1] & w[2:, 1:-1] & w[1:-1, :-2] & w[1:-1, 2:])

    def _meet(self, row: int, col: int, strip: Strip) -> None:
        band = 2 * self._plan.margin
        rows, cols = self._shape
        if band:
            left = self._seen.get((row, col - 1))
            if left is not None:
                self._pairs.append(
                    matched(_side(left, "right", band), _side(strip, "left", band), self._match)
                )
            above = [self._seen.get((row - 1, col + step)) for step in (-1, 0, 1)]
            bottoms = [None if tile is None else _side(tile, "bottom", band) for tile in above]
            top = _side(strip, "top", band)
            self._pairs += matched_across(bottoms, [None, top, None], self._match)
        self._seen[row, col] = strip
        self._seen.pop((row - 1, col - 1), None)
        if col == cols - 1:
            self._seen.pop((row - 1, col), None)
        for side, at, outer, place in (
            ("top", row, 0, col),
            ("bottom", row, rows - 1, col),
            ("left", col, 0, row),
            ("right", col, cols - 1, row),
        ):
            if at == outer:
                self._rims[side, place] = _side(strip, side, band)

    def _rim(self, piece: NDArray[np.int64]) -> Rim:
        window, (rows, cols) = self._window, self._shape
        goes_on = {
            "top": window.row > 0,
            "bottom": window.row_end < self._plan.height,
            "left": window.col > 0,
            "right": window.col_end < self._plan.width,
        }

        def side(name: str) -> Iterator[Strip | None]:
            for place in range(cols if name in ("top", "bottom") else rows):
                strip = self._rims.get((name, place)) if goes_on[name] else None
                yield (
                    None
                    if strip is None
                    else Strip(ids=strip.ids, class_id=strip.class_id, node=piece[strip.node])
                )

        return Rim(**{name: tuple(side(name)) for name in goes_on})


def match_of(share: float) -> int:
    """A rule's `match` as a whole number of `SHARE_ONE`."""
    return round(share * SHARE_ONE)


def around(window: Window, inner: NDArray[np.bool_], place: Window) -> NDArray[np.bool_]:
    """(h + 2, w + 2): what an array of window `place` holds of `window` and a pixel around; else False."""
    whole = window.grow(1)
    held = whole.intersect(place)
    out = np.zeros(whole.shape, np.bool_)
    out[held.slices_in(whole)] = inner[held.slices_in(place)]
    return out


def _side(tile: Strip, side: str, band: int) -> Strip:
    """The strip along one side of a whole tile, lying along it."""
    ids = tile.ids
    cut = {
        "top": ids[:band],
        "bottom": ids[len(ids) - band :],
        "left": ids[:, :band].T,
        "right": ids[:, len(ids) - band :].T,
    }[side]
    return Strip(ids=np.ascontiguousarray(cut), class_id=tile.class_id, node=tile.node)
