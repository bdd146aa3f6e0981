"""Scoring inside another task: a chunk's labels are scored while they are still in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.evaluation.job import ReferenceJob
from geoseg.evaluation.reference import Reference, open_reference, score_chunk
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend


@dataclass(frozen=True, kw_only=True)
class ChunkScorer:
    """Scores chunks of one map against one reference, in whatever process it finds itself.

    It travels as a description: every process opens and indexes the reference once, on its first chunk.

    Attributes
    ----------
    job
        The reference and how it is read.
    grid, legend
        The map's.
    """

    job: ReferenceJob
    grid: Grid
    legend: Legend

    def __call__(self, window: Window, labels: NDArray[np.uint8]) -> ConfusionMatrix:
        """Confusion matrix of a window's labels (h, w) uint8; the sum over all chunks is the map's."""
        reference = _opened(self.job.model_dump_json(), self.grid, self.legend)
        return score_chunk(reference, window, labels, self.legend)


@lru_cache(maxsize=2)
def _opened(job: str, grid: Grid, legend: Legend) -> Reference:
    return open_reference(ReferenceJob.model_validate_json(job), grid, legend)
