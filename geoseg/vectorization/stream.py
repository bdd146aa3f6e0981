"""Chunks in, polygons out: a stream that holds one row of chunks and the regions that cross its seam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.regions.join import RegionJoin
from geoseg.vectorization.chunk import ChunkShapes
from geoseg.vectorization.pending import PendingPaths
from geoseg.vectorization.seams import Rings, assemble, joined_rings


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Complete regions with their polygons, in an order of their own.

    Attributes
    ----------
    regions
        REGION array.
    rings
        Their polygons in pixel corners, position by position.
    order
        (regions,) int64: the order to go by, as positions.
    """

    regions: NDArray[np.void]
    rings: Rings
    order: NDArray[np.int64]

    def part(self, begin: int, end: int) -> tuple[NDArray[np.void], Rings]:
        """(regions, polygons) from `begin` to `end` of the order."""
        chosen = self.order[begin:end]
        return self.regions[chosen], self.rings.take(chosen)


def stream_shapes(chunks: Iterable[ChunkShapes], chunks_across: int) -> Iterator[Shapes]:
    """Complete regions of a scene, one batch per row of chunks.

    Chunks come in row-major order. Regions come out in order of their last row, then of their first pixel:
    the order in which a stream can know them, and the same for any chunking.
    """
    join, pending = RegionJoin(), PendingPaths()
    row: list[ChunkShapes] = []
    for chunk in chunks:
        row.append(chunk)
        if len(row) == chunks_across:
            yield _finish_row(row, join, pending)
            row = []


def _finish_row(row: list[ChunkShapes], join: RegionJoin, pending: PendingPaths) -> Shapes:
    joined = join.add_row([chunk.open_regions for chunk in row])
    crossing = assemble(pending.add_row(joined, [chunk.pieces for chunk in row]), len(joined.finished))
    regions = np.concatenate([joined.finished, *(chunk.regions for chunk in row)])
    order = np.lexsort((regions["first"], regions["row_end"]))
    rings = joined_rings([crossing, *(chunk.rings for chunk in row)])
    return Shapes(regions=regions, rings=rings, order=order)
