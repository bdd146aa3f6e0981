"""What a vectorization is asked to compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.outlines import Method
from geoseg.raster.reading import Reading

Small = Literal["merge", "drop"]
Side = Annotated[int, Field(ge=1, le=31)]
Sizes = tuple[tuple[int | str | None, Side], ...]
"""Sides of windows by class, None for all of them."""


class VectorizeJob(Reading):
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
    majority
        Side of the majority filter's window (`geoseg.regions.clean.Cleaning`).
    opening, closing
        Sides of windows: parts of a class narrower than its window are taken from it, or those of others
        between its parts given to it (`geoseg.regions.morphology`). One number is for all classes, which
        closing cannot have; else classes with their own: ``{"road": 3}`` or ``"road=3,building=5"``.
    fill_holes, min_pixels, small
        Nodata areas of fewer pixels are filled; regions of fewer pixels are small, and what becomes of them
        (`geoseg.regions.sieve.Sieve`).
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
    max_corners
        Corners held for one region, beyond which it is cut at the lower end of the row of chunks; its parts
        are polygons of their own. 0 cuts none.
    layer
        Layer name, where the format has layers.
    crs
        CRS of the output; the map's own by default. GeoJSON (RFC 7946) and PMTiles are always in longitude
        and latitude.
    chunk
        Side of the block one task reads; chosen by the map's width. It never changes a polygon, but those
        that `max_corners` cuts.
    band
        Which band of a raster of several, by number or name.
    """

    classes: Path
    out: Path
    confidence: Path | None = None
    conf_min: bool = False
    fractions: Path | None = None
    neighbours: bool = False
    only: tuple[int | str, ...] = ()
    majority: Side = 1
    opening: Sizes = ()
    closing: Sizes = ()
    fill_holes: Annotated[int, Field(ge=0)] = 0
    min_pixels: Annotated[int, Field(ge=0)] = 0
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    small: Small = "merge"
    simplify: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    method: Method = "visvalingam"
    smooth: Annotated[int, Field(ge=0, le=3)] = 0
    square: tuple[int | str, ...] = ()
    max_corners: Annotated[int, Field(ge=0)] = 2_000_000
    layer: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\"'`\\/]+$")] = "landcover"
    crs: str | None = None
    chunk: Annotated[int, Field(ge=1, le=32768)] | None = None
    band: int | str | None = None

    @field_validator("majority")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("expected an odd number: the window has a pixel in its middle")
        return value

    @field_validator("opening", "closing", mode="before")
    @classmethod
    def _sizes(cls, value: object) -> object:
        """Pairs from ``5``, ``road=3,building=5``, or a mapping."""
        if isinstance(value, (int, str)) and str(value).strip().isdecimal():
            return ((None, int(value)),)
        if isinstance(value, str):
            pairs = [part.rpartition("=") for part in value.split(",") if part.strip()]
            if not all(name.strip() and side.strip().isdecimal() for name, _, side in pairs):
                raise ValueError("expected a number, or classes with one each: road=3,building=5")
            value = {name.strip(): int(side) for name, _, side in pairs}
        if isinstance(value, Mapping):
            value = value.items()
        if isinstance(value, Iterable):
            return tuple((int(c) if isinstance(c, str) and c.isdecimal() else c, side) for c, side in value)
        return value

    @field_validator("opening", "closing")
    @classmethod
    def _odd_sizes(cls, value: Sizes) -> Sizes:
        for _, side in value:
            cls._odd(side)
        return value

    @field_validator("closing")
    @classmethod
    def _closing_names(cls, value: Sizes) -> Sizes:
        if any(name is None for name, _ in value):
            raise ValueError("closing needs its classes, the others give way: road=3")
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
