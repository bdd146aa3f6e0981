"""Regions of one chunk with their outlines: polygons of those that end in it, pieces of those that go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.seams import Rings, assemble
from geoseg.outlines.trace import Paths, select_paths, trace_chunk
from geoseg.regions.join import OpenRegions
from geoseg.regions.label import borders_of, label_chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkShapes:
    """Regions of one chunk: polygons of those that end in it, pieces of those that go on.

    Attributes
    ----------
    regions, rings
        REGION array of the finished regions in order of first pixel, and their polygons.
    open_regions, pieces
        The others, and their boundary pieces; a piece's owner is the position among the open regions.
    overlap
        Intersection over union of every squared outline with the traced one.
    """

    regions: NDArray[np.void]
    rings: Rings
    open_regions: OpenRegions
    pieces: Paths
    overlap: NDArray[np.float64]


def shapes_of(
    classes: NDArray[Any],
    *,
    row: int,
    col: int,
    scene_width: int,
    areas: NDArray[np.int64] | None = None,
    confidence: NDArray[np.uint8] | None = None,
    generalization: Generalization | None = None,
    nodata: int = NODATA,
) -> ChunkShapes:
    """Regions of a chunk with their boundaries, simplified on request; the rest is as in `label_chunk`."""
    runs, regions = label_chunk(
        classes,
        row=row,
        col=col,
        scene_width=scene_width,
        areas=areas,
        confidence=confidence,
        nodata=nodata,
    )
    is_open = np.ascontiguousarray(regions["is_open"])
    paths = trace_chunk(classes, runs, is_open, row=row, col=col)
    overlap = np.zeros(0)
    if generalization is not None:
        generalized = generalization.apply(paths, classes, row=row, col=col, nodata=nodata)
        paths, overlap = generalized.paths, generalized.overlap
    finished = ~is_open
    rank = np.where(is_open, -1, np.cumsum(finished) - 1)
    open_rank = np.where(is_open, np.cumsum(is_open) - 1, -1).astype(np.int32)
    return ChunkShapes(
        regions=regions[finished],
        rings=assemble(paths, int(finished.sum()), rank),
        open_regions=OpenRegions(regions=regions[is_open], borders=borders_of(classes, runs, open_rank)),
        pieces=select_paths(paths, open_rank),
        overlap=overlap,
    )
