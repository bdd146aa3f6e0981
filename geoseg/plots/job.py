"""What is asked of a map within plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from geoseg.raster.reading import Reading

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ZonesJob(Reading):
    """A map, a change or a series to be added up within plots.

    Attributes
    ----------
    source
        A class map; the folder of a change or its change.tif; or the folder of a series.
    plots
        Polygons or points: GeoJSON, GeoPackage, Shapefile, FlatGeobuf, GeoParquet, or a table of places.
    out
        File to write.
    before
        Class map of an earlier date, beside SOURCE as the map of the later one.
    cutoff
        Date after which loss counts, like 2020-12-31. By default all loss counts.
    date
        Date of SOURCE where its name does not tell.
    date_before
        Date of BEFORE where its name does not tell.
    loss_of
        Class whose loss counts, like forest; several together are one. By default those that are called
        forest.
    max_unknown
        Share of a plot that may be unknown, or outside the map, where nothing was found.
    min_loss
        Hectares that count as loss. By default half a pixel.
    confidence
        Raster of confidence on the map's grid. Its mean within each plot is given.
    area_field
        Field of the plots that says their hectares, to check points with.
    layer
        Layer of PLOTS where it has several.
    assume_crs_plots
        CRS where PLOTS has none, like EPSG:4326.
    encoding
        Of the text in a Shapefile or table that does not say it.
    band
        Band of the map where it has several, by number from 1 or by name.
    legend
        YAML of class number to name, for maps that name no classes themselves. Or a mapping.
    crosswalk
        YAML of class name or id to new name or "ignore"; it may merge classes. Or a mapping.
    """

    source: Path
    plots: Path
    out: Path
    before: Path | None = None
    cutoff: str | None = None
    date: str | None = None
    date_before: str | None = None
    loss_of: tuple[str, ...] = ()
    max_unknown: Share = 0.1
    min_loss: Amount | None = None
    confidence: Path | None = None
    area_field: str | None = None
    layer: str | None = None
    assume_crs_plots: str | None = None
    encoding: str | None = None
    band: int | str | None = None
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None

    @field_validator("loss_of", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        """One alone will do, too."""
        return (value,) if isinstance(value, str) else value

    @field_validator("cutoff", "date", "date_before", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """A day or a year may come as such."""
        return value if value is None else str(value)
