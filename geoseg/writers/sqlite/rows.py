"""An empty GeoPackage table filled with rows, and its R-tree with their boxes, without a single insert."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geoseg.errors import GeosegError, UsageError
from geoseg.writers.arrow import to_numpy
from geoseg.writers.layer import BOUNDS, GEOMETRY, Batches
from geoseg.writers.sqlite.pages import PageFile, TablePages, page_file, root_pages
from geoseg.writers.sqlite.record_format import Column, Records, records
from geoseg.writers.sqlite.rtree import ROOT, PackedTree

_HEADER = np.dtype([("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs", "<i4"), ("box", "<f8", 4)])
_WITH_BOX = 0b00000011  # little endian, with min x, max x, min y, max y (GeoPackage 1.3, 2.1.3)
_LARGEST = 1_000_000_000
"""Bytes of a row that SQLite reads unless it was built otherwise (SQLITE_MAX_LENGTH)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """Rows that were laid: their number, and the corners of the box around them."""

    count: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def quoted(name: str) -> str:
    """A name of a table or column as it stands in a statement."""
    return '"{}"'.format(name.replace('"', '""'))


def can_lay(schema: pa.Schema) -> bool:
    """Whether columns are of the kinds that are laid: integers, reals and texts."""
    kinds = pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string
    return all(any(is_kind(f.type) for is_kind in kinds) for f in schema if f.name != GEOMETRY)


def lay_rows(path: Path, table: str, tree: str, batches: Batches) -> Laid:
    """Number and extent of the rows laid into an empty table and its R-tree, in order, from 1 on.

    Parameters
    ----------
    path
        Database that nobody else has open.
    table, tree
        Names of a table whose columns are a number, the geometry and the batches' attributes in their order,
        and of the R-tree over it, both empty.
    batches
        Attributes, `GEOMETRY` and `BOUNDS`.

    Raises
    ------
    UsageError
        A geometry is larger than a row can be.
    """
    with closing(sqlite3.connect(path)) as connection:
        tables = _Tables.of(connection, table, tree)
    with page_file(path) as file:
        rows = _Rows(file, tables, table, tree)
        for batch in batches:
            rows.append(batch)
        root = rows.finish()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {quoted(tree + '_node')} SET data = ? WHERE nodeno = {ROOT}", (root,))  # noqa: S608
        if rows.count:
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, rows.count))
    return Laid(count=rows.count, low=rows.low, high=rows.high)


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
    def of(cls, connection: sqlite3.Connection, table: str, tree: str) -> _Tables:
        srs_id = _value(connection, "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = ?", table)
        node_size = _value(
            connection,
            f"SELECT length(data) FROM {quoted(tree + '_node')} WHERE nodeno = {ROOT}",  # noqa: S608
        )
        return cls(
            roots=root_pages(connection),
            columns=tuple(row[1] for row in connection.execute(f"PRAGMA table_info({quoted(table)})")),
            srs_id=srs_id,
            node_size=node_size,
        )


def _value(connection: sqlite3.Connection, query: str, *values: str) -> int:
    """Answer of a query; sqlite3.DatabaseError without one: GDAL keeps silent on a full disk."""
    row: tuple[int] | None = connection.execute(query, values).fetchone()
    if row is None:
        raise sqlite3.DatabaseError("GDAL's tables are not whole")
    return row[0]


class _Rows:
    """The layer's table and its spatial index, filled in one pass."""

    def __init__(self, file: PageFile, tables: _Tables, table: str, tree: str) -> None:
        self._columns, self._srs_id = tables.columns, tables.srs_id
        self._table = TablePages(file, tables.roots[table])
        self._tree_tables = [
            TablePages(file, tables.roots[f"{tree}_{part}"]) for part in ("rowid", "node", "parent")
        ]
        rowids, nodes, parents = self._tree_tables
        self._tree = PackedTree(rowids=rowids, nodes=nodes, parents=parents, node_size=tables.node_size)
        self.count = 0
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)

    def append(self, batch: pa.RecordBatch) -> None:
        """Rows of a batch, numbered on."""
        if not len(batch):
            return
        boxes = np.stack([to_numpy(batch[name]) for name in BOUNDS], axis=1)
        self.low = np.minimum(self.low, boxes[:, :2].min(axis=0))
        self.high = np.maximum(self.high, boxes[:, 2:].max(axis=0))
        keys = np.arange(self.count + 1, self.count + 1 + len(batch))
        made = self._records(batch, boxes)
        size = int(np.diff(made.offsets).max())
        if size > _LARGEST:
            raise UsageError(
                f"a geometry of {size:,} bytes does not fit into a GeoPackage",
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
        attributes = [name for name in batch.schema.names if name not in (GEOMETRY, *BOUNDS)]
        if self._columns[2:] != tuple(attributes):
            raise GeosegError(
                "a table of other columns", where=" ".join(self._columns), why=" ".join(attributes)
            )
        values = [Column.of_arrow(batch[name]) for name in (GEOMETRY, *attributes)]
        return records(
            [Column.of_nulls(len(batch)), *values], prefix=header.view(np.uint8).reshape(len(batch), -1)
        )

    def finish(self) -> bytes:
        """Root node of the index, which is still to be put in its place."""
        root = self._tree.finish()
        for table in (self._table, *self._tree_tables):
            table.finish()
        return root
