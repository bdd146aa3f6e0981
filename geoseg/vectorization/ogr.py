"""FlatGeobuf and GeoJSON through GDAL, as one Arrow stream each, and what all GDAL writers share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio

from geoseg.errors import GeosegError, ResourceError
from geoseg.vectorization.formats import BOUNDS, GEOMETRY, Batches, Layer, without


def write_flatgeobuf(path: Path, batches: Batches, layer: Layer) -> list[tuple[Path, str]]:
    """FlatGeobuf with its packed Hilbert R-tree, in whose order GDAL writes the polygons."""
    write_ogr(
        path,
        batches,
        layer,
        driver="FlatGeobuf",
        layer_options={"SPATIAL_INDEX": "YES", "TEMPORARY_DIR": str(path.parent), **description(layer)},
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


def description(layer: Layer) -> dict[str, str]:
    """Layer option that says what the polygons are."""
    return {"DESCRIPTION": layer.metadata["description"]}
