"""GeoPackage: an empty file with all its tables is made, and the rows are laid into it as pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from geoseg.errors import ResourceError
from geoseg.files import refuse_locked
from geoseg.writers.empty_geopackage import FID, GEOM, can_make, make_empty
from geoseg.writers.layer import Batches, Layer, SideTable
from geoseg.writers.ogr import description, write_ogr
from geoseg.writers.sqlite.rows import Laid, can_lay, lay_rows, quoted

_ROWS = 1 << 16
_VERSION = "1.3"
"""GDAL writes 1.4 by default, of which GDAL 3.6 and QGIS 3.22 warn; nothing here needs it."""

_STYLES = """
CREATE TABLE IF NOT EXISTS layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
# what names a layer in its own tables, and in those that only extensions bring
_MENTIONS = {
    "gpkg_extensions": "table_name",
    "gpkg_geometry_columns": "table_name",
    "gpkg_metadata_reference": "table_name",
    "gpkg_ogr_contents": "table_name",
    "gpkg_data_columns": "table_name",
    "gpkgext_relations": "base_table_name",
    "layer_styles": "f_table_name",
    "gpkg_contents": "table_name",
}


def write_geopackage(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """GeoPackage 1.3 with a spatial index, its style for QGIS, and where the numbers come from.

    A file that is there already is added to (see `keep_other_layers`).
    """
    is_laid = can_lay(layer.schema) and not layer.has_nulls
    try:
        if is_laid and not path.exists() and can_make(layer):
            make_empty(path, layer)
        else:
            _write_by_gdal(path, iter(()) if is_laid else batches, layer)
        laid = lay_rows(path, layer.name, f"rtree_{layer.name}_{GEOM}", batches) if is_laid else None
        with closing(sqlite3.connect(path)) as connection, connection:
            if laid is not None and laid.count:
                _register(connection, layer.name, laid)
            if layer.style is not None:
                _add_style(connection, layer.name, layer.style())
            for name, table in layer.made_tables.items():
                _add_table(connection, layer.name, name, table)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ResourceError(
            "cannot be written", where=path.name, why=why, hint="check the free disk space"
        ) from None
    return [path]


def _write_by_gdal(path: Path, rows: Batches, layer: Layer) -> None:
    write_ogr(
        path,
        rows,
        layer,
        driver="GPKG",
        dataset_options={"VERSION": _VERSION},
        layer_options={"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": GEOM, "FID": FID, **description(layer)},
        layer_metadata=dict(layer.metadata),
    )


def keep_other_layers(old: Path, new: Path, layer: str) -> None:
    """Put all of an older GeoPackage but this layer, its style and its tables into a new file.

    A file without other layers, or that is no GeoPackage at all, leaves nothing.

    Raises
    ------
    InputError
        Another program holds the file.
    """
    try:
        with closing(sqlite3.connect(f"{old.absolute().as_uri()}?mode=ro", uri=True)) as source:
            if not _others(source, layer):
                return
            with closing(sqlite3.connect(new)) as connection:
                source.backup(connection)
    except sqlite3.OperationalError as error:
        refuse_locked(error, old)
        raise
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        with connection:
            _remove(connection, layer)
        # pages are laid at the end of a file; those that the older layer had would stay empty for ever
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")


def _others(connection: sqlite3.Connection, layer: str) -> bool:
    """Whether a GeoPackage holds more than a layer with its tables; False for any other file."""
    try:
        tables = connection.execute(
            "SELECT table_name FROM gpkg_contents WHERE table_name != ? COLLATE NOCASE", (layer,)
        ).fetchall()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        return False
    own = {"layer_styles", *_own_tables(connection, layer)}
    return any(name not in own for (name,) in tables)


def _own_tables(connection: sqlite3.Connection, layer: str) -> list[str]:
    """Side tables of a layer, by what their descriptions end with."""
    rows = connection.execute(
        "SELECT table_name, description FROM gpkg_contents WHERE data_type = 'attributes'"
    )
    return [name for name, text in rows if str(text).casefold().endswith(_of(layer).casefold())]


def _of(layer: str) -> str:
    return f" (of {layer})"


def _remove(connection: sqlite3.Connection, layer: str) -> None:
    """Take a layer, its index, its style and its tables out."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    gone = [name for name in there if name.casefold() == layer.casefold()]
    tables = [*_own_tables(connection, layer), *gone]
    for name in gone:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(f'rtree_{name}_{_geometry_of(connection, name)}')}")
    for name in tables:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        for mentions, column in _MENTIONS.items():
            if mentions in there:
                connection.execute(f'DELETE FROM "{mentions}" WHERE {column} = ? COLLATE NOCASE', (name,))  # noqa: S608


def _geometry_of(connection: sqlite3.Connection, table: str) -> str:
    row = connection.execute(
        "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (table,)
    ).fetchone()
    return GEOM if row is None else str(row[0])


def _register(connection: sqlite3.Connection, layer: str, laid: Laid) -> None:
    """What inserts would have kept up: extent and count."""
    connection.execute(
        "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
        (*laid.low.tolist(), *laid.high.tolist(), layer),
    )
    connection.execute(
        "UPDATE gpkg_ogr_contents SET feature_count = ? WHERE table_name = ?", (laid.count, layer)
    )


def _add_style(connection: sqlite3.Connection, layer: str, qml: str) -> None:
    """Row of `layer_styles`, the table that QGIS reads a default style from."""
    connection.execute(_STYLES)
    connection.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
        "styleName, styleQML, useAsDefault, description) VALUES ('', '', ?, ?, ?, ?, 1, ?)",
        (layer, GEOM, layer[:30], qml, "Class colours"),
    )
    _add_contents(connection, "layer_styles", "Styles for QGIS")


def _add_table(connection: sqlite3.Connection, layer: str, name: str, table: SideTable) -> None:
    """A side table; its name has the layer's in front where another layer's table has it already."""
    taken = {
        n.casefold() for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    }
    name = f"{layer}_{name}" if name.casefold() in taken else name
    rows = table.rows()
    columns = ", ".join(f'"{f.name}" {_type(f)}' for f in rows.schema)
    key = "fid" if any(n.casefold() == "id" for n in rows.column_names) else "id"
    connection.execute(f'CREATE TABLE "{name}" ({key} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, {columns})')
    names = ", ".join(f'"{n}"' for n in rows.column_names)
    insert = f'INSERT INTO "{name}" ({names}) VALUES ({", ".join("?" * rows.num_columns)})'  # noqa: S608
    for batch in rows.to_batches(max_chunksize=_ROWS):
        values: Sequence[list[object]] = [column.to_pylist() for column in batch.columns]
        connection.executemany(insert, zip(*values, strict=True))
    _add_contents(connection, name, table.description + _of(layer))


def _type(field: pa.Field) -> str:
    kind = "REAL" if pa.types.is_floating(field.type) else "TEXT"
    kind = "INTEGER" if pa.types.is_integer(field.type) else kind
    return kind if field.nullable else f"{kind} NOT NULL"


def _add_contents(connection: sqlite3.Connection, table: str, description: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
        "VALUES (?, 'attributes', ?, ?, 0)",
        (table, table, description),
    )
