"""What one worker does to one window: everything that an evaluation counts there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.boundary import BoundaryCounts, count_boundaries, near_edge
from geoseg.accuracy.calibration import ConfidenceCounts
from geoseg.accuracy.matrix import ConfusionMatrix, count, positions
from geoseg.accuracy.outline import OutlineCounts, count_outlines, reach
from geoseg.evaluation.inputs import Inputs
from geoseg.evaluation.job import EvaluateJob
from geoseg.evaluation.reference import pairs, score_chunk
from geoseg.evaluation.segments import Table, count_segments
from geoseg.execution.opened import Opened
from geoseg.geometry import Window
from geoseg.legend import NODATA, Legend
from geoseg.raster.percent import percent
from geoseg.regions.patches import Edges, label_patches

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Areas:
    """Areas of one layer in a window: 4-connected pixels of one class.

    Attributes
    ----------
    edges
        The outermost pixels.
    size, position
        (n,) int64: pixels of each, and the position of its class in the legend.
    """

    edges: Edges
    size: NDArray[np.int64]
    position: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """Areas of both layers in a window, and the pixels that they share.

    Attributes
    ----------
    reference, mapped
        The areas.
    common
        (3, n) int64: area of the reference, area of the map, pixels of both.
    """

    reference: Areas
    mapped: Areas
    common: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What was counted in a window; None for what was not asked for.

    Attributes
    ----------
    matrix, boundary, outline, confidence, objects
        Counts of all its pixels.
    segments
        Pairs of segments, by their ids.
    regions
        Confusion matrix of each region, by its number.
    blocks
        Confusion matrix of each spatial block, by its row and column.
    """

    matrix: ConfusionMatrix
    boundary: BoundaryCounts | None = None
    outline: OutlineCounts | None = None
    confidence: ConfidenceCounts | None = None
    objects: Objects | None = None
    segments: Table | None = None
    regions: Mapping[int, ConfusionMatrix]
    blocks: Mapping[tuple[int, int], ConfusionMatrix]


def count_window(opened: Opened[Inputs], job: EvaluateJob, window: Window) -> Counted:
    """Everything that a job asks for, of one window."""
    inputs = opened.value
    if job.resample == "fraction" or inputs.reference.kind == "points":
        matrix = score_chunk(
            inputs.reference,
            window,
            inputs.mapped(window),
            inputs.legend,
            fractions=job.resample == "fraction",
        )
        return Counted(matrix=matrix, regions={}, blocks={})
    shape, legend, pixel = inputs.class_map.grid.shape, inputs.legend, inputs.class_map.grid.ground_size
    halo = max(job.boundary or 0, reach(job.boundary_f1, pixel) if job.boundary_f1 else 0)
    around = window.grow(halo).clip(*shape)
    core = window.slices_in(around)
    wide_truth, wide_map = pairs(inputs.reference, around, inputs.mapped(around))
    truth, mapped = wide_truth[core], wide_map[core]
    boundary = outline = None
    if job.boundary is not None:
        edge = near_edge(window, shape, job.boundary) if job.boundary_edge else None
        boundary = count_boundaries(wide_truth, wide_map, core, legend, job.boundary, edge)
    if job.boundary_f1 is not None:
        outline = count_outlines(wide_truth, wide_map, core, legend, job.boundary_f1, pixel)
    return Counted(
        matrix=count(truth, mapped, legend),
        boundary=boundary,
        outline=outline,
        confidence=_confidence(inputs, window, truth, mapped),
        objects=_objects(truth, mapped, legend) if job.objects else None,
        segments=count_segments(inputs, window, truth, mapped),
        regions=_by_region(inputs, window, truth, mapped),
        blocks=_by_block(inputs.block, window, truth, mapped, legend),
    )


def _confidence(inputs: Inputs, window: Window, truth: Labels, mapped: Labels) -> ConfidenceCounts | None:
    if inputs.confidence is None:
        return None
    sure = percent(inputs.confidence, window)
    known = (truth != NODATA) & (mapped != NODATA) & (sure != NODATA)
    return ConfidenceCounts.of(sure[known], (truth == mapped)[known])


def _objects(truth: Labels, mapped: Labels, legend: Legend) -> Objects:
    known = (truth != NODATA) & (mapped != NODATA)
    place = positions(legend)
    areas, numbers = [], []
    for labels in (truth, mapped):
        seen = np.where(known, labels, np.uint8(NODATA))
        number, n = label_patches(seen, corners=False)
        position = np.zeros(n, np.int64)
        position[number[known]] = place[seen[known]]
        areas.append(
            Areas(
                edges=Edges.of(seen, number, n),
                size=np.bincount(number[known], minlength=n),
                position=position,
            )
        )
        numbers.append(number[known].astype(np.int64))
    both = numbers[0] * max(areas[1].edges.count, 1) + numbers[1]
    pair, pixels = np.unique(both, return_counts=True)
    common = np.stack([*np.divmod(pair, max(areas[1].edges.count, 1)), pixels])
    return Objects(reference=areas[0], mapped=areas[1], common=common)


def _by_region(inputs: Inputs, window: Window, truth: Labels, mapped: Labels) -> dict[int, ConfusionMatrix]:
    if inputs.regions is None:
        return {}
    region = inputs.regions.read(window)
    found = {}
    for number in np.flatnonzero(np.bincount(region.ravel(), minlength=256)[:NODATA]).tolist():
        inside = region == number
        found[number] = count(truth[inside], mapped[inside], inputs.legend)
    return found


def _by_block(
    side: int | None, window: Window, truth: Labels, mapped: Labels, legend: Legend
) -> dict[tuple[int, int], ConfusionMatrix]:
    """Counts by block of `side` pixels; blocks lie on a lattice from the map's first pixel."""
    if side is None:
        return {}
    found = {}
    for row in range(window.row // side, -(-window.row_end // side)):
        for col in range(window.col // side, -(-window.col_end // side)):
            top, left = max(row * side, window.row), max(col * side, window.col)
            part = Window(
                top,
                left,
                min((row + 1) * side, window.row_end) - top,
                min((col + 1) * side, window.col_end) - left,
            ).slices_in(window)
            found[row, col] = count(truth[part], mapped[part], legend)
    return found
