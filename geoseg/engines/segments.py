"""What a tile's objects are: as a network sees them, and as every engine gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import Legend

SEGMENT = np.dtype(
    [
        ("class_id", np.uint8),
        ("score", np.uint16),
        ("pixels", np.int32),
        ("row", np.int16),
        ("col", np.int16),
        ("row_end", np.int16),
        ("col_end", np.int16),
    ]
)
"""One segment: its class, ``round(p * 65535)``, its pixels and its box in the tile, ends excluded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What a network sees in one tile: objects that may overlap, in any order.

    Attributes
    ----------
    scores
        (n,) float, 0 to 1.
    classes
        (n,) class ids.
    boxes
        (n, 4) integers: row, col, row_end, col_end in the tile, ends excluded; they may reach outside.
    masks
        n arrays (row_end - row, col_end - col) float: how likely each pixel of the box is one of the object.
    stuff
        (T, T) uint8: classes of the pixels, 255 for none; None where the network knows things alone.
    """

    scores: NDArray[Any]
    classes: NDArray[Any]
    boxes: NDArray[Any]
    masks: Sequence[NDArray[Any]]
    stuff: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileSegments:
    """Disjoint segments of one tile, in integers alone: what is made of them later is exact.

    Attributes
    ----------
    ids
        (T, T) uint16: 0 where there is no thing, else 1 + row of the table.
    table
        (n,) SEGMENT, in order of first pixel.
    stuff
        (T, T) uint8: classes of stuff, 255 for none, also under things: what shows where one is left out.
        None where things alone are known.
    capped
        Whether there were more than the rule's `per_tile`.
    """

    ids: NDArray[np.uint16]
    table: NDArray[np.void]
    stuff: NDArray[np.uint8] | None = None
    capped: bool = False


class SegmentEngine(Protocol):
    """What finds the objects of raw tiles; a tile's answer is as repeatable as an `Engine`'s."""

    @property
    def legend(self) -> Legend:
        """Classes of things and stuff."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether a batch is one forward pass."""
        ...

    def segments(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> list[TileSegments]:
        """Segments of each raw tile (N, C, T, T); none where `valid` (N, T, T) is False."""
        ...
