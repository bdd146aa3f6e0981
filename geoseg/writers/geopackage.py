"""GeoPackage: GDAL makes the file with all its tables, and the polygons are laid into it as pages.

An insert through GDAL or SQLite costs more than tracing the polygon. Its rows come in order and its boxes are
known, so nothing of what an insert does is needed: see docs/adr/0008-polygons-are-laid-as-pages.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geoseg.errors import GeosegError, ResourceError, UsageError
from geoseg.writers.formats import BOUNDS, GEOMETRY, Batches, Layer
from geoseg.writers.ogr import description, write_ogr
from geoseg.writers.sqlite.pages import PageFile, TablePages, page_file, root_pages
from geoseg.writers.sqlite.record_format import Column, Records, records
from geoseg.writers.sqlite.rtree import ROOT, PackedTree

_GEOMETRY = "geom"
_HEADER = np.dtype([("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs", "<i4"), ("box", "<f8", 4)])
_WITH_BOX = 0b00000011  # little endian, with min x, max x, min y, max y (GeoPackage 1.4, 2.1.3)
_ROWS = 1 << 16
_LARGEST = 1_000_000_000
"""Bytes of a row that SQLite reads unless it was built otherwise (SQLITE_MAX_LENGTH)."""

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""


def write_geopackage(path: Path, batches: Batches, layer: Layer) -> list[tuple[Path, str]]:
    """GeoPackage 1.4 with a spatial index, its style for QGIS, and where the numbers come from."""
    write_ogr(
        path,
        iter(()),
        layer,
        driver="GPKG",
        layer_options={
            "SPATIAL_INDEX": "YES",
            "GEOMETRY_NAME": _GEOMETRY,
            "FID": "fid",
            **description(layer),
        },
        layer_metadata=dict(layer.metadata),
    )
    names = _Names(layer.name)
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = _Tables.of(connection, names)
        with page_file(path) as file:
            rows = _Rows(file, tables, names, layer)
            for batch in batches:
                rows.append(batch)
            root = rows.finish()
        with closing(sqlite3.connect(path)) as connection, connection:
            _register(connection, names, rows, root)
            _add_style(connection, layer)
            if layer.neighbours is not None:
                _add_neighbours(connection, layer.neighbours())
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ResourceError(
            "cannot be written", where=path.name, why=why, hint="check the free disk space"
        ) from None
    return [(path, path.name)]


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the tables that hold a layer."""

    layer: str

    @property
    def tree(self) -> str:
        return f"rtree_{self.layer}_{_GEOMETRY}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """What the empty file says about its tables.

    Attributes
    ----------
    roots
        Root page by table.
    columns
        Of the layer's table.
    srs_id
        Number of the CRS within the file.
    node_size
        Bytes of a node of the spatial index.
    """

    roots: dict[str, int]
    columns: tuple[str, ...]
    srs_id: int
    node_size: int

    @classmethod
    def of(cls, connection: sqlite3.Connection, names: _Names) -> _Tables:
        srs_id = _value(connection, "SELECT srs_id FROM gpkg_geometry_columns")
        node_size = _value(
            connection,
            f'SELECT length(data) FROM "{names.tree}_node" WHERE nodeno = {ROOT}',  # noqa: S608
        )
        return cls(
            roots=root_pages(connection),
            columns=tuple(row[1] for row in connection.execute(f'PRAGMA table_info("{names.layer}")')),
            srs_id=srs_id,
            node_size=node_size,
        )


def _value(connection: sqlite3.Connection, query: str) -> int:
    """Answer of a query; sqlite3.DatabaseError without one: GDAL keeps silent on a full disk."""
    row: tuple[int] | None = connection.execute(query).fetchone()
    if row is None:
        raise sqlite3.DatabaseError("GDAL's tables are not whole")
    return row[0]


class _Rows:
    """The layer's table and its spatial index, filled in one pass."""

    def __init__(self, file: PageFile, tables: _Tables, names: _Names, layer: Layer) -> None:
        attributes = [n for n in layer.schema.names if n not in BOUNDS and n != GEOMETRY]
        if tables.columns != ("fid", _GEOMETRY, *attributes):
            raise GeosegError("GDAL made other columns", where=layer.name, why=" ".join(tables.columns))
        self._attributes, self._srs_id = attributes, tables.srs_id
        self._table = TablePages(file, tables.roots[names.layer])
        self._tree_tables = [
            TablePages(file, tables.roots[f"{names.tree}_{part}"]) for part in ("rowid", "node", "parent")
        ]
        rowids, nodes, parents = self._tree_tables
        self._tree = PackedTree(rowids=rowids, nodes=nodes, parents=parents, node_size=tables.node_size)
        self.count = 0
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)

    def append(self, batch: pa.RecordBatch) -> None:
        """Rows of a batch, numbered on."""
        if not len(batch):
            return
        boxes = np.stack([batch[name].to_numpy() for name in BOUNDS], axis=1)
        self.low = np.minimum(self.low, boxes[:, :2].min(axis=0))
        self.high = np.maximum(self.high, boxes[:, 2:].max(axis=0))
        keys = np.arange(self.count + 1, self.count + 1 + len(batch))
        made = self._records(batch, boxes)
        size = int(np.diff(made.offsets).max())
        if size > _LARGEST:
            raise UsageError(
                f"a polygon of {size:,} bytes does not fit into a GeoPackage",
                why=f"a row holds {_LARGEST:,}, some {_LARGEST // 16:,} corners",
                hint="a smaller `max_corners`, or .parquet",
            )
        self._table.append(keys, made)
        self._tree.add(boxes)
        self.count += len(batch)

    def _records(self, batch: pa.RecordBatch, boxes: NDArray[np.float64]) -> Records:
        header = np.zeros(len(batch), _HEADER)
        header["magic"], header["flags"], header["srs"] = b"GP", _WITH_BOX, self._srs_id
        header["box"] = boxes[:, [0, 2, 1, 3]]
        values = [Column.of_arrow(batch[name]) for name in (GEOMETRY, *self._attributes)]
        return records(
            [Column.of_nulls(len(batch)), *values], prefix=header.view(np.uint8).reshape(len(batch), -1)
        )

    def finish(self) -> bytes:
        """Root node of the index, which is still to be put in its place."""
        root = self._tree.finish()
        for table in (self._table, *self._tree_tables):
            table.finish()
        return root


