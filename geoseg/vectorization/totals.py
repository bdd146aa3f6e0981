"""Sums by class, taken while polygons stream by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from geoseg.geometry import HECTARE
from geoseg.outlines.lengths import doubled_areas
from geoseg.outlines.shapes import ChunkShapes
from geoseg.outlines.square import SquareCount, SquareTotal
from geoseg.outlines.stream import Shapes
from geoseg.vectorization.job import VectorizeJob
from geoseg.vectorization.result import ClassTotal
from geoseg.vectorization.table import PolygonTable


class Totals:
    """Running totals by class number."""

    def __init__(self, simplified: bool) -> None:
        self.drawn = np.zeros(256, np.int64) if simplified else None
        self.polygons = np.zeros(256, np.int64)
        self.pixels = np.zeros(256, np.int64)
        self.area = np.zeros(256, np.int64)
        self._squares = SquareCount()
        self._cut = 0

    def squares_of(self, chunks: Iterable[ChunkShapes]) -> Iterator[ChunkShapes]:
        """The chunks, with their squared outlines counted."""
        for chunk in chunks:
            self._squares.add(chunk.overlap)
            yield chunk

    def squared(self) -> SquareTotal | None:
        """What became of outlines that got right angles; None where there are none."""
        return self._squares.total

    def notes(self, job: VectorizeJob) -> list[str]:
        """What became of regions that were too large for one polygon."""
        if self._cut == 0:
            return []
        return [
            f"regions of more than {job.max_corners:,} corners were cut along rows of the map: "
            f"{self._cut} cuts (`max_corners`)"
        ]

    def add(self, shapes: Shapes) -> None:
        """Count complete regions."""
        self._cut += shapes.cut
        regions, ids = shapes.regions, shapes.regions["class_id"]
        self.polygons += np.bincount(ids, minlength=256)
        np.add.at(self.pixels, ids, regions["pixels"])
        np.add.at(self.area, ids, regions["area"])
        if self.drawn is not None:
            np.add.at(self.drawn, ids, doubled_areas(shapes.rings))

    def area_error(self, class_id: int, scale: int) -> float | None:
        """Share by which a class's polygons are larger than its pixels."""
        if self.drawn is None:
            return None
        return float(self.drawn[class_id]) / (2 * scale**2 * float(self.pixels[class_id])) - 1

    def by_class(self, table: PolygonTable) -> tuple[ClassTotal, ...]:
        """Totals of the classes that have polygons."""
        return tuple(
            ClassTotal(
                class_id=int(i),
                name=table.name_of(int(i)),
                polygons=int(self.polygons[i]),
                pixels=int(self.pixels[i]),
                hectares=float(self.area[i]) * table.area_unit / HECTARE,
                area_error=self.area_error(int(i), table.scale),
            )
            for i in np.flatnonzero(self.polygons)
        )
