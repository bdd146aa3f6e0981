"""What is asked of a scene by prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from geoseg.engines.choice import Precision
from geoseg.job import Place, split_bands
from geoseg.raster.reading import Reading


class PromptJob(Reading):
    """Points and boxes on a scene, each to be answered with the outline of one object.

    Attributes
    ----------
    scene
        Path, list of paths (one file per band, or stacked), folder, or glob pattern.
    prompts
        Points, or polygons whose boxes are meant: GeoPackage, Shapefile, GeoJSON, FlatGeobuf, GeoParquet, or
        a table of places.
    model
        Name of a promptable model, or the folder of its bundle; by default the click network that comes with
        geoseg, for pictures in true colour.
    out
        File to write.
    group
        Field of PROMPTS by which points belong to one object.
    label
        Field of PROMPTS that says whether a point is in the object (1) or beside it (0); such points need a
        `group`.
    coarser
        Pixels of the scene along one that the model sees: 1, 2, 4 and so on. By default what the model takes;
        a box that does not fit into its window is seen as coarse as it has to be.
    square
        Give outlines right angles where they can have them, as buildings do: walls shorter than this many
        metres go, and an outline moves by no more than that or two of the pixels that the model sees.
    bands
        Scene bands to feed, in the model's order: numbers from 1, or names, like 3,2,1. All by default.
    layer
        Layer of PROMPTS where it has several.
    assume_crs_prompts
        CRS where PROMPTS has none, like EPSG:4326.
    encoding
        Of the text in a Shapefile or table that does not say it.
    device
        Where the network runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    precision
        Number format of the network: fp32, bf16 or fp16.
    force
        Use the model although its input contract refuses; every refusal becomes a note.
    """

    scene: Place | list[Place]
    prompts: Path
    model: Place = "clicks-rgb"
    out: Path
    group: str | None = None
    label: str | None = None
    coarser: Annotated[int, Field(ge=1, le=4096)] | None = None
    square: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    bands: list[int | str] | None = None
    layer: str | None = None
    assume_crs_prompts: str | None = None
    encoding: str | None = None
    device: str = "auto"
    precision: Precision = "auto"
    force: bool = False

    @field_validator("coarser")
    @classmethod
    def _power_of_two(cls, value: int | None) -> int | None:
        if value is not None and value & (value - 1):
            raise ValueError("is 1, 2, 4, 8 and so on")
        return value

    _split_bands = field_validator("bands", mode="before")(split_bands)
