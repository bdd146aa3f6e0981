"""What a description of a landscape is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from geoseg.raster.reading import Reading


class LandscapeJob(Reading):
    """Landscape metrics of one class map.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, geoseg's own or any other, or of any codes with `crosswalk`.
    out
        CSV file to write: one row per class, and one for the landscape.
    legend
        YAML of class number to name, instead of the file's own names. Or a mapping.
    crosswalk
        YAML of value or name in the map to class name, number or "ignore"; it may merge. Or a mapping.
    band
        Band of the map where it has several, by number or name.
    neighbours
        Neighbours that make one patch: with those that share a corner only (8), or a side (4).
    count_boundary
        Count sides along nodata and the map's edge as edges.
    core_depth
        Metres from a class's edge at which its core begins, by default one pixel.
    """

    classes: Path
    out: Path
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    band: int | str | None = None
    neighbours: Literal["8", "4"] = "8"
    count_boundary: bool = False
    core_depth: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @field_validator("neighbours", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    @field_validator("out")
    @classmethod
    def _csv(cls, value: Path) -> Path:
        if value.suffix.lower() != ".csv":
            raise ValueError("expected a table: .csv")
        return value
