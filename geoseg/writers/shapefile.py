"""ESRI Shapefile: UTF-8 code page, ESRI projection file, no nulls, and a new part before 2 GB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from geoseg.errors import InputError, UsageError
from geoseg.writers.layer import GEOMETRY, Batches, Layer
from geoseg.writers.ogr import check_values, write_ogr

PART_BYTES = 2**31 - 2**24
"""Size at which .shp or .dbf starts a new part; readers use signed 32-bit offsets."""

_TEXT_BYTES = 254
_NAME_LENGTH = 10
_COMPANIONS = (".shx", ".dbf", ".prj", ".cpg")
_MISSING = -1
_OTHER_FORMAT = "another format: .gpkg .fgb .parquet .geojson"
_NUMBER_WIDTH = 24


def write_shapefile(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """Shapefile, or several named ``NAME_2.shp`` and so on where one would pass 2 GB.

    The format knows no nulls: a missing number is -1.

    Raises
    ------
    UsageError
        A field whose name has more than 10 characters.
    InputError
        A text of more than 254 bytes.
    """
    if long := [name for name in layer.attributes if len(name) > _NAME_LENGTH]:
        raise UsageError(
            f"field name {long[0]!r} has more than {_NAME_LENGTH} characters",
            why="a Shapefile cannot hold it",
            hint=_OTHER_FORMAT,
        )
    written: list[Path] = []
    parts = _Parts(batches)
    number = 0
    while parts.has_more():
        number += 1
        # GDAL knows the driver's suffix in small letters only
        part = path.with_name(f"{path.stem}.shp" if number == 1 else f"{path.stem}_{number}.shp")
        values = write_ogr(
            part,
            parts.take_part(),
            layer,
            driver="ESRI Shapefile",
            layer_options={"ENCODING": "UTF-8", "2GB_LIMIT": "YES", "SPATIAL_INDEX": "NO"},
        )
        check_values(part, values)
        files = [part.with_suffix(suffix) for suffix in _COMPANIONS]
        written = [*(f for f in files if f.exists()), part.rename(part.with_suffix(path.suffix)), *written]
    return written


class _Parts:
    """A stream of batches cut into parts that fit the format; the first part exists even when empty."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = None
        self._begun = False
        self._ended = False

    def has_more(self) -> bool:
        """Whether another part is to be written."""
        return not self._begun or not self._ended

    def take_part(self) -> Iterator[pa.RecordBatch]:
        """Batches of the next part."""
        self._begun = True
        shapes = records = 0
        while True:
            batch = self._held if self._held is not None else next(self._batches, None)
            self._held = None
            if batch is None:
                self._ended = True
                return
            shape_bytes, record_bytes = _sizes(batch)
            if shapes and max(shapes + shape_bytes, records + record_bytes) > PART_BYTES:
                self._held = batch
                return
            shapes, records = shapes + shape_bytes, records + record_bytes
            yield _without_nulls(batch)


def _sizes(batch: pa.RecordBatch) -> tuple[int, int]:
    """Upper bounds of what a batch adds to .shp and .dbf."""
    geometry = pc.sum(pc.binary_length(batch[GEOMETRY])).as_py() or 0
    text = sum(
        (pc.max(pc.binary_length(column)).as_py() or 0) if pa.types.is_string(column.type) else _NUMBER_WIDTH
        for column in batch.columns
    )
    return geometry + 60 * len(batch), (text + 81) * len(batch)


def _without_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > _TEXT_BYTES:
            raise InputError(
                f"a text of field {name} has more than {_TEXT_BYTES} bytes",
                why="a Shapefile cannot hold it",
                hint=_OTHER_FORMAT,
            )
        is_number = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
        columns.append(pc.fill_null(column, _MISSING) if is_number and column.null_count else column)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
