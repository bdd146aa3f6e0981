"""Windows of an evaluation added up: counts, areas joined over the seams, tables by region and block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy import metrics
from geoseg.accuracy.bootstrap import block_intervals
from geoseg.accuracy.boundary import BoundaryCounts
from geoseg.accuracy.calibration import ConfidenceCounts
from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.accuracy.outline import OutlineCounts
from geoseg.accuracy.panoptic import Panoptic, Regions, panoptic
from geoseg.evaluation.chunk import Areas, Counted, Objects
from geoseg.evaluation.inputs import Inputs
from geoseg.evaluation.job import EvaluateJob
from geoseg.evaluation.segments import SegmentTable
from geoseg.geometry import Window
from geoseg.regions.patches import PatchJoin

_FEW = 20
"""Blocks below which intervals by drawing them again are too narrow to be relied on."""


class Together:
    """What was counted in all windows; those of areas come in row-major order."""

    def __init__(self, inputs: Inputs, job: EvaluateJob) -> None:
        self._inputs, self._job = inputs, job
        self.matrix = ConfusionMatrix.zero(inputs.legend)
        self._boundaries: list[BoundaryCounts] = []
        self._outlines: list[OutlineCounts] = []
        self._confidence: ConfidenceCounts | None = None
        self._objects = _JoinedObjects(inputs.class_map.grid.width, len(inputs.legend))
        self._segments = SegmentTable(len(inputs.legend))
        self._regions: dict[Any, ConfusionMatrix] = defaultdict(lambda: ConfusionMatrix.zero(inputs.legend))
        self._blocks: dict[Any, ConfusionMatrix] = defaultdict(lambda: ConfusionMatrix.zero(inputs.legend))

    def add(self, window: Window, part: Counted) -> None:
        """Count a window."""
        self.matrix = self.matrix + part.matrix
        if part.boundary is not None:
            self._boundaries.append(part.boundary)
        if part.outline is not None:
            self._outlines.append(part.outline)
        if part.confidence is not None:
            before = self._confidence
            self._confidence = part.confidence if before is None else before + part.confidence
        if part.segments is not None:
            self._segments.add(part.segments)
        if part.objects is not None:
            self._objects.add(window, part.objects)
        for total, found in ((self._regions, part.regions), (self._blocks, part.blocks)):
            for key, matrix in found.items():
                total[key] = total[key] + matrix

    @property
    def boundary(self) -> BoundaryCounts | None:
        """Counts of boundary bands."""
        width = self._job.boundary
        return None if width is None else BoundaryCounts.sum(self._boundaries, width, len(self.matrix.legend))

    def further(self) -> dict[str, Any]:
        """Evidence of the scores of outlines, areas and confidence; what was asked for."""
        found: dict[str, Any] = {}
        if (metres := self._job.boundary_f1) is not None:
            found["outline"] = OutlineCounts.sum(self._outlines, metres, len(self.matrix.legend))
        if self._job.objects:
            found["objects"] = self._objects.matched()
        if self._job.instances is not None:
            found["objects"] = found["panoptic"] = self._segments.matched()
        if self._confidence is not None:
            found["confidence"] = self._confidence
        return found

    def regions(self) -> tuple[Mapping[str, Any], ...]:
        """One record per region that has a scored pixel, in the order of their names' numbers."""
        if self._inputs.regions is None:
            return ()
        names = self._inputs.regions.legend
        scored = [(i, m) for i, m in sorted(self._regions.items()) if self._counts(m).any()]
        return tuple({"region": names.name(i), **self._record(m)} for i, m in scored)

    def blocks(self) -> tuple[Mapping[str, Any], ...]:
        """One record per block that has a scored pixel, from the top left."""
        side, grid = self._inputs.block, self._inputs.class_map.grid
        records = []
        for (row, col), matrix in self._scored_blocks():
            assert side is not None
            x, y = grid.corner(min((row + 0.5) * side, grid.height), min((col + 0.5) * side, grid.width))
            records.append({"row": row, "col": col, "x": float(x), "y": float(y), **self._record(matrix)})
        return tuple(records)

    def intervals(self) -> dict[str, Any]:
        """95 % intervals of every score by drawing the blocks again; nothing of fewer than two."""
        blocks = [self._counts(matrix) for _, matrix in self._scored_blocks()]
        if len(blocks) < 2:
            return {}
        chosen = [m for m in metrics.METRICS if m.needs == "counts" and m.only != "card"]
        found = block_intervals(np.stack(blocks), chosen)
        return {name: np.round(interval, 6).T.tolist() for name, interval in found.items()}

    def remarks(self) -> list[str]:
        """What the user should know of the tables."""
        number = len(self._scored_blocks())
        if self._inputs.block is None or number >= _FEW:
            return []
        return [f"{number} blocks are few: their intervals are too narrow; smaller ones with `blocks`"]

    def _scored_blocks(self) -> Sequence[tuple[Any, ConfusionMatrix]]:
        return [(key, m) for key, m in sorted(self._blocks.items()) if self._counts(m).any()]

    def _counts(self, matrix: ConfusionMatrix) -> metrics.Counts:
        return matrix.counts if self._job.unmapped == "ignore" else matrix.with_unmapped_as_wrong()

    def _record(self, matrix: ConfusionMatrix) -> dict[str, Any]:
        counts = self._counts(matrix)
        ious = metrics.iou(counts)
        return {
            "scored": int(counts.sum()),
            "overall_accuracy": metrics.overall_accuracy(counts),
            "mean_iou": metrics.mean_iou(counts),
            "macro_f1": metrics.macro_f1(counts),
            **{f"iou {c.name}": float(v) for c, v in zip(matrix.legend.classes, ious, strict=True)},
        }


class _JoinedObjects:
    """Areas of both layers, joined over the seams; memory follows their number."""

    def __init__(self, width: int, classes: int) -> None:
        self._classes = classes
        self._layers = (_JoinedAreas(width), _JoinedAreas(width))
        self._common: list[NDArray[np.int64]] = [np.zeros((3, 0), np.int64)]

    def add(self, window: Window, part: Objects) -> None:
        bases = [
            layer.add(window, areas)
            for layer, areas in zip(self._layers, (part.reference, part.mapped), strict=True)
        ]
        self._common.append(part.common + np.array([*bases, 0])[:, None])

    def matched(self) -> Panoptic:
        (reference, of_reference), (mapped, of_map) = (layer.joined() for layer in self._layers)
        one, other, pixels = np.concatenate(self._common, axis=1)
        key = of_reference[one] * max(len(mapped.size), 1) + of_map[other]
        pair, place = np.unique(key, return_inverse=True)
        common = np.zeros(len(pair), np.int64)
        np.add.at(common, place, pixels)
        pairs = np.divmod(pair, max(len(mapped.size), 1))
        return panoptic(reference, mapped, pairs, common, self._classes)


class _JoinedAreas:
    """Areas of one layer."""

    def __init__(self, width: int) -> None:
        self._join = PatchJoin(width, corners=False)
        self._sizes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        self._positions: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]

    def add(self, window: Window, areas: Areas) -> int:
        self._sizes.append(areas.size)
        self._positions.append(areas.position)
        return self._join.add(window, areas.edges)

    def joined(self) -> tuple[Regions, NDArray[np.int64]]:
        """(areas of the whole map, the one that each number belongs to)."""
        patch, count = self._join.patches()
        size, position = np.zeros(count, np.int64), np.zeros(count, np.int64)
        np.add.at(size, patch, np.concatenate(self._sizes))
        position[patch] = np.concatenate(self._positions)
        return Regions(size=size, position=position), patch
