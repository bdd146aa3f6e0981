"""What a sample's design and its status are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from geoseg.job import Job
from geoseg.raster.reading import Reading

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SampleDesignJob(Reading):
    """A probability sample of a class map.

    Attributes
    ----------
    classes
        Raster of class numbers 0 to 254, or ``change.tif`` of a comparison; 255 is nodata.
    out
        GeoPackage to write; without it nothing is drawn, and the allocations are shown.
    strata
        YAML of name to class, or list of classes, of the map, by default each a stratum; ``*`` stands for
        anything, and what stands under ``ignore`` is not assessed. Or of number to name, as a comparison of
        two maps writes it. Or a mapping.
    regions
        Polygons; every class in every region is a stratum, and what lies outside all of them is not assessed.
    regions_field
        Field of the regions that names them.
    regions_layer
        Layer of a regions file with several.
    buffer
        Make a stratum of the pixels of one class within this many pixels of another, like stable forest
        around loss. One omission in a large stratum of forest otherwise decides the whole error.
    buffer_around
        Class that the buffer lies around, by default the one that is called a loss.
    buffer_in
        Class that the buffer is cut from, by default the one that is called (stable) forest.
    method
        Draw in every stratum, or from the whole population at random or on a lattice with a random start, or
        from tiles drawn first.
    n
        Units in all.
    target_se
        As many units as give this standard error of the overall accuracy, like 0.01, or of the area of
        `target_class` as a share of the population.
    target_half_width
        As many units as give a 95 % interval of the area of `target_class` of this relative half width, like
        0.1 for the area within 10 %.
    target_class
        Class whose area the sample is for.
    expect
        YAML of stratum or class to its expected user's accuracy, or to a mapping of reference classes to
        expected shares. Or a mapping. Without it 0.85 is assumed of all.
    allocation
        How units go to strata.
    power
        Exponent of the power allocation: 0 is equal, 1 proportional.
    minimum
        Least units of a stratum, by default 50 but no more than half of an equal share of `n`.
    n_per_stratum
        YAML of stratum to its units, instead of an allocation. Or a mapping.
    seed
        Of the random numbers; the same seed draws the same units, and a larger n extends a smaller one.
    plot
        Side or diameter in pixels, odd, of a plot around each drawn pixel; by default the pixel itself.
    plot_shape
        Shape of plots.
    tile
        Side in pixels of the tiles of a two-stage sample.
    tiles
        Tiles that a two-stage sample draws.
    interpreters
        Names of several interpreters, like Ana,Ben.
    overlap
        Share of the units that all interpreters label, so that their agreement is known.
    extend
        Sample whose units and labels are kept, and added to.
    legend
        YAML of class number to name, instead of the file's own names. Or a mapping.
    crosswalk
        YAML of value or name in the map to class name, number or "ignore"; it may merge. Or a mapping.
        Values are whole numbers of any size, "*" stands for all others, and `legend` numbers the new classes.
    band
        Band of the map where it has several, by number or name.
    """

    classes: Path
    out: Path | None = None
    strata: Path | dict[Any, Any] | None = None
    regions: Path | None = None
    regions_field: str | None = None
    regions_layer: str | None = None
    buffer: Count | None = None
    buffer_around: str | None = None
    buffer_in: str | None = None
    method: Literal["stratified", "simple", "systematic", "two-stage"] = "stratified"
    n: Count | None = None
    target_se: Positive | None = None
    target_half_width: Positive | None = None
    target_class: str | None = None
    expect: Path | dict[Any, Any] | None = None
    allocation: Literal["equal", "proportional", "neyman", "power"] = "proportional"
    power: Annotated[float, Field(ge=0, le=1)] = 0.5
    minimum: Annotated[int, Field(ge=2)] | None = None
    n_per_stratum: Path | dict[Any, Any] | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    plot: Count | None = None
    plot_shape: Literal["square", "circle"] = "square"
    tile: Annotated[int, Field(ge=2)] | None = None
    tiles: Annotated[int, Field(ge=2)] | None = None
    interpreters: str | list[str] | None = None
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.1
    extend: Path | None = None
    legend: Path | dict[int, str] | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    band: int | str | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the interpreters; empty where nobody is named."""
        given = [self.interpreters] if isinstance(self.interpreters, str) else self.interpreters or []
        return tuple(dict.fromkeys(n.strip() for text in given for n in text.split(",") if n.strip()))

    @property
    def unit(self) -> str:
        """``pixel``, ``square K`` or ``circle K``."""
        return "pixel" if self.plot in (None, 1) else f"{self.plot_shape} {self.plot}"

    @field_validator("plot")
    @classmethod
    def _has_a_centre(cls, value: int | None) -> int | None:
        if value is not None and value % 2 == 0:
            raise ValueError("a plot has its pixel in the middle, so its side is odd")
        return value

    @model_validator(mode="after")
    def _one_size(self) -> SampleDesignJob:
        sizes = ("n", "target_se", "target_half_width", "n_per_stratum")
        given = [name for name in sizes if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"given are {' and '.join(given)}" if given else "none is given"
            raise ValueError(f"one of {', '.join(sizes)} says how large the sample is; {found}")
        if self.target_half_width is not None and self.target_class is None:
            raise ValueError("target_half_width needs target_class")
        if self.method == "two-stage":
            if self.tile is None or self.tiles is None or self.n is None:
                raise ValueError("method two-stage needs n, tile and tiles")
            if self.n < 2 * self.tiles:
                raise ValueError(
                    f"n {self.n} in {self.tiles} tiles: at least 2 in each, or their variance is not known"
                )
        elif self.tile is not None or self.tiles is not None:
            raise ValueError("tile and tiles are for method two-stage")
        if self.method != "stratified":
            only = ("n_per_stratum", "buffer", "n_per_stratum" if self.method == "simple" else "extend")
            wrong = next((name for name in only if getattr(self, name) is not None), None)
            if wrong is not None:
                raise ValueError(f"{wrong} is not for method {self.method}")
        if self.buffer is None and (self.buffer_around is not None or self.buffer_in is not None):
            raise ValueError("buffer_around and buffer_in need buffer")
        if self.regions is None and (self.regions_field is not None or self.regions_layer is not None):
            raise ValueError("regions_field and regions_layer need regions")
        return self


class SampleStatusJob(Job):
    """What has been labelled of a sample.

    Attributes
    ----------
    sample
        GeoPackage of a sample.
    """

    sample: Path


class SampleExportJob(Job):
    """The units of a sample for another program, or for one interpreter.

    Attributes
    ----------
    sample
        GeoPackage of a sample.
    out
        File to write: a table (.csv .xlsx), or the layer with its form alone (.gpkg).
    interpreter
        Only what this one is asked.
    ceo
        Write a CSV of plots for Collect Earth Online, of longitude, latitude, number and id.
    """

    sample: Path
    out: Path
    interpreter: str | None = None
    ceo: bool = False


class SampleImportJob(Job):
    """Answers from a file into a sample.

    Attributes
    ----------
    sample
        GeoPackage of a sample; the answers are written into it.
    answers
        Table (.csv .xlsx) or GeoPackage that was exported and filled in, or a download of plot data of
        Collect Earth Online.
    interpreter
        Who gave the answers, where the file does not say it.
    label_field
        Column with the class, where it is not called label: the question in Collect Earth Online.
    encoding
        Of the text in a CSV that is not UTF-8.
    """

    sample: Path
    answers: Path
    interpreter: str | None = None
    label_field: str | None = None
    encoding: str | None = None
