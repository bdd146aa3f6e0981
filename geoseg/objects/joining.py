"""Objects of a whole scene, from the pieces of its chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import TilePlan
from geoseg.objects.matching import Pairs, Strip, matched_across
from geoseg.objects.pieces import PIECE, Rim
from geoseg.regions.join import roots_of, unite

OBJECT = np.dtype(
    [
        ("first", np.int64),
        ("pixels", np.int64),
        ("score", np.uint16),
        ("class_id", np.uint8),
        ("at_edge", np.bool_),
    ]
)
"""One object: first pixel (row-major in the scene), pixels, ``round(p * 65535)`` as the mean over its pixels,
class, and whether it touches the scene's end or a pixel without an answer."""

Told = Callable[[int], tuple[NDArray[np.void], Rim]]
"""What a chunk knows of its objects, by its index: (PIECE table, rim)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """All objects of a scene.

    Attributes
    ----------
    table
        (n,) OBJECT, in order of first pixel; an object's id is 1 + its row.
    ids
        (pieces,) uint32: object of every piece, chunk after chunk; 0 where it is none.
    bases
        First piece of every chunk that has any.
    """

    table: NDArray[np.void]
    ids: NDArray[np.uint32]
    bases: Mapping[int, int]

    def raster(self, chunk: int, pieces: NDArray[np.uint32], count: int) -> NDArray[np.uint32]:
        """(h, w) uint32: objects of a chunk's pixels, of its `count` pieces; 0 for none."""
        base = self.bases[chunk]
        lookup = np.concatenate([np.zeros(1, np.uint32), self.ids[base : base + count]])
        found: NDArray[np.uint32] = lookup[pieces]
        return found


def join_objects(
    plan: TilePlan, counts: Mapping[int, int], told: Told, *, match: int, min_pixels: int
) -> Objects:
    """Objects of all chunks, whose `counts` are the numbers of their pieces; the others hold none.

    Chunks are met row by row, so that strips of two rows are held at most: memory follows the width. For
    every piece 40 bytes are held, until all are joined.
    """
    bases = dict(
        zip(sorted(counts), np.cumsum([0, *(counts[k] for k in sorted(counts))]).tolist(), strict=False)
    )
    pieces = np.zeros(sum(counts.values()), PIECE)
    parent = np.arange(len(pieces), dtype=np.int64)
    down, across = plan.chunk_grid
    above: tuple[Strip | None, ...] = ()
    for row in range(down):
        beside: tuple[Strip | None, ...] = ()
        tops: list[Strip | None] = []
        bottoms: list[Strip | None] = []
        for col in range(across):
            index = row * across + col
            tiles = plan.tiles_of(plan.chunk_at(index))
            width, height = tiles[-1].col - tiles[0].col + 1, tiles[-1].row - tiles[0].row + 1
            if index not in counts:
                beside = (None,) * height
                tops += [None] * width
                bottoms += [None] * width
                continue
            table, rim = told(index)
            pieces[bases[index] : bases[index] + counts[index]] = table
            top, bottom, left, right = (
                _numbered(strips, bases[index]) for strips in (rim.top, rim.bottom, rim.left, rim.right)
            )
            _unite(parent, matched_across(beside, left, match) if col else ())
            beside = right
            tops += top
            bottoms += bottom
        _unite(parent, matched_across(above, tops, match) if row else ())
        above = tuple(bottoms)
    return _objects(pieces, roots_of(parent), bases, min_pixels)


def _numbered(strips: tuple[Strip | None, ...], base: int) -> tuple[Strip | None, ...]:
    return tuple(None if strip is None else replace(strip, node=strip.node + base) for strip in strips)


def _unite(parent: NDArray[np.int64], pairs: Iterable[Pairs]) -> None:
    for one, other in pairs:
        unite(parent, one, 0, other, 0)


def _objects(
    pieces: NDArray[np.void], root: NDArray[np.int64], bases: Mapping[int, int], min_pixels: int
) -> Objects:
    """Sets of pieces as objects: those with enough pixels, numbered by their first."""
    sets, index = np.unique(root, return_inverse=True)
    none = np.iinfo(np.int64).max
    first = np.full(len(sets), none)
    np.minimum.at(first, index, np.where(pieces["pixels"] > 0, pieces["first"], none))
    pixels, score = np.zeros(len(sets), np.int64), np.zeros(len(sets), np.int64)
    np.add.at(pixels, index, pieces["pixels"])
    np.add.at(score, index, pieces["score"])
    at_edge = np.zeros(len(sets), np.bool_)
    np.logical_or.at(at_edge, index, pieces["at_edge"])
    order = np.argsort(first, kind="stable")
    order = order[pixels[order] >= max(min_pixels, 1)]
    table = np.zeros(len(order), OBJECT)
    table["first"], table["pixels"] = first[order], pixels[order]
    table["score"] = score[order] // np.maximum(pixels[order], 1)
    table["class_id"] = pieces["class_id"][sets[order]]
    table["at_edge"] = at_edge[order]
    number = np.zeros(len(sets), np.uint32)
    number[order] = np.arange(1, len(order) + 1)
    return Objects(table=table, ids=number[index], bases=bases)
