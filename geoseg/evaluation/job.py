"""What an evaluation is asked to compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from geoseg.job import Job
from geoseg.raster.reading import PixelSize, Reading, ReadingOptions, reading_of
from geoseg.truth.layer import Overlap

Resample = Literal["nearest", "majority", "fraction"]
"""How a finer reference comes onto map pixels."""

REFERENCE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "band": "reference_band",
        "nodata": "reference_nodata",
        "assume_crs": "reference_crs",
        "assume_transform": "reference_transform",
        "pixel_size": "reference_pixel_size",
    }
)
"""What the options of a raster are called where it is the reference."""

MAP_NAMES: Mapping[str, str] = MappingProxyType({"crosswalk": "map_crosswalk"})
"""What the options of a raster are called where it is the map."""


class ReferenceJob(Job):
    """The layer that a map is scored against, and how it is to be read.

    Attributes
    ----------
    reference
        Raster of class numbers or colours, or polygons or points with a class field.
    field
        Field that holds the class; may be left out where only one can.
    layer
        Layer of a vector reference with several.
    reference_band
        Band of a reference raster with several, by number from 1 or by name.
    crosswalk
        YAML of reference value to class name, id or "ignore"; "*" stands for all other values. Or a mapping;
        null stands for features without a value, which are left out otherwise. Without it, values are the
        map's own class names or ids.
    single_class
        The class of all features of a vector reference without a class field.
    background
        Class of pixels outside all polygons; without it they are not scored.
    reference_nodata
        Value of a reference raster that means no data, instead of the file's own tag.
    reference_crs
        CRS of a reference that has none, like EPSG:32720.
    reference_transform
        Transform of a reference raster that has none: ``a,b,c,d,e,f``.
    reference_pixel_size
        Metres of a pixel's side in a reference raster that lies nowhere.
    allow_vrt
        Read VRT files; they can name other files, so only on request.
    overlap
        Where polygons of different classes overlap, the class first or last in the crosswalk wins, or the
        later in the file. Without a crosswalk: first or last in the legend.
    repair
        Repair invalid polygons instead of refusing them.
    encoding
        Encoding of a Shapefile or CSV that does not say it or says it wrongly, like cp1252.
    """

    reference: Path
    field: str | None = None
    layer: str | None = None
    reference_band: int | str | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    single_class: str | int | None = None
    background: str | int | None = None
    reference_nodata: float | None = None
    reference_crs: str | None = None
    reference_transform: str | None = None
    reference_pixel_size: PixelSize | None = None
    overlap: Overlap = "refuse"
    repair: bool = False
    encoding: str | None = None
    allow_vrt: bool = False

    @property
    def reference_reading(self) -> ReadingOptions:
        """Options with which the reference is opened."""
        return reading_of(self, REFERENCE_NAMES)


class EvaluateJob(ReferenceJob, Reading):
    """Scores of a class map against a reference.

    Attributes
    ----------
    classes
        The class map.
    band
        Band of the map where it has several, by number from 1 or by name.
    legend
        YAML of class number to name, for a map that names no classes itself. Or a mapping.
    map_crosswalk
        YAML of value or name in the map to class name, number or "ignore", as `crosswalk` for a reference.
    out
        File scores.json to write; scores.csv and confusion.csv come to lie beside it. None writes nothing.
    resample
        How a finer reference comes onto map pixels: the class under their centre (nearest), the class of most
        of it (majority), or every part as a count of its own (fraction).
    boundary
        Also score boundaries (boundary IoU), in bands of this many pixels.
    boundary_edge
        Count the map's edge as a boundary there, as the authors' own code does.
    boundary_f1
        Also score outlines: the share that lies within this many metres of the other's, both ways.
    objects
        Also score 4-connected areas as objects: panoptic quality, and how many are found.
    instances, reference_instances
        Raster of ids of objects, 0 for none, on the map's grid: that of the map and that of the reference.
        Panoptic quality is then of these objects, and of stuff as one segment a class.
    confidence
        The map's confidence raster: how far it is from accuracy. Whole percent, or fractions 0 to 1.
    regions
        Polygons: scores of each of their names, in a table beside.
    regions_field
        Field that holds the names of `regions`.
    blocks
        Side in metres of spatial blocks: scores of each in a table beside, and intervals by drawing them
        again.
    errors
        GeoTIFF to write: which class was mapped as which.
    unmapped
        Whether reference pixels where the map has nodata are left out, or count as wrong. They are reported
        either way.
    """

    written: ClassVar[frozenset[str]] = frozenset({"out", "errors"})

    classes: Path
    band: int | str | None = None
    legend: Path | dict[int, str] | None = None
    map_crosswalk: Path | dict[Any, Any] | None = None
    out: Path | None = None
    resample: Resample = "nearest"
    boundary: Annotated[int, Field(ge=1, le=256)] | None = None
    boundary_edge: bool = False
    boundary_f1: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    objects: bool = False
    instances: Path | None = None
    reference_instances: Path | None = None
    confidence: Path | None = None
    regions: Path | None = None
    regions_field: str | None = None
    blocks: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    errors: Path | None = None
    unmapped: Literal["ignore", "error"] = "ignore"

    @model_validator(mode="after")
    def _of_whole_pixels(self) -> EvaluateJob:
        if self.boundary_edge and self.boundary is None:
            raise ValueError("boundary_edge needs boundary: the width of the bands")
        if (self.instances is None) != (self.reference_instances is None):
            raise ValueError(
                "instances and reference_instances go together: ids of the map and the reference"
            )
        if self.objects and self.instances is not None:
            raise ValueError("objects are 4-connected areas, or those of instances; one of them")
        if (self.regions is None) != (self.regions_field is None):
            raise ValueError("regions and regions_field go together: polygons, and the field of their names")
        if self.resample == "fraction" and (given := self.of_pixels):
            raise ValueError(f"{given} needs pixels of one class; resample=majority instead of fraction")
        return self

    @property
    def of_pixels(self) -> str | None:
        """Name of the first option given that asks for more than a confusion matrix of points."""
        names = (
            "boundary",
            "boundary_f1",
            "objects",
            "instances",
            "confidence",
            "regions",
            "blocks",
            "errors",
        )
        return next((name for name in names if getattr(self, name)), None)
