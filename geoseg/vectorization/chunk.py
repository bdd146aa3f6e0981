"""What one worker does to one chunk: read it with its neighbours' edge pixels, label, measure, trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA
from geoseg.regions.join import OpenRegions
from geoseg.regions.label import borders_of, label_chunk
from geoseg.vectorization.seams import Rings, assemble
from geoseg.vectorization.trace import Paths, select_paths, trace_chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkShapes:
    """Regions of one chunk: polygons of those that end in it, pieces of those that go on.

    Attributes
    ----------
    regions, rings
        REGION array of the finished regions in order of first pixel, and their polygons.
    open_regions, pieces
        The others, and their boundary pieces; a piece's owner is the position among the open regions.
    """

    regions: NDArray[np.void]
    rings: Rings
    open_regions: OpenRegions
    pieces: Paths


def shapes_of(
    classes: NDArray[np.uint8],
    *,
    row: int,
    col: int,
    scene_width: int,
    areas: NDArray[np.int64] | None = None,
    confidence: NDArray[np.uint8] | None = None,
) -> ChunkShapes:
    """Regions of a chunk with their boundaries; parameters as in `label_chunk`."""
    runs, regions = label_chunk(
        classes, row=row, col=col, scene_width=scene_width, areas=areas, confidence=confidence
    )
    is_open = np.ascontiguousarray(regions["is_open"])
    paths = trace_chunk(classes, runs, is_open, row=row, col=col)
    finished = ~is_open
    rank = np.where(is_open, -1, np.cumsum(finished) - 1)
    open_rank = np.where(is_open, np.cumsum(is_open) - 1, -1).astype(np.int32)
    return ChunkShapes(
        regions=regions[finished],
        rings=assemble(paths, int(finished.sum()), rank),
        open_regions=OpenRegions(
            regions=regions[is_open], borders=borders_of(classes, runs, open_rank)
        ),
        pieces=select_paths(paths, open_rank),
    )


def surrounded(classes: NDArray[np.uint8], *, top: bool, left: bool, bottom: bool, right: bool) -> NDArray[np.uint8]:
    """Classes with a rim of 255 on the sides named, where the scene ends."""
    rims = ((int(top), int(bottom)), (int(left), int(right)))
    return np.pad(classes, rims, constant_values=NODATA)
