"""What a comparison of two dates is asked to compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from geoseg.raster.reading import PixelSize, Reading, ReadingOptions, reading_of

_KEYS = ("band", "crosswalk", "nodata", "assume_crs", "assume_transform", "pixel_size")
BEFORE_NAMES: Mapping[str, str] = MappingProxyType({key: f"{key}_before" for key in _KEYS})
AFTER_NAMES: Mapping[str, str] = MappingProxyType({key: f"{key}_after" for key in _KEYS})
"""What the options of a raster are called at either date."""


class ChangeJob(Reading):
    """Transitions between two class maps.

    Attributes
    ----------
    before, after
        The class maps.
    band_before
        Band of BEFORE where it has several, by number from 1 or by name.
    band_after
        Band of AFTER where it has several, by number from 1 or by name.
    nodata_before
        `nodata` of BEFORE alone.
    nodata_after
        `nodata` of AFTER alone.
    assume_crs_before
        `assume_crs` of BEFORE alone.
    assume_crs_after
        `assume_crs` of AFTER alone.
    assume_transform_before
        `assume_transform` of BEFORE alone.
    assume_transform_after
        `assume_transform` of AFTER alone.
    pixel_size_before
        `pixel_size` of BEFORE alone.
    pixel_size_after
        `pixel_size` of AFTER alone.
    out
        Output folder. It gets transitions.csv, classes.csv, transitions.json and change.tif with its style.
    crosswalk
        YAML for both maps of value or class name to new name or "ignore"; it may merge classes. Or a mapping.
        Values are whole numbers of any size, and "*" stands for all others.
    crosswalk_before
        `crosswalk` of BEFORE alone.
    crosswalk_after
        `crosswalk` of AFTER alone.
    legend
        YAML of class number to name, for maps that name no classes themselves. Or a mapping.
    align
        Maps on different grids: refuse, or give each pixel of the first the nearest class of the second. That
        is the class under its centre.
    date_before
        When BEFORE was taken, like 2001 or 2001-07-31; by default what its tags or names say.
    date_after
        When AFTER was taken.
    remove_slivers
        Take changes back that are narrower than 3 pixels: their pixels count as the class before at both
        dates. They are reported in any case.
    min_area
        Take changed areas of fewer hectares back. An area is 4-connected, whatever its pixels became.
    polygons
        Also write what changed as polygons, with both classes, dates and hectares (.gpkg .shp .fgb .parquet).
    strata_class
        Also write strata.yaml for a sample: loss and gain of this class, stable, and stable other.
    """

    written: ClassVar[frozenset[str]] = frozenset({"out", "polygons"})

    before: Path
    after: Path
    band_before: int | str | None = None
    band_after: int | str | None = None
    nodata_before: float | None = None
    nodata_after: float | None = None
    assume_crs_before: str | None = None
    assume_crs_after: str | None = None
    assume_transform_before: str | None = None
    assume_transform_after: str | None = None
    pixel_size_before: PixelSize | None = None
    pixel_size_after: PixelSize | None = None
    out: Path
    crosswalk: Path | dict[Any, Any] | None = None
    crosswalk_before: Path | dict[Any, Any] | None = None
    crosswalk_after: Path | dict[Any, Any] | None = None
    legend: Path | dict[int, str] | None = None
    align: Literal["refuse", "nearest"] = "refuse"
    date_before: str | int | None = None
    date_after: str | int | None = None
    remove_slivers: bool = False
    min_area: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    polygons: Path | None = None
    strata_class: str | int | None = None

    def names_at(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """What the options of one date are called in this job: by one name, where it says it of both maps."""
        return {key: name for key, name in names.items() if getattr(self, key, None) is None}

    def reading_at(self, names: Mapping[str, str]) -> ReadingOptions:
        """Options with which the map of one date (`BEFORE_NAMES` or `AFTER_NAMES`) is opened."""
        own = {key: value for key, value in reading_of(self, names).items() if value is not None}
        return cast(ReadingOptions, {**self.reading, **own})
