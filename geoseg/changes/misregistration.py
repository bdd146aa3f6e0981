"""How far the second of two maps lies off the first: the shift at which their edges agree best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Window
from geoseg.legend import NODATA

WORTH_A_WORD = 0.3
"""Pixels; a larger shift makes change along borders that is none."""

_REACH = 6
_NEAR = 2
_SIDE = 256
_ALONG = 6
_FEWEST_EDGES = 200
_WEAKEST = 0.02
_PART = 0.05
_PLAIN = 0.3
"""Correlation of edges below which a shift may be chance: little of the first map is left in the second."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Misregistration:
    """The shift at which the edges of two maps agree best.

    Attributes
    ----------
    columns, rows
        Whole pixels by which the second map lies to the right of the first and below it.
    right, down
        The same in parts of a pixel.
    agreement, unmoved
        Correlation of the edges at the whole shift, and without any.
    windows
        Windows of 256 pixels that were looked at.
    """

    columns: int
    rows: int
    right: float
    down: float
    agreement: float
    unmoved: float
    windows: int

    @property
    def pixels(self) -> float:
        """Length of the shift in pixels."""
        return math.hypot(self.right, self.down)

    def note(self, metres: float) -> str | None:
        """What to tell the user of pixels of so many metres; None where there is nothing to tell."""
        if self.pixels <= WORTH_A_WORD or self.agreement < _PLAIN:
            return None
        return (
            f"the map after seems to lie {self.right:+.1f} px to the right and {self.down:+.1f} px down "
            f"({self.pixels * metres:.3g} m) of the map before: change along borders may be none; "
            "align the images first"
        )


def sample_windows(height: int, width: int) -> list[Window]:
    """Up to 36 windows of at most 256 pixels, evenly spread over a map of that size."""
    rows, cols = (
        sorted({int(v) for v in np.linspace(0, max(size - _SIDE, 0), min(_ALONG, -(-size // _SIDE)))})
        for size in (height, width)
    )
    return [Window(r, c, min(_SIDE, height), min(_SIDE, width)) for r in rows for c in cols]


def misregistration(
    windows: Iterable[Window], read: Callable[[Window], tuple[Labels, Labels]]
) -> Misregistration | None:
    """The shift of two maps of labels that `read` gives for a window; None where edges are too few to tell.

    Labels of equal classes are equal, 255 is unknown. Edges are the sides of pixels between two known
    classes; for every whole shift of up to 6 pixels, those of all windows are correlated. The part of a pixel
    is the one whose mixture of two neighbouring shifts explains the correlations near the best.
    """
    side = 2 * _REACH + 1
    across, alone = np.zeros((2, 4, side, side))
    number = 0
    for window in windows:
        number += 1
        before, after = read(window)
        for axis in (0, 1):
            edges = _edges(before, axis)
            _correlate(edges, _edges(after, axis), across)
            _correlate(edges, edges, alone)
    middle = _REACH, _REACH
    if min(across[1][middle], across[2][middle]) < _FEWEST_EDGES:
        return None
    found, own = _correlation(across), _correlation(alone)
    best = np.unravel_index(int(found.argmax()), found.shape)
    row, col = int(best[0]), int(best[1])
    if found[row, col] < _WEAKEST or not all(_NEAR <= at < side - _NEAR for at in (row, col)):
        return None
    down, right = _part(found[row - _NEAR : row + _NEAR + 1, col - _NEAR : col + _NEAR + 1], own)
    return Misregistration(
        columns=col - _REACH,
        rows=row - _REACH,
        right=round(col - _REACH + right, 2),
        down=round(row - _REACH + down, 2),
        agreement=round(float(found[row, col]), 4),
        unmoved=round(float(found[middle]), 4),
        windows=number,
    )


def _correlation(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of the edges at every shift; 0 where there are none."""
    count, first, second, both = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (count * first - first**2) * (count * second - second**2)
        found: NDArray[np.float64] = np.nan_to_num((count * both - first * second) / np.sqrt(spread))
    return found


def _part(near: NDArray[np.float64], own: NDArray[np.float64]) -> tuple[float, float]:
    """(down, right) parts of a pixel by which the correlation of edges with themselves fits `near` best.

    Where the second map is off by part of a pixel, that part of its edges lies one pixel on.
    """
    parts = np.arange(-1 + _PART, 1, _PART)
    begin, size = _REACH - _NEAR, 2 * _NEAR + 1
    moved = np.lib.stride_tricks.sliding_window_view(own, (size, size))[begin - 1 :, begin - 1 :][:3, :3]
    # shares of a shift by a whole pixel against, none, and with the axis, (parts, 3)
    shares = np.stack([np.maximum(parts, 0), 1 - np.abs(parts), np.maximum(-parts, 0)], 1)
    mixed = np.einsum("ia,jb,abyx->ijyx", shares, shares, moved).reshape(len(parts), len(parts), -1)
    mixed -= mixed.mean(-1, keepdims=True)
    wanted = near.ravel() - near.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = mixed @ wanted / np.sqrt((mixed**2).sum(-1) * (wanted**2).sum())
    best = np.unravel_index(int(np.nan_to_num(scores).argmax()), scores.shape)
    return float(parts[best[0]]), float(parts[best[1]])


def _edges(labels: Labels, axis: int) -> NDArray[np.bool_]:
    """Whether a pixel and the one below it (axis 0) or to the right (axis 1) are of two classes."""
    one, other = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
    different: NDArray[np.bool_] = (one != other) & (one != NODATA) & (other != NODATA)
    return different


def _correlate(before: NDArray[np.bool_], after: NDArray[np.bool_], sums: NDArray[np.float64]) -> None:
    """Add (pixels, edges before, edges after, common edges) of every shift of the second image."""
    height, width = (n - 2 * _REACH for n in before.shape)
    if height <= 0 or width <= 0:
        return
    core = np.packbits(before[_REACH : _REACH + height, _REACH : _REACH + width], axis=1)
    edges = int(np.bitwise_count(core).sum(dtype=np.int64))
    sums[0] += height * width
    sums[1] += edges
    for j in range(2 * _REACH + 1):
        columns = np.packbits(after[:, j : j + width], axis=1)
        in_rows = np.concatenate([[0], np.bitwise_count(columns).sum(1, dtype=np.int64).cumsum()])
        for i in range(2 * _REACH + 1):
            sums[2, i, j] += in_rows[i + height] - in_rows[i]
            sums[3, i, j] += np.bitwise_count(core & columns[i : i + height]).sum(dtype=np.int64)
