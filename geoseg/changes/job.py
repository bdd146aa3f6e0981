"""What a comparison of two dates is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from geoseg.job import Job


class ChangeJob(Job):
    """Transitions between two class maps.

    Attributes
    ----------
    before, after
        The class maps.
    band_before, band_after
        Their bands, where they have several: number from 1, or name. One file may be both dates.
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
    out: Path
    crosswalk: Path | dict[Any, Any] | None = None
    crosswalk_before: Path | dict[Any, Any] | None = None
    crosswalk_after: Path | dict[Any, Any] | None = None
    legend: Path | dict[int, str] | None = None
    align: Literal["refuse", "nearest"] = "refuse"
