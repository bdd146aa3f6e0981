"""Chunks in, polygons out: a stream that holds one row of chunks and the regions that cross its seam."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.outlines.coverage import STAYS
from geoseg.outlines.open_paths import PendingPaths
from geoseg.outlines.seams import Rings, assemble, joined_rings
from geoseg.outlines.shapes import ChunkShapes
from geoseg.outlines.trace import EAST, WEST, Paths
from geoseg.regions.join import Cuts, Joined, RegionJoin

_ALONG_A_CUT = 8


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
    cut
        How many of them were cut off from a part that comes later.
    """

    regions: NDArray[np.void]
    rings: Rings
    order: NDArray[np.int64]
    cut: int = 0

    def part(self, begin: int, end: int) -> tuple[NDArray[np.void], Rings]:
        """(regions, polygons) from `begin` to `end` of the order."""
        chosen = self.order[begin:end]
        return self.regions[chosen], self.rings.take(chosen)


def stream_shapes(
    chunks: Iterable[ChunkShapes],
    chunks_across: int,
    *,
    most_corners: int | None = None,
    scale: int | None = None,
) -> Iterator[Shapes]:
    """Complete regions of a scene, one batch per row of chunks.

    Chunks come in row-major order. Regions come out in order of their last row, then of their first pixel:
    the order in which a stream can know them, and the same for any chunking.

    A region for which more than `most_corners` are held is cut at the seam below, and its parts come out as
    regions of their own; without the limit, what one region has is held until it ends. `scale` is the number
    of units per pixel of simplified chunks' points, None where borders are exact.
    """
    join, pending = RegionJoin(most_corners), PendingPaths()
    row: list[ChunkShapes] = []
    for chunk in chunks:
        row.append(chunk)
        if len(row) == chunks_across:
            yield _finish_row(row, join, pending, scale)
            row = []


def _finish_row(row: list[ChunkShapes], join: RegionJoin, pending: PendingPaths, scale: int | None) -> Shapes:
    joined = join.add_row([chunk.open_regions for chunk in row], [_corners(chunk) for chunk in row])
    edges = _edges(joined.cuts, scale or 1)
    pieces = [chunk.pieces if scale is None else _ending(chunk.pieces, edges) for chunk in row]
    complete = pending.add_row(joined, [*zip(pieces, joined.bases.tolist(), strict=True), (edges, 0)])
    crossing = assemble(complete, len(joined.finished))
    del complete  # for the largest region these are as many bytes as its rings
    regions = np.concatenate([joined.finished, *(chunk.regions for chunk in row)])
    order = np.lexsort((regions["first"], regions["row_end"]))
    rings = joined_rings([crossing, *(chunk.rings for chunk in row)])
    return Shapes(regions=regions, rings=rings, order=order, cut=_cut_regions(joined))


def _corners(chunk: ChunkShapes) -> NDArray[np.int64]:
    """Corners of the pieces of each open region."""
    counts = np.zeros(len(chunk.open_regions.regions), np.int64)
    np.add.at(counts, chunk.pieces.owner, np.diff(chunk.pieces.offsets))
    return counts


def _edges(cuts: Cuts, scale: int) -> Paths:
    """Arcs along the cuts, owned by their nodes, each with its pixels on the left."""
    count = len(cuts.node)
    start, end = np.where(cuts.above, cuts.begin, cuts.end), np.where(cuts.above, cuts.end, cuts.begin)
    points = np.stack((cuts.row, start, cuts.row, end), axis=1).reshape(-1, 2) * scale
    # of no other arc's direction, so that the corner at which a cut begins stays one: three polygons meet
    heading = np.where(cuts.above, EAST, WEST) + _ALONG_A_CUT
    return Paths(
        points=points.astype(np.int32),
        offsets=2 * np.arange(count + 1, dtype=np.int64),
        owner=cuts.node.astype(np.int32),
        first=heading.astype(np.int8),
        last=heading.astype(np.int8),
    )


def _ending(pieces: Paths, edges: Paths) -> Paths:
    """The pieces, with a vertex where a cut begins or ends at a border that passes straight.

    Simplified polygons are a coverage in which every vertex is one of all polygons that meet there.
    """
    if len(edges.owner) == 0 or len(pieces.owner) == 0:
        return pieces
    ends = pieces.points[pieces.offsets[1:] - 1]
    meets = np.isin(_keys(ends), _keys(edges.points)) & (pieces.first >= 0)
    return replace(pieces, last=np.where(meets, pieces.last | STAYS, pieces.last).astype(np.int8))


def _keys(points: NDArray[np.int32]) -> NDArray[np.int64]:
    return (points[:, 0].astype(np.int64) << 32) | points[:, 1]


def _cut_regions(joined: Joined) -> int:
    """Number of regions that were cut at the lower seam of this row."""
    return len(np.unique(joined.target[joined.cuts.node[joined.cuts.above]]))
