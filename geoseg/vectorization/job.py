"""What a vectorization is asked to compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from geoseg.cleaning.job import Cleaning
from geoseg.outlines import Method
from geoseg.raster.reading import Reading

FRACTIONS_NAMES: Mapping[str, str] = MappingProxyType(
    {"crosswalk": "fractions_crosswalk", "band": "fractions_band"}
)
"""What the options of a raster are called where it is that of fractions."""


class VectorizeJob(Reading, Cleaning):
    """Polygons of one class map.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, geoseg's own or any other, or of any codes with `crosswalk`.
    out
        File to write; its suffix is the format (.gpkg .shp .fgb .parquet .geojson .pmtiles).
    confidence
        Confidence raster on the same grid, by default ``confidence.tif`` beside the class map. Whole numbers
        0 to 100 (%) or fractions 0 to 1.
    conf_min
        Also write the smallest confidence of any pixel of a polygon.
    fractions
        Another class map, on any grid: adds frac_V, the share of a polygon that has its class V.
    fractions_crosswalk
        `crosswalk` of the map of `fractions`.
    fractions_band
        Band of the map of `fractions` where it has several, by number or name.
    neighbours
        Also write which polygons share how much border. By the number region_id, in metres: a table in a
        GeoPackage, beside other formats a CSV file.
    only
        Classes to write, by name or number, like forest,water.
    simplify
        Simplify shared borders within this many metres. Chunks then are whole numbers of 2048
        pixels; `chunk` is rounded up.
    method
        Order in which vertices go; visvalingam keeps the classes' areas.
    smooth
        Smooth shared borders by rounds of corner cutting, 1 to 3.
    square
        Classes whose outlines get right angles where they stand alone, like building; needs `simplify`.
    max_corners
        Cut regions of more corners along rows of the map; 0 cuts none. Each is cut at the lower end of the
        row of chunks, and its parts are polygons of their own.
    layer
        Layer name, where the format has layers.
    crs
        CRS of the output, like EPSG:4326, by default the map's own. GeoJSON (RFC 7946) and PMTiles are
        always in longitude and latitude.
    chunk
        Side of one task's block, by default chosen by the map's width. It never changes a polygon, but those
        that `max_corners` cuts.
    legend
        YAML of class number to name, instead of the file's own names. Or a mapping.
    crosswalk
        YAML of value or name in the map to class name, number or "ignore"; it may merge. Or a mapping.
        Values are whole numbers of any size, "*" stands for all others, and `legend` numbers the new classes.
    band
        Band of the map where it has several, by number or name.
    """

    classes: Path
    out: Path
    confidence: Path | None = None
    conf_min: bool = False
    fractions: Path | None = None
    fractions_crosswalk: Path | dict[Any, Any] | None = None
    fractions_band: int | str | None = None
    neighbours: bool = False
    only: tuple[int | str, ...] = ()
    simplify: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    method: Method = "visvalingam"
    smooth: Annotated[int, Field(ge=0, le=3)] = 0
    square: tuple[int | str, ...] = ()
    max_corners: Annotated[int, Field(ge=0)] = 2_000_000
    layer: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\"'`\\/]+$")] = "landcover"
    crs: str | None = None
    chunk: Annotated[int, Field(ge=1, le=32768)] | None = None
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    band: int | str | None = None

    @model_validator(mode="after")
    def _of_fractions(self) -> VectorizeJob:
        given = next((name for name in FRACTIONS_NAMES.values() if getattr(self, name) is not None), None)
        if given is not None and self.fractions is None:
            raise ValueError(f"{given} is of fractions, and no map of them is named")
        return self

    @model_validator(mode="after")
    def _thinned_first(self) -> VectorizeJob:
        if self.square and self.simplify is None:
            raise ValueError("square needs simplify: right angles are laid along simplified borders")
        return self

    @field_validator("only", "square", mode="before")
    @classmethod
    def _as_texts(cls, value: object) -> object:
        """One text may name several classes, ``forest,water``: the legend knows which commas are its own."""
        if isinstance(value, str):
            value = [value] if value.strip(" ,") else []
        if isinstance(value, (list, tuple)):
            return tuple(int(v) if isinstance(v, str) and v.isdecimal() else v for v in value)
        return value
