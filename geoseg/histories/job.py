"""What a series is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from geoseg.raster.reading import Reading

Whole = Annotated[int, Field(ge=1, le=1_000_000)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SeriesJob(Reading):
    """Class maps of several dates on one grid.

    Attributes
    ----------
    maps
        The maps, or folders with them. A file with several bands has a map of one date in each.
    out
        Output folder.
    dates
        YAML of file name, or of band, to date, where names, folders and tags do not tell. Or a mapping.
    band
        Band of the maps where they have several, by number from 1 or by name.
    legend
        YAML of class number to name, for maps that name no classes themselves. Or a mapping.
    crosswalk
        YAML of class name or id to new name or "ignore", for all maps; it may merge classes. Or a mapping.
    loss_of
        Class whose loss is sought, like forest; several together are one. By default those that are called
        forest.
    definition
        First loss: A from forest to something else, A2 of what was forest at every date until then, B after
        two dates of forest and for two dates at least.
    rules
        YAML of rules that the classes of a pixel must keep over time: a temporal filter. Or a mapping. See
        `geoseg.histories.rules.Rules`.
    confidence
        Rasters of confidence, or folders with them: one for each date that has one.
    estimates
        Files estimates.json of samples of single dates, whose areas and intervals then stand in areas.csv.
        The date is in the name of the file or of its folder.
    top
        Number of trajectories in trajectories.csv.
    no_events
        Leave out events.gpkg.
    touch
        Pixels of one event share an edge, or at least a corner.
    distance
        Metres up to which parts are one event.
    gap_years
        Years up to which losses side by side are one event. With 0 those of one date alone are.
    min_event
        Hectares below which an event is marked as small.
    chunk
        Side of one task's block, by default chosen by the number of dates. It never changes a number.
    """

    maps: tuple[Path, ...]
    out: Path
    dates: Path | dict[Any, Any] | None = None
    band: int | str | None = None
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    loss_of: tuple[str, ...] = ()
    definition: Literal["A", "A2", "B"] = "A"
    rules: Path | dict[Any, Any] | None = None
    confidence: tuple[str, ...] = ()
    estimates: tuple[Path, ...] = ()
    top: Whole = 100
    no_events: bool = False
    touch: Literal["edge", "corner"] = "edge"
    distance: Amount = 0.0
    gap_years: Amount = 0.0
    min_event: Amount = 0.0
    chunk: Annotated[int, Field(ge=16, le=32768)] | None = None

    @field_validator("loss_of", "confidence", "estimates", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        """One alone will do, too."""
        return (str(value),) if isinstance(value, str | Path) else value
