"""A new GeoPackage with the tables of one empty layer: those that GDAL makes, where it need not be asked.

The GDAL that writes vectors is pyogrio's, which loads geopandas and pandas, longer than a small map takes.
Tables are those of OGC 12-128r17 (GeoPackage 1.3), and GDAL's count of features.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
from pyproj import CRS
from pyproj.exceptions import CRSError

from geoseg.writers.layer import BOUNDS, GEOMETRY, Layer
from geoseg.writers.sqlite.rows import quoted

FID, GEOM = "fid", "geom"
_GDAL = "http://gdal.org"
_RTREE = "http://www.geopackage.org/spec120/#extension_rtree"
_METADATA = "http://www.geopackage.org/spec120/#extension_metadata"
_WGS84 = 4326

_FILE = """
PRAGMA page_size = 4096; PRAGMA application_id = 0x47504B47; PRAGMA user_version = 10300;
PRAGMA synchronous = OFF; BEGIN;
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL,srs_id INTEGER NOT NULL PRIMARY KEY,\
organization TEXT NOT NULL,organization_coordsys_id INTEGER NOT NULL,definition  TEXT NOT NULL,\
description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY,data_type TEXT NOT NULL,\
identifier TEXT UNIQUE,description TEXT DEFAULT '',\
last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),\
min_x DOUBLE, min_y DOUBLE,max_x DOUBLE, max_y DOUBLE,srs_id INTEGER,\
CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_ogr_contents(table_name TEXT NOT NULL PRIMARY KEY,feature_count INTEGER DEFAULT NULL);
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL,column_name TEXT NOT NULL,\
geometry_type_name TEXT NOT NULL,srs_id INTEGER NOT NULL,z TINYINT NOT NULL,m TINYINT NOT NULL,\
CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),\
CONSTRAINT uk_gc_table_name UNIQUE (table_name),\
CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),\
CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id));
CREATE TABLE gpkg_extensions (table_name TEXT,column_name TEXT,extension_name TEXT NOT NULL,\
definition TEXT NOT NULL,scope TEXT NOT NULL,\
CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
"""
_METADATA_TABLES = """
CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,\
md_scope TEXT NOT NULL DEFAULT 'dataset',md_standard_uri TEXT NOT NULL,\
mime_type TEXT NOT NULL DEFAULT 'text/xml',metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL,table_name TEXT,column_name TEXT,\
row_id_value INTEGER,timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),\
md_file_id INTEGER NOT NULL,md_parent_id INTEGER,\
CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),\
CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
"""
_LAYER = """
CREATE TABLE "{name}" ( "fid" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "geom" {geometry}{columns});
CREATE VIRTUAL TABLE "{tree}" USING rtree(id, minx, maxx, miny, maxy);
CREATE TRIGGER "{tree}_insert" AFTER INSERT ON "{name}" \
WHEN (new."geom" NOT NULL AND NOT ST_IsEmpty(NEW."geom")) BEGIN {put}; END;
CREATE TRIGGER "{tree}_update1" AFTER UPDATE OF "geom" ON "{name}" \
WHEN OLD."fid" = NEW."fid" AND (NEW."geom" NOTNULL AND NOT ST_IsEmpty(NEW."geom")) BEGIN {put}; END;
CREATE TRIGGER "{tree}_update2" AFTER UPDATE OF "geom" ON "{name}" \
WHEN OLD."fid" = NEW."fid" AND (NEW."geom" ISNULL OR ST_IsEmpty(NEW."geom")) BEGIN {remove}; END;
CREATE TRIGGER "{tree}_update3" AFTER UPDATE ON "{name}" \
WHEN OLD."fid" != NEW."fid" AND (NEW."geom" NOTNULL AND NOT ST_IsEmpty(NEW."geom")) \
BEGIN {remove}; {put}; END;
CREATE TRIGGER "{tree}_update4" AFTER UPDATE ON "{name}" \
WHEN OLD."fid" != NEW."fid" AND (NEW."geom" ISNULL OR ST_IsEmpty(NEW."geom")) \
BEGIN DELETE FROM "{tree}" WHERE id IN (OLD."fid", NEW."fid"); END;
CREATE TRIGGER "{tree}_delete" AFTER DELETE ON "{name}" WHEN old."geom" NOT NULL BEGIN {remove}; END;
CREATE TRIGGER "trigger_insert_feature_count_{name}" AFTER INSERT ON "{name}" BEGIN {count} + 1 {here}; END;
CREATE TRIGGER "trigger_delete_feature_count_{name}" AFTER DELETE ON "{name}" BEGIN {count} - 1 {here}; END;
"""
_PUT = """INSERT OR REPLACE INTO "{tree}" VALUES (NEW."fid",ST_MinX(NEW."geom"), ST_MaxX(NEW."geom"),\
ST_MinY(NEW."geom"), ST_MaxY(NEW."geom"))"""


def can_make(layer: Layer) -> bool:
    """Whether a layer is one of those made here: its CRS has a number of EPSG, and a form in WKT 1."""
    try:
        _wkt1(crs := CRS.from_wkt(layer.crs_wkt))
    except CRSError:
        return False
    with closing(sqlite3.connect(":memory:")) as connection:
        is_there = connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'rtree'").fetchone()
    return _epsg(crs) is not None and is_there is not None


def make_empty(path: Path, layer: Layer) -> None:
    """Write a new file with the tables of a layer that `can_make` is True of.

    Raises
    ------
    sqlite3.Error
        It cannot be written.
    """
    crs = CRS.from_wkt(layer.crs_wkt)
    code = _epsg(crs)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_FILE + _layer_tables(layer))
        systems: list[tuple[object, ...]] = [
            ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", _undefined("Cartesian")),
            ("Undefined geographic SRS", 0, "NONE", 0, "undefined", _undefined("geographic")),
            ("WGS 84 geodetic", _WGS84, "EPSG", _WGS84, _wkt1(CRS.from_epsg(_WGS84)), _LONLAT),
        ]
        if code != _WGS84:
            systems.append((crs.name, code, "EPSG", code, _wkt1(crs), None))
        _insert(connection, "gpkg_spatial_ref_sys", *systems)
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
            "VALUES (?, 'features', ?, ?, ?)",
            (layer.name, layer.name, layer.metadata.get("description", ""), code),
        )
        _insert(connection, "gpkg_ogr_contents", (layer.name, 0))
        geometry = _geometry(layer)
        _insert(connection, "gpkg_geometry_columns", (layer.name, GEOM, geometry, code, 0, 0))
        _insert(connection, "gpkg_extensions", (layer.name, GEOM, "gpkg_rtree_index", _RTREE, "write-only"))
        _describe(connection, layer)
        connection.commit()


_LONLAT = "longitude/latitude coordinates in decimal degrees on the WGS 84 spheroid"


def _undefined(kind: str) -> str:
    return f"undefined {kind} coordinate reference system"


def _epsg(crs: CRS) -> int | None:
    """The number that a CRS itself says it has; none is looked for."""
    found = crs.to_json_dict().get("id", {})
    return int(found["code"]) if found.get("authority") == "EPSG" else None


def _wkt1(crs: CRS) -> str:
    text: str = crs.to_wkt("WKT1_GDAL", output_axis_rule=True)
    return text


def _geometry(layer: Layer) -> str:
    return "GEOMETRY" if layer.geometry_type == "Unknown" else layer.geometry_type.upper()


def _layer_tables(layer: Layer) -> str:
    name = layer.name.replace('"', '""')
    tree = f"rtree_{name}_{GEOM}"
    fields = [f for f in layer.schema if f.name not in (GEOMETRY, *BOUNDS)]
    text = layer.name.replace("'", "''")
    return _LAYER.format(
        name=name,
        tree=tree,
        geometry=_geometry(layer),
        columns="".join(f", {quoted(f.name)} {_type(f)}{'' if f.nullable else ' NOT NULL'}" for f in fields),
        put=_PUT.format(tree=tree),
        remove=f'DELETE FROM "{tree}" WHERE id = OLD."fid"',  # noqa: S608
        count="UPDATE gpkg_ogr_contents SET feature_count = feature_count",
        here=f"WHERE lower(table_name) = lower('{text}')",
    )


def _type(field: pa.Field) -> str:
    """Type of a column by the number of its bits (GeoPackage 1.3, table 1), as GDAL chooses it."""
    kind = field.type
    if pa.types.is_floating(kind):
        return "REAL" if kind.bit_width == 64 else "FLOAT"
    if not pa.types.is_integer(kind):
        return "TEXT"
    bits = kind.bit_width + pa.types.is_unsigned_integer(kind)
    return "SMALLINT" if bits <= 16 else "MEDIUMINT" if bits <= 32 else "INTEGER"


def _describe(connection: sqlite3.Connection, layer: Layer) -> None:
    """Metadata of the layer in GDAL's form; its description stands among the contents."""
    items = [
        f'    <MDI key="{escape(key)}">{escape(text)}</MDI>\n'
        for key, text in sorted(layer.metadata.items(), key=lambda item: item[0].casefold())
        if key != "description"
    ]
    if not items:
        return
    domain = "".join(("  <Metadata>\n", *items, "  </Metadata>\n"))
    xml = f"<GDALMultiDomainMetadata>\n{domain}</GDALMultiDomainMetadata>\n"
    for statement in _METADATA_TABLES.split(";\n"):
        connection.execute(statement)
    for table in ("gpkg_metadata", "gpkg_metadata_reference"):
        _insert(connection, "gpkg_extensions", (table, None, "gpkg_metadata", _METADATA, "read-write"))
    _insert(connection, "gpkg_metadata", (1, "dataset", _GDAL, "text/xml", xml))
    connection.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) "
        "VALUES ('table', ?, 1)",
        (layer.name,),
    )


def _insert(connection: sqlite3.Connection, table: str, *rows: tuple[object, ...]) -> None:
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608
