"""4-connected regions of one chunk, by runs: label, measure, and say which ones go on beyond a seam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.kernels.marked import find_root
from geoseg.legend import NODATA

NO_LABEL = -1

REGION = np.dtype(
    [
        ("first", np.int64),
        ("pixels", np.int64),
        ("area", np.int64),
        ("confidence", np.int64),
        ("confident", np.int64),
        ("row_end", np.int32),
        ("col", np.int32),
        ("col_end", np.int32),
        ("class_id", np.uint32),
        ("least", np.uint8),
        ("is_open", np.bool_),
    ],
    align=True,
)
"""One region.

first
    Row-major index in the scene of its first pixel; it names the region, whatever the chunks.
pixels
    Number of pixels.
area
    Sum of its pixels' areas in integer units (see `label_chunk`), so that sums do not depend on their order.
confidence, confident, least
    Sum of the confidence of the pixels that have one, their number, and the smallest (255 where there is
    none).
row_end, col, col_end
    Bounding box in scene pixels, ends excluded; its first row is ``first // width``.
class_id
    Value of all its pixels: a class, or whatever else regions are made of.
is_open
    Whether it goes on in a neighbouring chunk.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Rows of a chunk as runs of equal class, nodata included.

    Attributes
    ----------
    row_start
        (height + 1,) int64: runs of row r are ``row_start[r]`` to ``row_start[r + 1]``.
    start
        (runs + 1,) int32: first column of each run, counted in the chunk; the run ends where the next one of
        its row starts, or at the chunk's width.
    label
        (runs,) int32: region of the run, or -1 for nodata. Labels are in order of the regions' first pixels.
    """

    row_start: NDArray[np.int64]
    start: NDArray[np.int32]
    label: NDArray[np.int32]


def label_chunk(
    classes: NDArray[Any],
    *,
    row: int,
    col: int,
    scene_width: int,
    areas: NDArray[np.int64] | None = None,
    confidence: NDArray[np.uint8] | None = None,
    nodata: int = NODATA,
) -> tuple[Runs, NDArray[np.void]]:
    """(runs, regions) of a chunk; regions is a REGION array in order of first pixel.

    Parameters
    ----------
    classes
        (h + 2, w + 2) uint8, or uint32 for other values: the chunk with the one pixel of its neighbours all
        around it, and `nodata` outside the scene.
    row, col
        Scene position of the chunk's first pixel (of ``classes[1, 1]``).
    scene_width
        Width of the scene in pixels.
    areas
        (h, 1) or (h, w) int64: area of each pixel in any unit; 1 each when left out.
    confidence
        (h, w) uint8, 255 where there is none.
    nodata
        Value that belongs to no region.
    """
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    areas = np.ones((height, 1), np.int64) if areas is None else np.ascontiguousarray(areas)
    confidence = np.empty((0, 0), np.uint8) if confidence is None else confidence
    row_start, start, value = _runs(classes)
    label, count = _label(row_start, start, value, width, nodata)
    regions = np.zeros(count, REGION)
    runs = row_start, start, value, label
    _measure(classes, runs, areas, confidence, (row, col), scene_width, regions)
    return Runs(row_start=row_start, start=start, label=label), regions


def number_regions(
    classes: NDArray[Any], *, nodata: int = NODATA
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """((h, w) number of each pixel's region from 0 in order of first pixel, -1 where none; regions).

    Of a whole array (h, w) of uint8 or uint32, in memory.
    """
    around = np.pad(classes, 1, constant_values=nodata)
    runs, regions = label_chunk(around, row=0, col=0, scene_width=classes.shape[1], nodata=nodata)
    row = np.repeat(np.arange(len(classes)), np.diff(runs.row_start))
    begins = np.append(row * classes.shape[1] + runs.start[:-1], classes.size)
    return np.repeat(runs.label, np.diff(begins)).reshape(classes.shape).astype(np.int64), regions


@kernel("u1[:,:]", "u4[:,:]")
def _runs(classes):  # type: ignore[no-untyped-def]
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    row_start = np.empty(height + 1, np.int64)
    count = 0
    for r in range(height):
        row_start[r] = count
        line = classes[r + 1]
        changes = 1
        for c in range(2, width + 1):
            changes += line[c] != line[c - 1]
        count += changes
    row_start[height] = count
    start = np.empty(count + 1, np.int32)
    value = np.empty(count, classes.dtype)
    k = 0
    for r in range(height):
        line = classes[r + 1]
        last = line[1]
        start[k], value[k] = 0, last
        k += 1
        for c in range(1, width):
            v = line[c + 1]
            if v != last:
                start[k], value[k] = c, v
                k += 1
                last = v
    start[count] = 0
    return row_start, start, value


@kernel("i8[:], i4[:], u1[:], i8, i8", "i8[:], i4[:], u4[:], i8, i8")
def _label(row_start, start, value, width, nodata):  # type: ignore[no-untyped-def]
    """Union-find over runs; a set's root is its first run, so labels come out in order of first pixel."""
    count = value.shape[0]
    parent = np.empty(count, np.int32)
    for r in range(row_start.shape[0] - 1):
        first, end = row_start[r], row_start[r + 1]
        for k in range(first, end):
            parent[k] = k
        if r == 0:
            continue
        above, above_end = row_start[r - 1], first
        k = first
        while k < end and above < above_end:
            k_stop = start[k + 1] if k + 1 < end else width
            above_stop = start[above + 1] if above + 1 < above_end else width
            if value[k] == value[above] and value[k] != nodata:
                a, b = find_root(parent, above), find_root(parent, k)
                if a < b:
                    parent[b] = a
                elif b < a:
                    parent[a] = b
            if k_stop <= above_stop:
                k += 1
            if above_stop <= k_stop:
                above += 1
    label = np.empty(count, np.int32)
    labels = 0
    for k in range(count):
        if value[k] == nodata:
            label[k] = NO_LABEL
        elif parent[k] == k:
            label[k] = labels
            labels += 1
        else:
            # the parent comes before k, so its own label is final
            label[k] = label[parent[k]]
    return label, labels


@kernel(
    "u1[:,:], (i8[:], i4[:], u1[:], i4[:]), i8[:,:], u1[:,:], (i8, i8), i8, REGION[:]",
    "u4[:,:], (i8[:], i4[:], u4[:], i4[:]), i8[:,:], u1[:,:], (i8, i8), i8, REGION[:]",
)
def _measure(classes, runs, areas, confidence, origin, scene_width, regions):  # type: ignore[no-untyped-def]
    row_start, start, value, label = runs
    row, col = origin
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    by_row = areas.shape[1] == 1
    with_confidence = confidence.shape[0] > 0
    prefix = np.zeros(width + 1, np.int64)
    for r in range(height):
        if not by_row:
            for c in range(width):
                prefix[c + 1] = prefix[c] + areas[r, c]
        end = row_start[r + 1]
        for k in range(row_start[r], end):
            if label[k] == NO_LABEL:
                continue
            c0 = start[k]
            c1 = start[k + 1] if k + 1 < end else width
            region = regions[label[k]]
            if region.pixels == 0:
                region.first = np.int64(row + r) * scene_width + col + c0
                region.class_id = value[k]
                region.col, region.col_end = col + c0, col + c1
                region.least = 255
            region.pixels += c1 - c0
            region.area += areas[r, 0] * (c1 - c0) if by_row else prefix[c1] - prefix[c0]
            region.row_end = row + r + 1
            region.col = min(region.col, col + c0)
            region.col_end = max(region.col_end, col + c1)
            if with_confidence:
                for c in range(c0, c1):
                    q = confidence[r, c]
                    if q != 255:
                        region.confidence += q
                        region.confident += 1
                        region.least = min(region.least, q)
            if not region.is_open:
                region.is_open = _goes_on(classes, r, c0, c1, value[k])


@kernel()
def _goes_on(classes, r, c0, c1, v):  # type: ignore[no-untyped-def]
    """Whether the run in row r, columns c0 to c1, has an equal neighbour in another chunk."""
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    if c0 == 0 and classes[r + 1, 0] == v:
        return True
    if c1 == width and classes[r + 1, width + 1] == v:
        return True
    if r == 0:
        for c in range(c0, c1):
            if classes[0, c + 1] == v:
                return True
    if r == height - 1:
        for c in range(c0, c1):
            if classes[height + 1, c + 1] == v:
                return True
    return False


@kernel()
def label_at(row_start, start, label, r, c):  # type: ignore[no-untyped-def]
    """Label of pixel (r, c) of the chunk."""
    low, high = row_start[r], row_start[r + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if start[middle] <= c:
            low = middle
        else:
            high = middle
    return label[low]


@dataclass(frozen=True, slots=True, kw_only=True)
class Borders:
    """Which open region each border pixel of a chunk carries over the seam beside it.

    Attributes
    ----------
    top, bottom
        (w,) int32: position among the chunk's open regions, -1 where the neighbour over the seam has another
        class (or there is none).
    left, right
        (h,) int32, likewise.
    """

    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]


def borders_of(classes: NDArray[Any], runs: Runs, open_rank: NDArray[np.int32]) -> Borders:
    """Borders of a chunk; `open_rank` maps a label to its position among the open regions."""
    top, bottom, left, right = _borders(classes, runs.row_start, runs.start, runs.label, open_rank)
    return Borders(top=top, bottom=bottom, left=left, right=right)


@kernel("u1[:,:], i8[:], i4[:], i4[:], i4[:]", "u4[:,:], i8[:], i4[:], i4[:], i4[:]")
def _borders(classes, row_start, start, label, open_rank):  # type: ignore[no-untyped-def]
    height, width = classes.shape[0] - 2, classes.shape[1] - 2
    top, bottom = np.full(width, NO_LABEL, np.int32), np.full(width, NO_LABEL, np.int32)
    left, right = np.full(height, NO_LABEL, np.int32), np.full(height, NO_LABEL, np.int32)
    for side, r in ((0, 0), (height + 1, height - 1)):
        line = top if side == 0 else bottom
        for k in range(row_start[r], row_start[r + 1]):
            if label[k] == NO_LABEL:
                continue
            c1 = start[k + 1] if k + 1 < row_start[r + 1] else width
            for c in range(start[k], c1):
                if classes[side, c + 1] == classes[r + 1, c + 1]:
                    line[c] = open_rank[label[k]]
    for r in range(height):
        k, last = row_start[r], row_start[r + 1] - 1
        if label[k] != NO_LABEL and classes[r + 1, 0] == classes[r + 1, 1]:
            left[r] = open_rank[label[k]]
        if label[last] != NO_LABEL and classes[r + 1, width + 1] == classes[r + 1, width]:
            right[r] = open_rank[label[last]]
    return top, bottom, left, right
