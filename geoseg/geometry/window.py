"""Windows: rectangles of pixels in a scene's own (row, col) coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels: rows ``row .. row + height``, columns ``col .. col + width`` (ends excluded).

    It may reach outside the scene (a halo does); `clip` says what part is inside.
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"window of negative size: {self.height} x {self.width}")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def row_end(self) -> int:
        """First row after the window."""
        return self.row + self.height

    @property
    def col_end(self) -> int:
        """First column after the window."""
        return self.col + self.width

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def __bool__(self) -> bool:
        return self.area > 0

    def intersect(self, other: Window) -> Window:
        """Common part of two windows; an empty window where they do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row_end, other.row_end) - row
        width = min(self.col_end, other.col_end) - col
        return Window(row, col, max(height, 0), max(width, 0))

    def clip(self, height: int, width: int) -> Window:
        """Part that lies inside a scene of this size."""
        return self.intersect(Window(0, 0, height, width))

    def grow(self, margin: int) -> Window:
        """Window widened by `margin` pixels on all four sides; it may reach outside the scene."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def contains(self, other: Window) -> bool:
        """Whether `other` lies wholly inside."""
        return self.intersect(other) == other

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """(rows, cols) slices that pick this window out of an array that holds `outer`."""
        if not outer.contains(self):
            raise ValueError(f"{self} is not inside {outer}")
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def blocks(self, height: int, width: int) -> Iterator[Window]:
        """Windows of at most (height, width) that cover this one, row by row, aligned to its origin."""
        for row in range(self.row, self.row_end, height):
            for col in range(self.col, self.col_end, width):
                yield Window(row, col, height, width).intersect(self)

    def spread(self, side: int, along: int = 5) -> Iterator[Window]:
        """At most `along` by `along` windows of a side, evenly spread from edge to edge, row by row.

        They overlap where there is not room enough, and are clipped to a window that is smaller.
        """
        rows, cols = (
            sorted({start + i * max(size - side, 0) // max(along - 1, 1) for i in range(along)})
            for start, size in ((self.row, self.height), (self.col, self.width))
        )
        for row in rows:
            for col in cols:
                yield Window(row, col, side, side).intersect(self)
