"""Polygons of what changed: one for every 4-connected area of one transition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.where import available_cores
from geoseg.geometry import HECTARE, Grid, Window, decimals
from geoseg.geometry.integer_areas import integer_areas
from geoseg.legend import NODATA
from geoseg.outlines.lengths import EdgeLengths
from geoseg.outlines.shapes import ChunkShapes, shapes_of
from geoseg.outlines.stream import Shapes, stream_shapes
from geoseg.outlines.wkb import encode
from geoseg.raster.opening import open_scene
from geoseg.raster.pairs import PairCodes
from geoseg.raster.style import vector_qml
from geoseg.version import __version__
from geoseg.writers.formats import format_of
from geoseg.writers.layer import BOUNDS, GEOMETRY, Layer

_MOST_CORNERS = 2_000_000
_BATCH = 1 << 16
_COLUMNS = pa.schema(
    [
        pa.field("code", pa.int32(), nullable=False),
        pa.field("from_class", pa.string(), nullable=False),
        pa.field("to_class", pa.string(), nullable=False),
        pa.field("date_from", pa.string()),
        pa.field("date_to", pa.string()),
        pa.field("area_ha", pa.float64(), nullable=False),
        pa.field("perim_m", pa.float64(), nullable=False),
        pa.field("n_pix", pa.int64(), nullable=False),
        pa.field(GEOMETRY, pa.large_binary(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in BOUNDS),
    ]
)


def require_format(path: Path, grid: Grid) -> None:
    """UsageError for a format that cannot hold polygons in the map's own CRS."""
    if format_of(path).is_lonlat and grid.crs.to_epsg() != 4326:
        raise UsageError(
            f"{path.suffix} is always in longitude and latitude on WGS 84",
            where=path,
            why=f"polygons of change are in the CRS of the maps, {grid.crs.name}",
            hint="`polygons` with .gpkg, .shp, .fgb or .parquet; or polygons of change.tif from vectorize",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePolygons:
    """Polygons of the changes in a from-to raster.

    Attributes
    ----------
    raster
        The raster.
    grid, unit
        Where its pixels lie, and square metres of a unit of area.
    codes
        Meaning of its values.
    changed
        Codes of changes that occur; at most 254.
    dates
        (before, after) as texts; None where one is not known.
    """

    raster: Path
    grid: Grid
    unit: float
    codes: PairCodes
    changed: tuple[int, ...]
    dates: tuple[str | None, str | None]

    def __post_init__(self) -> None:
        if len(self.changed) > NODATA - 1:
            raise UsageError(
                f"{len(self.changed)} kinds of change are too many for polygons",
                why=f"at most {NODATA - 1}",
                hint="merge classes with `crosswalk`",
            )

    def layer(self, crs_wkt: str) -> Layer:
        """What the writer is told."""
        shown = self.codes.classes(self.changed)
        return Layer(
            name="change",
            crs_wkt=crs_wkt,
            schema=_COLUMNS,
            detail=max(self.grid.ground_size),
            style=lambda: vector_qml(shown, "code"),
            metadata={
                "description": "Areas that changed from one class to another, 4-connected. "
                "area_ha and perim_m are geodesic.",
                "software": f"geoseg {__version__}",
            },
        )

    def batches(self, windows: list[Window], where: Where) -> Iterator[pa.RecordBatch]:
        """Rows of all polygons; `windows` cover the raster in row-major order."""
        across = sum(window.row == windows[0].row for window in windows)
        lengths = EdgeLengths.of(self.grid)
        for shapes in stream_shapes(self._chunks(windows, where), across, most_corners=_MOST_CORNERS):
            for begin in range(0, len(shapes.regions), _BATCH):
                yield self._rows(shapes, begin, lengths)

    def shapes(self, window: Window) -> ChunkShapes:
        """Outlines of a window's areas."""
        return shapes_of(
            self._ranks(window),
            row=window.row,
            col=window.col,
            scene_width=self.grid.width,
            areas=integer_areas(self.grid, window, self.unit),
        )

    def _chunks(self, windows: list[Window], where: Where) -> Iterator[ChunkShapes]:
        for outcome in run_chunks(self.shapes, windows, where, concurrency=available_cores(), ordered=True):
            yield outcome.result()

    def _ranks(self, window: Window) -> NDArray[np.uint8]:
        """(h + 2, w + 2) uint8: position of the pixel's code among the changed ones, 255 elsewhere."""
        inner = window.grow(1).clip(*self.grid.shape)
        (codes,), _ = open_scene(self.raster, categorical=True).read(inner)
        table = np.full(int(np.iinfo(codes.dtype).max) + 1, NODATA, np.uint8)
        table[list(self.changed)] = np.arange(len(self.changed))
        around = np.full((window.height + 2, window.width + 2), NODATA, np.uint8)
        around[inner.slices_in(window.grow(1))] = table[codes]
        return around

    def _rows(self, shapes: Shapes, begin: int, lengths: EdgeLengths) -> pa.RecordBatch:
        regions, rings = shapes.part(begin, begin + _BATCH)
        t, (of_area, of_length) = self.grid.transform, decimals(self.grid)
        encoded = encode(rings.points, rings, transform=t, reverse=t.a * t.e > 0)
        codes = np.array(self.changed, np.int32)[regions["class_id"]]
        pairs = self.codes.pairs
        names = self.codes.legend.names
        buffers = [None, pa.py_buffer(encoded.offsets), pa.py_buffer(encoded.wkb)]
        values: Mapping[str, object] = {
            "code": codes,
            "from_class": [names[pairs[code][0]] for code in codes.tolist()],
            "to_class": [names[pairs[code][1]] for code in codes.tolist()],
            "date_from": [self.dates[0]] * len(codes),
            "date_to": [self.dates[1]] * len(codes),
            "area_ha": np.round(regions["area"] * (self.unit / HECTARE), of_area),
            "perim_m": lengths.perimeters(rings).round(of_length),
            "n_pix": np.ascontiguousarray(regions["pixels"]),
            GEOMETRY: pa.Array.from_buffers(pa.large_binary(), len(encoded.offsets) - 1, buffers),
            **{name: np.ascontiguousarray(encoded.bounds[:, i]) for i, name in enumerate(BOUNDS)},
        }
        return pa.RecordBatch.from_arrays(
            [pa.array(values[f.name]).cast(f.type) for f in _COLUMNS], schema=_COLUMNS
        )
