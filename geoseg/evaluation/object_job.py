"""What an evaluation of objects is asked to compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from geoseg.job import Job


class EvaluateObjectsJob(Job):
    """Scores of objects, as polygons, against those of a reference.

    Attributes
    ----------
    objects
        Polygons with a class, and with a score where there is one.
    reference
        Polygons of the objects that are there. Those with a field iscrowd that is not 0 (COCO), and those
        that the crosswalk ignores, are not to be found, nor is an object wrong that lies in one by half or
        more.
    objects_layer
        Layer of the objects where their file has several, by default ``objects``.
    field
        Field that holds the reference's class; may be left out where the objects are of one class.
    layer
        Layer of a vector reference with several.
    crosswalk
        YAML of reference value to class name or "ignore". Or a mapping.
    single_class
        The class of all features of a vector reference without a class field.
    aoi
        Polygons of the area where the reference is complete. Objects that lie outside by half or more are
        left out, of either layer.
    sizes
        Areas in square metres at which objects of one size end and those of the next begin, like 50,500.
    repair
        Repair invalid polygons instead of refusing them.
    encoding
        Encoding of a Shapefile that does not say it or says it wrongly, like cp1252.
    reference_crs
        CRS of a reference that has none, like EPSG:32720.
    out
        File scores.json to write; scores.csv comes to lie beside it. None writes nothing.
    """

    objects: Path
    reference: Path
    objects_layer: str | None = None
    field: str | None = None
    layer: str | None = None
    crosswalk: Path | dict[Any, Any] | None = None
    single_class: str | int | None = None
    aoi: Path | None = None
    sizes: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = [50.0, 500.0]  # noqa: RUF012 (pydantic copies)
    repair: bool = False
    encoding: str | None = None
    reference_crs: str | None = None
    out: Path | None = None

    @field_validator("sizes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("sizes")
    @classmethod
    def _ascending(cls, value: list[float]) -> list[float]:
        if sorted(set(value)) != value:
            raise ValueError("sizes ascend")
        return value
