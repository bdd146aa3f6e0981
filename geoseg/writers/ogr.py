"""FlatGeobuf and GeoJSON through GDAL, as one Arrow stream each, and what all GDAL writers share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from geoseg.errors import GeosegError, ResourceError
from geoseg.writers.layer import BOUNDS, GEOMETRY, Batches, Layer, without

_GEOJSON_END = b"]\n}\n"
_LONGEST = 300
_ROWS = 4096


def write_flatgeobuf(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """FlatGeobuf with its packed Hilbert R-tree, in whose order GDAL writes the features.

    Without the tree where some features have no geometry, which it cannot hold.
    """
    index = "NO" if layer.has_nulls else "YES"
    values = write_ogr(
        path,
        batches,
        layer,
        driver="FlatGeobuf",
        layer_options={"SPATIAL_INDEX": index, "TEMPORARY_DIR": str(path.parent), **description(layer)},
    )
    if layer.has_nulls:
        _check_all(path, values)
    else:
        check_values(path, values)
    return [path]


def write_geojson(path: Path, batches: Batches, layer: Layer) -> list[Path]:
    """GeoJSON after RFC 7946 with 7 decimals (1 cm), of batches in longitude and latitude.

    Geometries that cross the antimeridian come cut: GDAL would guess, and cut wide ones that do not cross it.
    """
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": "7", "WRAPDATELINE": "NO"}
    write_ogr(path, batches, layer, driver="GeoJSON", layer_options=options)
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - len(_GEOJSON_END), 0))
        if file.read() != _GEOJSON_END:
            raise not_whole(path, "its end is missing")
    return [path]


def write_ogr(path: Path, batches: Batches, layer: Layer, *, driver: str, **options: Any) -> int:
    """Number of geometries and numbers (nulls are none) that a GDAL driver got to write, in one pass.

    An error that ends the stream of batches is raised as it is, not as what GDAL makes of it. GDAL does not
    tell of everything that a full disk kept it from writing, as what is lost when a file is closed and the
    fields of a Shapefile: the caller checks the file.
    """
    import pyogrio  # loads geopandas

    sent = _Sent()
    names = [name for name in layer.schema.names if name not in BOUNDS]
    schema = pa.schema([layer.schema.field(name) for name in names])
    reader = pa.RecordBatchReader.from_batches(schema, sent.guarded(batches))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            pyogrio.raw.write_arrow(
                reader,
                path,
                layer=layer.name,
                driver=driver,
                geometry_name=GEOMETRY,
                geometry_type=layer.geometry_type if driver != "ESRI Shapefile" else _shape_type(layer),
                crs=layer.crs_wkt,
                **options,
            )
    except Exception as error:
        if sent.failure is not None:
            raise sent.failure from None
        if isinstance(error, (GeosegError, MemoryError)):
            raise
        raise ResourceError(
            "cannot be written", where=path.name, why=_short(str(error)), hint="check the free disk space"
        ) from None
    if sent.failure is not None:
        raise sent.failure
    return sent.values


def _shape_type(layer: Layer) -> str:
    """Type by which GDAL calls a Shapefile's geometries: its lines and polygons are of many parts anyway."""
    kind = layer.geometry_type
    return kind if kind == "MultiPoint" else kind.removeprefix("Multi")


def check_values(path: Path, expected: int) -> None:
    """ResourceError unless a file reads back with as many geometries and numbers as were written."""
    import pyogrio

    found = 0
    try:
        with pyogrio.raw.open_arrow(path, use_pyarrow=True, batch_size=_ROWS) as (_, reader):
            for batch in reader:
                found += values_of(batch)
    except Exception as error:
        raise not_whole(path, _short(str(error))) from None
    if found != expected:
        raise not_whole(path, f"{found:,} values of {expected:,} in it")


def _check_all(path: Path, expected: int) -> None:
    """As `check_values`, of a file read at once: GDAL gives a FlatGeobuf's null geometries no Arrow form."""
    import pyogrio

    try:
        _, _, shapes, columns = pyogrio.raw.read(path)
    except Exception as error:
        raise not_whole(path, _short(str(error))) from None
    found = sum(shape is not None for shape in shapes)
    found += sum(int((column == column).sum()) for column in columns if column.dtype.kind in "iuf")  # noqa: PLR0124 (NaN is null)
    if found != expected:
        raise not_whole(path, f"{found:,} values of {expected:,} in it")


def values_of(batch: pa.RecordBatch) -> int:
    """Number of geometries and numbers that are not null; not of texts, for formats drop empty ones."""
    columns = (
        c for c in batch.columns if not (pa.types.is_string(c.type) or pa.types.is_large_string(c.type))
    )
    return sum(len(c) - c.null_count for c in columns)


def not_whole(path: Path, why: str) -> ResourceError:
    """The error for a file that GDAL wrote only in part."""
    return ResourceError(
        "was not written whole", where=path.name, why=why, hint="check the disk and its free space"
    )


def _short(reason: str) -> str:
    """GDAL's reason without the statement, pages long, that failed."""
    text = " ".join(reason.split())
    return text if len(text) <= _LONGEST else f"... {text[-_LONGEST:]}"


class _Sent:
    """What went through to GDAL.

    Attributes
    ----------
    values
        Number of geometries and numbers.
    failure
        What ended the batches early: Arrow carries only a text.
    """

    def __init__(self) -> None:
        self.values = 0
        self.failure: BaseException | None = None

    def guarded(self, batches: Batches) -> Iterator[pa.RecordBatch]:
        """Batches without their bounding boxes."""
        made = self._guarded(batches)
        # begun here: a signal that is heard when Arrow asks for the first batch is kept, too
        next(made)
        return made

    def _guarded(self, batches: Batches) -> Iterator[Any]:
        try:
            yield None
            for batch in batches:
                self.values += values_of(sent := without(batch, BOUNDS))
                yield sent
        except BaseException as error:
            self.failure = error
            raise


def description(layer: Layer) -> dict[str, str]:
    """Layer option that says what the layer is, where that is known."""
    text = layer.metadata.get("description")
    return {"DESCRIPTION": text} if text else {}
