"""What an adaptation is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from geoseg.job import Place, split_bands
from geoseg.training.job import Labelled


class AdaptJob(Labelled):
    """A model, brought to a scene by a few labels on it: points, or polygons.

    Attributes
    ----------
    scene
        Path, list of paths, folder or pattern, as `predict` takes them.
    model
        Name or folder of the bundle to start from.
    out
        Folder of the new bundle.
    crosswalk
        YAML of label value to class of the model, or ignore. Or a mapping.
    bands
        Scene bands to feed, in the model's order: numbers from 1, or names, like 3,2,1. All by default.
    held_out
        Share of the points or polygons of each class that only score the model, before and after.
    steps
        Optimiser steps; a hundred take about two minutes on two cores.
    learning_rate
        Largest step; a smaller one keeps nearer to what the model knew.
    seed
        Same seed, same labels, same machine: same weights.
    """

    scene: Place | list[Place]
    model: Place
    out: Path
    crosswalk: Path | dict[Any, Any] | None = None
    bands: list[int | str] | None = None
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.3
    steps: Annotated[int, Field(ge=1)] = 100
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    seed: Annotated[int, Field(ge=0)] = 0

    _split_bands = field_validator("bands", mode="before")(split_bands)
