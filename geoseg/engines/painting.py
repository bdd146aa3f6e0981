"""Detections painted into a tile: from masks that overlap, in floats, to disjoint segments in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.pixels import PROBABILITY_SCALE
from geoseg.engines.segments import SEGMENT, Detections, TileSegments
from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root
from geoseg.legend import NODATA
from geoseg.models.object_rule import ObjectRule

_MASK_SCALE = 255


def paint(
    found: Detections,
    rule: ObjectRule,
    *,
    shape: tuple[int, int],
    valid: NDArray[np.bool_] | None = None,
    temperature: float = 1.0,
) -> TileSegments:
    """Disjoint segments of a tile of `shape` (rows, columns).

    Scores and masks are rounded to integers, and from then on nothing depends on a float or on the order in
    which detections come: they are painted by score (the highest first), pixels (the most first), first
    pixel, class. One of which less than half is left by those before it is dropped, and of every other only
    the largest 4-connected part counts, if it has enough pixels. Segments are numbered by first pixel.

    Parameters
    ----------
    valid
        (T, T); False where there is nothing to see.
    temperature
        The log odds of the scores are divided by this.
    """
    ids = np.zeros(shape, np.uint16)
    open_pixels = np.ones(shape, np.bool_) if valid is None else valid
    candidates = _candidates(found, rule, open_pixels, temperature)
    painted = []
    for candidate in candidates[: rule.per_tile]:
        window = ids[candidate.rows, candidate.cols]
        left = candidate.mask & (window == 0)
        if 2 * int(np.count_nonzero(left)) < candidate.pixels:
            continue
        painted.append(candidate)
        window[left] = len(painted)
    numbered, boxes, kept = _largest_parts(ids, len(painted), rule.min_pixels)
    table = np.zeros(len(kept), SEGMENT)
    table["class_id"] = [painted[k].class_id for k in kept]
    table["score"] = [painted[k].score for k in kept]
    for name, column in zip(("pixels", "row", "col", "row_end", "col_end"), boxes.T, strict=True):
        table[name] = column
    stuff = found.stuff if found.stuff is None else np.where(open_pixels, found.stuff, np.uint8(NODATA))
    return TileSegments(ids=numbered, table=table, stuff=stuff, capped=len(candidates) > rule.per_tile)


class _Candidate:
    """One detection in integers, within the tile."""

    __slots__ = ("class_id", "cols", "first", "mask", "pixels", "rows", "score")

    def __init__(
        self, score: int, class_id: int, mask: NDArray[np.bool_], place: tuple[slice, slice]
    ) -> None:
        self.score, self.class_id, self.mask = score, class_id, mask
        self.rows, self.cols = place
        self.pixels = int(np.count_nonzero(mask))

    def order(self, width: int) -> tuple[Any, ...]:
        """Key of a total order; what is equal in all of it paints the same pixels."""
        row, col = divmod(int(self.mask.argmax()), self.mask.shape[1])
        first = (self.rows.start + row) * width + self.cols.start + col
        box = self.rows.start, self.cols.start, self.rows.stop, self.cols.stop
        return -self.score, -self.pixels, first, self.class_id, box, np.packbits(self.mask).tobytes()


def _candidates(
    found: Detections, rule: ObjectRule, valid: NDArray[np.bool_], temperature: float
) -> list[_Candidate]:
    """Detections with a score and a pixel that count, in the order in which they are painted."""
    height, width = valid.shape
    scores = _rounded(_tempered(found.scores, temperature), PROBABILITY_SCALE)
    least = round(rule.score * PROBABILITY_SCALE)
    candidates = []
    for k in np.flatnonzero(scores >= least).tolist():
        row, col, row_end, col_end = (int(v) for v in found.boxes[k])
        rows, cols = slice(max(row, 0), min(row_end, height)), slice(max(col, 0), min(col_end, width))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            continue
        inside = found.masks[k][rows.start - row : rows.stop - row, cols.start - col : cols.stop - col]
        mask = _rounded(inside, _MASK_SCALE) >= max(round(rule.mask * _MASK_SCALE), 1)
        candidate = _Candidate(int(scores[k]), int(found.classes[k]), mask & valid[rows, cols], (rows, cols))
        if candidate.pixels:
            candidates.append(candidate)
    return sorted(candidates, key=lambda candidate: candidate.order(width))


def _tempered(scores: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    p = np.asarray(scores, np.float64)
    if temperature == 1:
        return p
    one, other = (np.clip(q, 0, 1) ** (1 / temperature) for q in (p, 1 - p))
    return np.asarray(one / (one + other))


def _rounded(share: NDArray[Any], scale: int) -> NDArray[np.int32]:
    """``round(share * scale)``, halves up; what is no number is 0."""
    share = np.nan_to_num(np.asarray(share, np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    return np.asarray(np.floor(np.clip(share, 0, 1) * scale + 0.5), np.int32)


@kernel("u2[:,:], i8, i8")
def _largest_parts(ids, count, least):  # type: ignore[no-untyped-def]
    """(ids of the largest 4-connected part of each id, numbered by first pixel, boxes, their old ids - 1).

    Boxes are (n, 5): pixels, row, col, row_end, col_end. Of equal parts the first counts; parts of fewer
    than `least` pixels are left out.
    """
    height, width = ids.shape
    parent = np.empty(height * width, np.int32)
    size = np.zeros(height * width, np.int32)
    for r in range(height):
        for c in range(width):
            k = r * width + c
            parent[k] = k
            v = ids[r, c]
            if v == 0:
                continue
            if c > 0 and ids[r, c - 1] == v:
                parent[k] = find_root(parent, k - 1)
            if r > 0 and ids[r - 1, c] == v:
                a, b = find_root(parent, k - width), find_root(parent, k)
                if a < b:
                    parent[b] = a
                elif b < a:
                    parent[a] = b
    for k in range(height * width):
        size[find_root(parent, k)] += 1
    best = np.full(count + 1, -1, np.int64)
    for k in range(height * width):
        v = ids[k // width, k % width]
        if v != 0 and parent[k] == k and (best[v] < 0 or size[k] > size[best[v]]):
            best[v] = k
    number = np.zeros(count + 1, np.int64)
    old = np.empty(count, np.int64)
    n = 0
    for k in range(height * width):
        v = ids[k // width, k % width]
        if v != 0 and best[v] == k and size[k] >= least:
            old[n] = v - 1
            n += 1
            number[v] = n
    out = np.zeros((height, width), np.uint16)
    boxes = np.zeros((n, 5), np.int64)
    for r in range(height):
        for c in range(width):
            v = ids[r, c]
            if number[v] == 0 or find_root(parent, r * width + c) != best[v]:
                continue
            out[r, c] = number[v]
            j = number[v] - 1
            if boxes[j, 0] == 0:
                boxes[j, 1], boxes[j, 2] = r, c
            boxes[j, 0] += 1
            boxes[j, 2] = min(boxes[j, 2], c)
            boxes[j, 3] = r + 1
            boxes[j, 4] = max(boxes[j, 4], c + 1)
    return out, boxes, old[:n].copy()
