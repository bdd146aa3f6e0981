"""What a vectorization is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from geoseg.job import Job


class VectorizeJob(Job):
    """Polygons of one class map.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, geoseg's own or any other.
    out
        File to write; its suffix is the format: .gpkg .shp .fgb .parquet .geojson
    confidence
        Raster on the same grid: whole numbers 0 to 100 (%) or fractions 0 to 1. By default the file
        ``confidence.tif`` beside the class map, where there is one.
    only
        Classes to write, by number or name; all by default.
    layer
        Layer name, where the format has layers.
    crs
        CRS of the output; the map's own by default. GeoJSON is always longitude and latitude (RFC 7946).
    chunk
        Side of the block one task reads; chosen by the map's width. It never changes a polygon.
    band
        Which band of a raster of several, by number or name.
    nodata
        Value that means no data, instead of the file's own tag; 255 always does.
    assume_crs, assume_transform
        Georeference for a raster that has none.
    allow_vrt
        Read VRT files; they can name other files, so only on request.
    """

    classes: Path
    out: Path
    confidence: Path | None = None
    only: tuple[int | str, ...] = ()
    layer: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\"'`\\/]+$")] = "landcover"
    crs: str | None = None
    chunk: Annotated[int, Field(ge=1, le=32768)] | None = None
    band: int | str | None = None
    nodata: float | None = None
    assume_crs: str | None = None
    assume_transform: str | None = None
    allow_vrt: bool = False

    @field_validator("only", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Classes given as one text, ``forest,water``."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, (list, tuple)):
            return tuple(int(v) if isinstance(v, str) and v.isdecimal() else v for v in value)
        return value
