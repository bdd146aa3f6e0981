"""What a writer is handed: a layer in words, its rows as Arrow batches, and the tables beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import shapely

GeometryType = Literal[
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "Unknown"
]

GEOMETRY = "geometry"
"""Name of the column that holds well-known binary."""

BOUNDS = ("xmin", "ymin", "xmax", "ymax")
"""Columns of a batch that hold each geometry's bounding box; not an attribute of the output."""

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTable:
    """A table without geometries that goes with a layer.

    Attributes
    ----------
    description
        What its rows are.
    rows
        The table, asked for when all batches are written.
    """

    description: str
    rows: Callable[[], pa.Table]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What every writer needs to know beside the batches.

    Attributes
    ----------
    name
        Layer name.
    crs_wkt
        CRS of the coordinates, as WKT.
    schema
        Columns of the batches: attributes, `GEOMETRY`, and `BOUNDS` where the caller knows them.
    geometry_type
        Of every geometry; ``Unknown`` where there are several.
    has_nulls
        Whether some geometries are null: GDAL then writes the rows.
    metadata
        Facts about the data, as texts; ``description`` says what the layer is.
    style
        QML text, asked for when all batches are written; None where there is none.
    detail
        Metres on the ground of the finest detail worth drawing; 0 where it is not known.
    tables
        Side tables by name. None stands for one that is not made: an older one goes with an older layer.
    """

    name: str
    crs_wkt: str
    schema: pa.Schema
    geometry_type: GeometryType = "MultiPolygon"
    has_nulls: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    style: Callable[[], str] | None = None
    detail: float = 0.0
    tables: Mapping[str, SideTable | None] = field(default_factory=dict)

    @property
    def attributes(self) -> list[str]:
        """Names of the columns that are neither geometry nor bounding box."""
        return [name for name in self.schema.names if name not in (GEOMETRY, *BOUNDS)]

    @property
    def made_tables(self) -> dict[str, SideTable]:
        """The side tables that are made."""
        return {name: table for name, table in self.tables.items() if table is not None}


def without(batch: pa.RecordBatch, names: Iterable[str]) -> pa.RecordBatch:
    """Record batch without these columns."""
    return batch.select([name for name in batch.schema.names if name not in names])


def bounded(batches: Iterable[pa.RecordBatch]) -> Batches:
    """Batches with `BOUNDS`, which are computed where they are missing."""
    for batch in batches:
        if BOUNDS[0] in batch.schema.names:
            yield batch
            continue
        boxes = shapely.bounds(shapely.from_wkb(batch[GEOMETRY].to_numpy(zero_copy_only=False)))
        boxed = [pa.array(np.ascontiguousarray(boxes[:, i])) for i in range(len(BOUNDS))]
        fields = [pa.field(name, pa.float64(), nullable=False) for name in BOUNDS]
        yield pa.RecordBatch.from_arrays([*batch.columns, *boxed], schema=pa.schema([*batch.schema, *fields]))
