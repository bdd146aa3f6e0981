"""Objects as rows of a vector layer: traced from their raster, each with all its parts."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from affine import Affine
from numpy.typing import NDArray

from geoseg.engines.pixels import PROBABILITY_SCALE
from geoseg.execution import Where, run_chunks
from geoseg.execution.where import available_cores
from geoseg.geometry import Grid, Window
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.legend import Legend
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.shapes import ChunkShapes, shapes_of
from geoseg.outlines.square import SquareCount
from geoseg.outlines.stream import Shapes, stream_shapes
from geoseg.outlines.wkb import WKB_LITTLE_ENDIAN, WKB_MULTIPOLYGON, encode
from geoseg.raster.opening import open_scene
from geoseg.writers.layer import BOUNDS, GEOMETRY

COLUMNS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("class", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("area_m2", pa.float64(), nullable=False),
        pa.field("pixels", pa.int64(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("col", pa.int64(), nullable=False),
        pa.field("at_edge", pa.int32(), nullable=False),
        pa.field(GEOMETRY, pa.large_binary(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in BOUNDS),
    ]
)
"""Every name has at most 10 characters, as a Shapefile needs."""

_HEADER = struct.calcsize("<BII")  # of a MultiPolygon, before its polygons
_BATCH = 1 << 16
_DECIMALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutlines:
    """Outlines in the chunks of a raster of objects; it holds no open file and can be pickled."""

    raster: Path
    grid: Grid
    unit: float
    generalization: Generalization | None = None

    def shapes(self, window: Window) -> ChunkShapes:
        """Outlines of what lies in a window: 4-connected parts of objects."""
        inner = window.grow(1).clip(*self.grid.shape)
        (ids,), _ = open_scene(self.raster, categorical=True).read(inner)
        around = np.zeros((window.height + 2, window.width + 2), np.uint32)
        around[inner.slices_in(window.grow(1))] = ids
        return shapes_of(
            around,
            row=window.row,
            col=window.col,
            scene_width=self.grid.width,
            areas=integer_areas(self.grid, window, self.unit),
            generalization=self.generalization,
            nodata=0,
        )


@dataclass(slots=True)
class _Parts:
    """What is known of an object that is not there in full yet."""

    pixels: int = 0
    area: int = 0
    polygons: list[bytes] = field(default_factory=list)
    bounds: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ObjectRows:
    """Turns outlines into rows, one for each object, as soon as all of its pixels have come.

    Attributes
    ----------
    table
        OBJECT array of all objects, in order of id.
    generalization
        How outlines are drawn; None along the edges of pixels.
    squares
        Counts the outlines that got right angles.
    """

    raster: Path
    grid: Grid
    legend: Legend
    table: NDArray[np.void]
    generalization: Generalization | None = None
    squares: SquareCount = field(default_factory=SquareCount)

    def batches(self, chunk: tuple[int, int], where: Where) -> Iterator[pa.RecordBatch]:
        """Rows of all objects, in order of last row, then of id; `chunk` is one task's rows and columns."""
        how = self.generalization
        height, width = chunk if how is None else how.chunk_shape(*chunk)
        unit, across = area_unit(self.grid), -(-self.grid.width // width)
        task = ObjectOutlines(raster=self.raster, grid=self.grid, unit=unit, generalization=how).shapes
        windows = list(self.grid.window.blocks(height, width))
        outcomes = run_chunks(task, windows, where, concurrency=available_cores(), ordered=True)
        waiting: dict[int, _Parts] = {}
        chunks = self._counted(outcome.result() for outcome in outcomes)
        for shapes in stream_shapes(chunks, across, scale=None if how is None else how.scale):
            for begin in range(0, len(shapes.regions), _BATCH):
                yield self._rows(shapes, begin, unit, waiting)

    def _counted(self, chunks: Iterable[ChunkShapes]) -> Iterator[ChunkShapes]:
        for chunk in chunks:
            self.squares.add(chunk.overlap)
            yield chunk

    def _rows(self, shapes: Shapes, begin: int, unit: float, waiting: dict[int, _Parts]) -> pa.RecordBatch:
        regions, rings = shapes.part(begin, begin + _BATCH)
        t, scale = self.grid.transform, 1 if self.generalization is None else self.generalization.scale
        to_map = t * Affine.scale(1 / scale)
        encoded = encode(rings.points, rings, transform=to_map, reverse=t.a * t.e > 0)
        ids, area = regions["class_id"].astype(np.int64), regions["area"].copy()
        done = regions["pixels"] == self.table["pixels"][ids - 1]
        geometry, bounds = encoded.wkb.tobytes(), encoded.bounds.copy()
        shaped: dict[int, bytes] = {}
        for k in np.flatnonzero(~done).tolist():
            parts = waiting.setdefault(int(ids[k]), _Parts())
            parts.pixels += int(regions["pixels"][k])
            parts.area += int(area[k])
            parts.polygons.append(geometry[encoded.offsets[k] + _HEADER : encoded.offsets[k + 1]])
            parts.bounds.append(encoded.bounds[k])
            if parts.pixels == self.table["pixels"][ids[k] - 1]:
                done[k], area[k] = True, parts.area
                header = struct.pack("<BII", WKB_LITTLE_ENDIAN, WKB_MULTIPOLYGON, len(parts.polygons))
                shaped[k] = b"".join((header, *parts.polygons))
                low, high = np.min(parts.bounds, axis=0), np.max(parts.bounds, axis=0)
                bounds[k] = [*low[:2], *high[2:]]
                del waiting[int(ids[k])]
        chosen = np.flatnonzero(done)
        if len(chosen) == len(done) and not shaped:
            buffers = [None, pa.py_buffer(encoded.offsets), pa.py_buffer(encoded.wkb)]
            column = pa.Array.from_buffers(pa.large_binary(), len(ids), buffers)
        else:
            offsets = encoded.offsets.tolist()
            whole = (shaped.get(k, geometry[offsets[k] : offsets[k + 1]]) for k in chosen.tolist())
            column = pa.array(list(whole), pa.large_binary())
        return self._batch(ids[chosen], area[chosen] * unit, column, bounds[chosen])

    def _batch(
        self,
        ids: NDArray[np.int64],
        area: NDArray[np.float64],
        geometry: pa.Array,
        bounds: NDArray[np.float64],
    ) -> pa.RecordBatch:
        found = self.table[ids - 1]
        row, col = np.divmod(found["first"], self.grid.width)
        names = np.array([self.legend.name(k) for k in range(256)], object)
        values: dict[str, Any] = {
            "id": ids,
            "class_id": found["class_id"].astype(np.int32),
            "class": names[found["class_id"]],
            "score": np.round(found["score"] * (100 / PROBABILITY_SCALE), _DECIMALS),
            "area_m2": np.round(area, 4),
            "pixels": np.ascontiguousarray(found["pixels"]),
            "row": row,
            "col": col,
            "at_edge": found["at_edge"].astype(np.int32),
            GEOMETRY: geometry,
            **{name: np.ascontiguousarray(bounds[:, k]) for k, name in enumerate(BOUNDS)},
        }
        return pa.RecordBatch.from_arrays(
            [pa.array(values[f.name]).cast(f.type) for f in COLUMNS], schema=COLUMNS
        )
