"""Which segments of two tiles are one object: those that agree where both tiles look.

Windows of neighbouring tiles overlap by twice the margin. In this band every pixel has two answers, and two
segments that have more than half of their union in common there are one object. Segments of one tile are
disjoint, so that a segment has at most one such partner (Kirillov et al. 2019): no chains through bad
matches, no order, no floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARE_ONE = 1 << 16
"""The whole union, in the unit of a rule's `match`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strip:
    """What a tile sees along one of its sides, as wide as its overlap with the neighbour there.

    Attributes
    ----------
    ids
        (width of the band, T) uint16: segments of the tile, along the side; 0 for none.
    class_id
        (segments,) uint8.
    node
        (segments,) int64: number of each segment.
    """

    ids: NDArray[np.uint16]
    class_id: NDArray[np.uint8]
    node: NDArray[np.int64]


Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Nodes that are one object, (n,) and (n,)."""


def matched(one: Strip, other: Strip, match: int) -> Pairs:
    """Segments that are one object by what two tiles see of the same pixels (equal shapes of `ids`).

    `match` is the share of their union that they must have more than in common, out of `SHARE_ONE`.
    """
    both = (one.ids != 0) & (other.ids != 0)
    keys, common = np.unique((one.ids[both].astype(np.uint32) << 16) | other.ids[both], return_counts=True)
    a, b = (keys >> 16).astype(np.int64), (keys & 0xFFFF).astype(np.int64)
    union = np.bincount(one.ids.ravel())[a] + np.bincount(other.ids.ravel())[b] - common
    same = (common * SHARE_ONE > match * union) & (one.class_id[a - 1] == other.class_id[b - 1])
    return one.node[a[same] - 1], other.node[b[same] - 1]


def matched_across(
    upper: Sequence[Strip | None], lower: Sequence[Strip | None], match: int
) -> Iterator[Pairs]:
    """Pairs of two rows of tiles that face each other, corners too; None is a tile that was not run.

    The strips lie side by side in the order of the tiles, those of the upper row along their lower sides.
    """
    for k, low in enumerate(lower):
        if low is None:
            continue
        side = low.ids.shape[1]
        for j in (k - 1, k, k + 1):
            up = upper[j] if 0 <= j < len(upper) else None
            if up is not None:
                yield matched(_cut(up, j - k, side), _cut(low, k - j, side), match)


def _cut(strip: Strip, place: int, side: int) -> Strip:
    """What a strip sees of that of a neighbour one place before (1), at the same place, or one after (-1)."""
    band = strip.ids.shape[0]
    if place == 0:
        return strip
    part = strip.ids[:, side - band :] if place < 0 else strip.ids[:, :band]
    return Strip(ids=part, class_id=strip.class_id, node=strip.node)
