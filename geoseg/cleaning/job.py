"""What a cleaning is asked to do: a part of every job that cleans, and the job that does nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.job import Job
from geoseg.raster.reading import Reading

Small = Literal["merge", "drop"]
Side = Annotated[int, Field(ge=1, le=31)]
Sizes = tuple[tuple[int | str | None, Side], ...]
"""Sides of windows by class, None for all of them."""

_PAIR = re.compile(r"\s*([^=]*[^=\s,])\s*=\s*(\d+)\s*(?:,|$)")


class Cleaning(Job):
    """Steps that make a class map calmer, in this order; by default there are none.

    Attributes
    ----------
    majority
        Majority filter first, with a window of this odd side. See `geoseg.cleaning.steps.Steps`.
    opening
        Take off parts narrower than this odd number of pixels: 3 for all classes, or road=3,building=5. Also
        ``{"road": 3}``; see `geoseg.cleaning.morphology`.
    closing
        Give classes what is narrower between their parts, like road=3,building=5.
    fill_holes
        Fill nodata areas of fewer pixels first.
    min_pixels
        Smallest number of pixels of a region.
    min_area
        Smallest area of a region in hectares, in the place of `min_pixels`.
    small
        Smaller ones join the neighbour they share most border with, or are left out. See
        `geoseg.regions.sieve.Sieve`.
    """

    majority: Side = 1
    opening: Sizes = ()
    closing: Sizes = ()
    fill_holes: Annotated[int, Field(ge=0)] = 0
    min_pixels: Annotated[int, Field(ge=0)] = 0
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    small: Small = "merge"

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
            pairs = _PAIR.findall(value)  # names may have commas
            if _PAIR.sub("", value).strip(", ") or not pairs:
                raise ValueError("expected a number, or classes with one each: road=3,building=5")
            value = {name.strip(): int(side) for name, side in pairs}
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
    def _one_limit(self) -> Cleaning:
        if self.min_pixels and self.min_area:
            raise ValueError("min_pixels and min_area exclude each other")
        return self


class CleanJob(Reading, Cleaning):
    """One class map to clean.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, geoseg's own or any other, or of any codes with `crosswalk`.
    out
        GeoTIFF to write.
    legend
        YAML of class number to name, instead of the file's own names. Or a mapping.
    crosswalk
        YAML of value or name in the map to class name, number or "ignore"; it may merge. Or a mapping.
        Values are whole numbers of any size, "*" stands for all others, and `legend` numbers the new classes.
    band
        Band of the map where it has several, by number or name.
    chunk
        Side of one task's block, by default chosen by the map's width. It never changes a pixel.
    """

    classes: Path
    out: Path
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    band: int | str | None = None
    chunk: Annotated[int, Field(ge=1, le=32768)] | None = None

    @field_validator("out")
    @classmethod
    def _geotiff(cls, value: Path) -> Path:
        if value.suffix.lower() not in {".tif", ".tiff"}:
            raise ValueError("expected a GeoTIFF: .tif")
        return value

    @model_validator(mode="after")
    def _something(self) -> CleanJob:
        if not (self.majority > 1 or self.opening or self.closing or self.fill_holes) and not (
            self.min_pixels or self.min_area
        ):
            raise ValueError("nothing to clean with; give min_area, majority or another step")
        return self