def _register(connection: sqlite3.Connection, names: _Names, rows: _Rows, root: bytes) -> None:
    """What inserts would have kept up: extent, counts, the last number given, the index's root."""
    connection.execute(f'UPDATE "{names.tree}_node" SET data = ? WHERE nodeno = {ROOT}', (root,))  # noqa: S608
    if not rows.count:
        return
    connection.execute(
        "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
        (*rows.low.tolist(), *rows.high.tolist(), names.layer),
    )
    connection.execute(
        "UPDATE gpkg_ogr_contents SET feature_count = ? WHERE table_name = ?", (rows.count, names.layer)
    )
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (names.layer, rows.count))


def _add_style(connection: sqlite3.Connection, layer: Layer) -> None:
    """Row of `layer_styles`, the table that QGIS reads a default style from."""
    connection.execute(_STYLES)
    connection.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
        "styleName, styleQML, useAsDefault, description) VALUES ('', '', ?, 'geom', ?, ?, 1, ?)",
        (layer.name, layer.name[:30], layer.style(), "Class colours"),
    )
    _add_contents(connection, "layer_styles", "Styles for QGIS")


def _add_neighbours(connection: sqlite3.Connection, table: pa.Table) -> None:
    """Table `neighbours` with the numbers of two polygons, as in region_id, and their common border."""
    connection.execute(
        "CREATE TABLE neighbours (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
        "id_a INTEGER NOT NULL, id_b INTEGER NOT NULL, border_m REAL NOT NULL)"
    )
    for batch in table.to_batches(max_chunksize=_ROWS):
        columns: Sequence[list[object]] = [column.to_pylist() for column in batch.columns]
        connection.executemany(
            "INSERT INTO neighbours (id_a, id_b, border_m) VALUES (?, ?, ?)", zip(*columns, strict=True)
        )
    _add_contents(connection, "neighbours", "Polygons with a common border, by region_id")


def _add_contents(connection: sqlite3.Connection, table: str, description: str) -> None:
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
        "VALUES (?, 'attributes', ?, ?, 0)",
        (table, table, description),
    )
