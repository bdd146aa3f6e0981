"""What a vectorization is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.job import Job

Small = Literal["merge", "drop"]
Method = Literal["visvalingam", "douglas-peucker"]


class VectorizeJob(Job):
    """Polygons of one class map.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, geoseg's own or any other.
    out
        File to write; its suffix is the format: .gpkg .shp .fgb .parquet .geojson .pmtiles
    confidence
        Raster on the same grid: whole numbers 0 to 100 (%) or fractions 0 to 1. By default the file
        ``confidence.tif`` beside the class map, where there is one.
    conf_min
        Also write the smallest confidence of any pixel of a polygon.
    fractions
        Another class map, on any grid: every polygon gets the share of its area that each of its classes has.
    neighbours
        Also write which polygons have a common border and its metres, by the number region_id: a table in a
        GeoPackage, beside other formats a CSV file.
    only
        Classes to write, by number or name; all by default.
    majority, fill_holes, min_pixels, small
        See `geoseg.regions.clean.Cleaning`: side of the majority filter's window, nodata areas of fewer
        pixels that are filled, regions of fewer pixels that count as small, and what becomes of them.
    min_area
        Hectares, in the place of `min_pixels`.
    simplify
        Tolerance in metres within which shared borders are simplified. Chunks then are whole numbers of 2048
        pixels; `chunk` is rounded up.
    method
        Order in which vertices go: "visvalingam", which keeps the classes' areas, or "douglas-peucker".
    smooth
        Rounds of corner cutting, up to 3.
    square
        Classes whose outlines get right angles where they stand alone, by number or name; needs `simplify`.
    layer
        Layer name, where the format has layers.
    crs
        CRS of the output; the map's own by default. GeoJSON (RFC 7946) and PMTiles are always in longitude
        and latitude.
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
    conf_min: bool = False
    fractions: Path | None = None
    neighbours: bool = False
    only: tuple[int | str, ...] = ()
    majority: Annotated[int, Field(ge=1, le=31)] = 1
    fill_holes: Annotated[int, Field(ge=0, le=4096)] = 0
    min_pixels: Annotated[int, Field(ge=0)] = 0
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    small: Small = "merge"
    simplify: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    method: Method = "visvalingam"
    smooth: Annotated[int, Field(ge=0, le=3)] = 0
    square: tuple[int | str, ...] = ()
    layer: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\"'`\\/]+$")] = "landcover"
    crs: str | None = None
    chunk: Annotated[int, Field(ge=1, le=32768)] | None = None
    band: int | str | None = None
    nodata: float | None = None
    assume_crs: str | None = None
    assume_transform: str | None = None
    allow_vrt: bool = False

    @field_validator("majority")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("expected an odd number: the window has a pixel in its middle")
        return value

    @model_validator(mode="after")
    def _one_limit(self) -> VectorizeJob:
        if self.min_pixels and self.min_area:
            raise ValueError("min_pixels and min_area exclude each other")
        return self

    @model_validator(mode="after")
    def _thinned_first(self) -> VectorizeJob:
        if self.square and self.simplify is None:
            raise ValueError("square needs simplify: right angles are laid along simplified borders")
        return self

    @field_validator("only", "square", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Classes given as one text, ``forest,water``."""
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, (list, tuple)):
            return tuple(int(v) if isinstance(v, str) and v.isdecimal() else v for v in value)
        return value
