"""Prompts: points and a box that say which one object is meant."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """What is said of one object, in pixels of a scene or of a window of it.

    Attributes
    ----------
    points
        (k, 2) int64 of row and column.
    inside
        (k,) bool: whether the point is in the object, or beside it.
    box
        Row, column, row and column of the end, which is excluded; None where there is none.
    """

    points: NDArray[np.int64]
    inside: NDArray[np.bool_]
    box: tuple[int, int, int, int] | None = None

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Row, column, row and column of the end, of the box and of all points."""
        corners = [self.points, self.points + 1]
        if self.box is not None:
            corners.append(np.array([self.box[:2], self.box[2:]], np.int64))
        every = np.concatenate(corners)
        (row, col), (row_end, col_end) = every.min(axis=0).tolist(), every.max(axis=0).tolist()
        return row, col, row_end, col_end

    @property
    def centre(self) -> tuple[int, int]:
        """Row and column of the pixel in the middle of `bounds`."""
        row, col, row_end, col_end = self.bounds
        return (row + row_end) // 2, (col + col_end) // 2

    @property
    def span(self) -> int:
        """Pixels of the longer side of `bounds`."""
        row, col, row_end, col_end = self.bounds
        return max(row_end - row, col_end - col)

    def within(self, row: int, col: int, coarser: int = 1) -> Prompt:
        """The same in pixels `coarser` times as large, of a window that begins at that row and column."""
        origin = np.array([row, col], np.int64)
        box = self.box
        if box is not None:
            r0, c0, r1, c1 = box
            box = (
                (r0 - row) // coarser,
                (c0 - col) // coarser,
                -((row - r1) // coarser),
                -((col - c1) // coarser),
            )
        return replace(self, points=(self.points - origin) // coarser, box=box)
