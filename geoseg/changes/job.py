"""What a comparison of two dates is asked to compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from geoseg.raster.reading import PixelSize, Reading, ReadingOptions, reading_of

_KEYS = ("band", "nodata", "assume_crs", "assume_transform", "pixel_size")
BEFORE_NAMES: Mapping[str, str] = MappingProxyType({key: f"{key}_before" for key in _KEYS})
AFTER_NAMES: Mapping[str, str] = MappingProxyType({key: f"{key}_after" for key in _KEYS})
"""What the options of a raster are called at either date."""


class ChangeJob(Reading):
    """Transitions between two class maps.

    Attributes
    ----------
    before, after
        The class maps.
    band_before, band_after
        Their bands, where they have several: number from 1, or name. One file may be both dates.
    nodata_before, nodata_after
        Value that means no data in one map alone, instead of `nodata`.
    assume_crs_before, assume_crs_after
        CRS of one map alone, instead of `assume_crs`.
    assume_transform_before, assume_transform_after
        Transform of one map alone, instead of `assume_transform`.
    pixel_size_before, pixel_size_after
        Metres of a pixel's side in one map alone, instead of `pixel_size`.
    out
        Output folder: transitions.csv, transitions.json, change.tif.
    crosswalk
        YAML file or mapping ``{class name or id: new name, or "ignore"}`` for both maps; it may merge
        classes.
    crosswalk_before, crosswalk_after
        The same for one map alone, instead of `crosswalk`.
    legend
        YAML file or mapping ``{class number: name}`` for maps that name no classes themselves.
    align
        What to do when the maps are on different grids: refuse, or give each pixel of the map before the
        class that the map after has under its centre.
    """

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

    def reading_at(self, names: Mapping[str, str]) -> ReadingOptions:
        """Options with which the map of one date (`BEFORE_NAMES` or `AFTER_NAMES`) is opened."""
        own = reading_of(self, names)
        return cast(ReadingOptions, {k: self.reading.get(k) if v is None else v for k, v in own.items()})
