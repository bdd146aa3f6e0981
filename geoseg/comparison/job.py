"""What a comparison of models is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from geoseg.evaluation.job import ReferenceJob
from geoseg.job import Place
from geoseg.raster.reading import Reading


class CompareJob(ReferenceJob, Reading):
    """Models side by side on one scene with a reference.

    Attributes
    ----------
    scene
        As for a prediction.
    model
        Names or folders of the models.
    out
        Output folder. It gets comparison.csv and comparison.json, and a folder with the maps of each model.
    bands
        Scene bands to feed, as for a prediction. All by default.
    map_crosswalk
        YAML of class in a map to class name of `crosswalk`, where models have other classes. Or a mapping.
    tile
        Side of the window that the models see, by default chosen by the scene's size.
    force
        Use models although their input contracts refuse; every refusal becomes a note.
    """

    scene: Place | list[Place]
    model: list[Place] = Field(min_length=1)
    out: Path
    bands: str | list[int | str] | None = None
    map_crosswalk: Path | dict[Any, Any] | None = None
    tile: int | None = None
    force: bool = False

    @field_validator("model", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value
