"""References: whatever a map is scored against, raster or vector, read on the map's grid.

A reference is asked for one window at a time and answers with pairs of labels. All of them work in the map's
global pixel coordinates, so the sum over any set of windows that cover the map is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import ConfusionMatrix, count
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.extent import require_overlap
from geoseg.evaluation.job import ReferenceJob
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend

Labels = NDArray[np.uint8]

_VECTOR_SUFFIXES = {
    ".gpkg", ".shp", ".geojson", ".json", ".geojsonl", ".fgb", ".parquet", ".gml", ".kml", ".gdb", ".zip"
}  # fmt: skip


class Reference(Protocol):
    """A layer to score against, on the map's grid."""

    @property
    def kind(self) -> str:
        """``raster``, ``polygons`` or ``points``."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was read."""

    def pairs(self, window: Window, labels: Labels) -> tuple[Labels, Labels]:
        """(reference labels, map labels), equally long, of a window whose map labels are given."""


def open_reference(job: ReferenceJob, grid: Grid, legend: Legend) -> Reference:
    """Reference of a job, on a map's grid and in its classes.

    Raises
    ------
    InputError, UsageError
        Everything that would make the scores wrong, before the first pixel is compared.
    """
    path = job.reference
    if not path.exists():
        raise InputError("not found", where=path.absolute())
    if is_vector(path):
        if job.reference_band is not None:
            raise UsageError("`reference_band` needs a raster", where=path)
        from geoseg.evaluation.features import open_vector_reference

        return open_vector_reference(job, grid, legend)
    from geoseg.evaluation.raster_reference import open_raster_reference

    for option in ("field", "layer", "single_class", "background"):
        if getattr(job, option) is not None:
            raise UsageError(f"`{option}` needs a vector reference", where=path, why="this is a raster")
    reference = open_raster_reference(job, grid, legend)
    require_overlap(reference.raster.grid.bounds, reference.raster.grid.crs, grid, path)
    return reference


def is_vector(path: Path) -> bool:
    """Whether a reference is to be read as a vector file, by its suffix."""
    return path.suffix.casefold() in _VECTOR_SUFFIXES


def score_chunk(reference: Reference, window: Window, labels: Labels, legend: Legend) -> ConfusionMatrix:
    """Confusion matrix of one chunk: map labels (h, w) uint8 of a window against the reference there."""
    return count(*reference.pairs(window, labels), legend)
