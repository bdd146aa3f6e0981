"""GeoPackage, FlatGeobuf and GeoJSON through GDAL, as one Arrow stream each."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from geoseg.errors import GeosegError, ResourceError
from geoseg.vectorization.formats import BOUNDS, GEOMETRY, Batches, Layer, without

INDEX_BYTES = 128 * 2**20
"""Memory in which the spatial index of a GeoPackage is built, before it goes on on disk."""

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""

_ROWS = 1 << 16


def write_geopackage(path: Path, batches: Batches, layer: Layer) -> list[tuple[Path, str]]:
    """GeoPackage 1.4 with a spatial index, its style for QGIS, and where the numbers come from."""
    # GDAL builds the index in memory while it writes, by default in up to a tenth of the machine's
    pyogrio.set_gdal_config_options({"OGR_GPKG_MAX_RAM_USAGE_RTREE": str(INDEX_BYTES)})
    write_ogr(
        path,
        batches,
        layer,
        driver="GPKG",
        layer_options={"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": "geom", "FID": "fid", **_description(layer)},
        layer_metadata=dict(layer.metadata),
    )
    _add_style(path, layer)
    if layer.neighbours is not None:
        _add_neighbours(path, layer.neighbours())
    return [(path, path.name)]


def write_flatgeobuf(path: Path, batches: Batches, layer: Layer) -> list[tuple[Path, str]]:
    """FlatGeobuf with its packed Hilbert R-tree, in whose order GDAL writes the polygons."""
    write_ogr(
        path,
        batches,
        layer,
        driver="FlatGeobuf",
        layer_options={"SPATIAL_INDEX": "YES", "TEMPORARY_DIR": str(path.parent), **_description(layer)},
    )
    return [(path, path.name)]


def write_geojson(path: Path, batches: Batches, layer: Layer) -> list[tuple[Path, str]]:
    """GeoJSON after RFC 7946 with 7 decimals (1 cm), of batches in longitude and latitude."""
    write_ogr(
        path, batches, layer, driver="GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "7"}
    )
    return [(path, path.name)]


def write_ogr(path: Path, batches: Batches, layer: Layer, *, driver: str, **options: Any) -> None:
    """Write batches with a GDAL driver in one pass.

    An error that ends the stream of batches is raised as it is, not as what GDAL makes of it.
    """
    failures: list[BaseException] = []
    names = [name for name in layer.schema.names if name not in BOUNDS]
    schema = pa.schema([layer.schema.field(name) for name in names])
    reader = pa.RecordBatchReader.from_batches(schema, _guarded(batches, failures))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            pyogrio.raw.write_arrow(
                reader,
                path,
                layer=layer.name,
                driver=driver,
                geometry_name=GEOMETRY,
                geometry_type="MultiPolygon" if driver != "ESRI Shapefile" else "Polygon",
                crs=layer.crs_wkt,
                **options,
            )
    except Exception as error:
        if failures:
            raise failures[0] from None
        if isinstance(error, (GeosegError, MemoryError)):
            raise
        raise ResourceError(
            "cannot be written",
            where=path.name,
            why=" ".join(str(error).split()),
            hint="check the free disk space",
        ) from None
    if failures:
        raise failures[0]


def _guarded(batches: Batches, failures: list[BaseException]) -> Iterator[pa.RecordBatch]:
    """Batches without their bounding boxes; what ends them early is kept (Arrow carries only text)."""
    try:
        for batch in batches:
            yield without(batch, BOUNDS)
    except BaseException as error:
        failures.append(error)
        raise


def _description(layer: Layer) -> dict[str, str]:
    return {"DESCRIPTION": layer.metadata["description"]}


def _add_neighbours(path: Path, table: pa.Table) -> None:
    """Table `neighbours` with the numbers of two polygons, as in region_id, and their common border."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute(
                "CREATE TABLE neighbours (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
                "id_a INTEGER NOT NULL, id_b INTEGER NOT NULL, border_m REAL NOT NULL)"
            )
            for batch in table.to_batches(max_chunksize=_ROWS):
                connection.executemany(
                    "INSERT INTO neighbours (id_a, id_b, border_m) VALUES (?, ?, ?)",
                    zip(*(column.to_pylist() for column in batch.columns), strict=True),
                )
            connection.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) VALUES "
                "('neighbours', 'attributes', 'neighbours', 'Polygons with a common border, by region_id', 0)"
            )
    finally:
        connection.close()


def _add_style(path: Path, layer: Layer) -> None:
    """Row of `layer_styles`, the table that QGIS reads a default style from."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute(_STYLES)
            connection.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, useAsDefault, description) VALUES ('', '', ?, 'geom', ?, ?, 1, ?)",
                (layer.name, layer.name[:30], layer.style(), "Class colours"),
            )
            connection.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
                "VALUES ('layer_styles', 'attributes', 'layer_styles', 'Styles for QGIS', 0)"
            )
    finally:
        connection.close()
