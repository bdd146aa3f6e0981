"""The vector formats: one record says all that differs between them, and no other place asks for a suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from geoseg.writers.layer import Batches, Layer

Write = Callable[[Path, "Batches", "Layer"], list[Path]]
"""(path in a folder of its own, batches, layer) -> files made there, the one that users open last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A vector format.

    Attributes
    ----------
    suffix, name
        By which it is chosen, and what it is called.
    writer
        ``module:function`` of type `Write`.
    lacks
        What it cannot hold, and what happens instead.
    companions
        Suffixes of the files that are part of it.
    style
        Where the QML goes: into the file, beside it as ``NAME.qml``, or nowhere.
    has_layers
        Whether a file can hold several layers; `keep` then names a function ``(old file, new file, layer)``
        that puts all of an older file but this layer into the new one.
    has_tables
        Whether side tables go into the file; beside others they are CSV.
    is_lonlat
        Whether it always is in longitude and latitude on WGS 84.
    """

    suffix: str
    name: str
    writer: str
    lacks: str = ""
    companions: tuple[str, ...] = ()
    style: Literal["inside", "beside", "none"] = "none"
    keep: str = ""
    has_tables: bool = False
    is_lonlat: bool = False

    @property
    def has_layers(self) -> bool:
        """Whether a file can hold several layers."""
        return bool(self.keep)

    def write(self, path: Path, batches: Batches, layer: Layer) -> list[Path]:
        """Files made, the one that users open last."""
        files: list[Path] = _function(self.writer)(path, batches, layer)
        return files

    def keep_others(self, old: Path, new: Path, layer: str) -> None:
        """Put all of an older file but this layer into the new one."""
        _function(self.keep)(old, new, layer)


FORMATS = (
    Format(
        suffix=".gpkg",
        name="GeoPackage",
        writer="geoseg.writers.geopackage:write_geopackage",
        lacks="geometries of more than 1 GB",
        style="inside",
        keep="geoseg.writers.geopackage:keep_other_layers",
        has_tables=True,
    ),
    Format(
        suffix=".shp",
        name="Shapefile",
        writer="geoseg.writers.shapefile:write_shapefile",
        lacks="nulls (a missing number is -1), names of more than 10 characters, texts of more than 254 "
        "bytes; goes on in NAME_2.shp before 2 GB",
        companions=(".shx", ".dbf", ".prj", ".cpg"),
        style="beside",
    ),
    Format(
        suffix=".fgb",
        name="FlatGeobuf",
        writer="geoseg.writers.ogr:write_flatgeobuf",
        lacks="an order of its own: features lie along a Hilbert curve",
        style="beside",
    ),
    Format(suffix=".parquet", name="GeoParquet", writer="geoseg.writers.geoparquet:write_geoparquet"),
    Format(
        suffix=".geojson",
        name="GeoJSON",
        writer="geoseg.writers.ogr:write_geojson",
        lacks="any other CRS, and more than 7 decimals of a degree (1 cm)",
        style="beside",
        is_lonlat=True,
    ),
    Format(
        suffix=".pmtiles",
        name="PMTiles",
        writer="geoseg.writers.pmtiles:write_pmtiles",
        lacks="small features at coarse zooms, and an empty layer: it is a picture to look at",
        is_lonlat=True,
    ),
)


def suffixes() -> str:
    """All suffixes in one text, as help and errors list them."""
    return " ".join(format_.suffix for format_ in FORMATS)


def format_of(path: Path) -> Format:
    """Format of a file by its suffix, in any case; UsageError lists those that are known."""
    for format_ in FORMATS:
        if path.suffix.lower() == format_.suffix:
            return format_
    raise UsageError(
        f"unknown vector format {path.suffix!r}" if path.suffix else "output without a suffix",
        where=path,
        why=f"the suffix is the format: {suffixes()}",
        hint=f"{path.with_suffix(FORMATS[0].suffix).name}",
    )


def _function(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
