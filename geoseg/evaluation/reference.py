"""A reference beside a map: what is compared with what in a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import ConfusionMatrix, count
from geoseg.evaluation.job import REFERENCE_NAMES, ReferenceJob, Resample
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.truth.layer import Truth, TruthFile
from geoseg.truth.open import open_truth
from geoseg.truth.refined import RefinedTruth, open_refined
from geoseg.truth.shapes import PointTruth

Labels = NDArray[np.uint8]


def open_reference(job: ReferenceJob, grid: Grid, legend: Legend, *, resample: Resample = "nearest") -> Truth:
    """Reference of a job, on a map's grid and in its classes; errors as in `open_truth`."""
    if resample == "nearest":
        return open_truth(file_of(job), grid, legend)
    return open_refined(file_of(job), grid, legend)


def file_of(job: ReferenceJob) -> TruthFile:
    """Reference of a job, as it is to be read."""
    return TruthFile(
        path=job.reference,
        field=job.field,
        layer=job.layer,
        band=job.reference_band,
        crosswalk=job.crosswalk,
        single_class=job.single_class,
        background=job.background,
        reading=job.reference_reading,
        overlap=job.overlap,
        repair=job.repair,
        encoding=job.encoding,
        names=REFERENCE_NAMES,
    )


def pairs(reference: Truth, window: Window, labels: Labels) -> tuple[Labels, Labels]:
    """(reference labels, map labels), equally long, of a window whose map labels (h, w) are given.

    255 where the reference does not score. Of points every one counts, also of those that share a pixel.
    """
    if isinstance(reference, PointTruth):
        here = reference.within(window)
        rows, cols = reference.rows[here] - window.row, reference.cols[here] - window.col
        return reference.classes[here], labels[rows, cols]
    return reference.read(window), labels


def score_chunk(
    reference: Truth, window: Window, labels: Labels, legend: Legend, *, fractions: bool = False
) -> ConfusionMatrix:
    """Confusion matrix of one chunk: map labels (h, w) uint8 of a window against the reference there.

    With `fractions`, every point of a `RefinedTruth` is a count of its own.
    """
    if not (fractions and isinstance(reference, RefinedTruth)):
        return count(*pairs(reference, window, labels), legend)
    times = reference.times
    parts = (
        count(
            reference.points(block),
            labels[block.slices_in(window)].repeat(times, axis=0).repeat(times, axis=1),
            legend,
        )
        for block in reference.blocks(window)
    )
    return ConfusionMatrix.sum(parts, legend)
