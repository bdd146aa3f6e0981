"""Reading: what holds of a raster that its file does not say; a part of every job that opens one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, cast

from pydantic import Field, field_validator, model_serializer, model_validator

from geoseg.errors import GeosegError, renamed
from geoseg.job import Job, Place

if TYPE_CHECKING:
    from affine import Affine

OWN_NAMES: Mapping[str, str] = MappingProxyType({})
"""Names of a job's fields for its first raster: those of `Reading` itself."""

_OF_THE_FIRST = ("mask", "mask_values")

PixelSize = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ReadingOptions(TypedDict, total=False):
    """Keyword arguments of `open_scene` and `open_class_map`; see `Reading`."""

    nodata: float | None
    assume_crs: Any
    assume_transform: str | Sequence[float] | Affine | None
    pixel_size: float | None
    allow_vrt: bool
    mask: str | PathLike[str] | None
    mask_values: Sequence[int] | None


class Reading(Job):
    """What holds of a raster that its file does not say.

    Attributes
    ----------
    nodata
        Value that means no data, instead of the file's own tag.
    assume_crs
        CRS where the file has none, like EPSG:32720.
    assume_transform
        Transform where the file has none, a,b,c,d,e,f: pixel width, 0, left, 0, -pixel height, top.
    pixel_size
        Metres of a pixel's side in a picture that lies nowhere, like a photograph. It is put on a flat
        plane of its own, where areas and lengths are right and only the place is not.
    allow_vrt
        Read VRT files; they can name other files, so only on request.
    mask
        Raster of which every value but 0 hides the pixel under it, like a map of clouds, or the product's
        own layer: scl (Sentinel-2 Level-2A) or qa_pixel (Landsat).
    mask_values
        Values of `mask` that hide, where not every one but 0 does: 1,2.
    """

    nodata: float | None = None
    assume_crs: str | None = None
    assume_transform: str | None = None
    pixel_size: PixelSize | None = None
    allow_vrt: bool = False
    mask: Place | None = None
    mask_values: list[int] | None = None

    @property
    def reading(self) -> ReadingOptions:
        """Options with which the job's first raster is opened."""
        return reading_of(self)

    @field_validator("mask_values", mode="before")
    @classmethod
    def _split_values(cls, value: object) -> object:
        """Values given as one text, ``1,2``."""
        return [v.strip() for v in value.split(",")] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_mask(self) -> Reading:
        if self.mask_values is not None and self.mask is None:
            raise ValueError("mask_values are of a mask, and none is named")
        return self

    @model_validator(mode="after")
    def _placed_once(self) -> Reading:
        if self.pixel_size is not None and (self.assume_crs or self.assume_transform):
            raise ValueError("pixel_size is for what lies nowhere; leave out assume_crs and assume_transform")
        return self

    @model_serializer(mode="wrap")
    def _said_last(self, handler: Any) -> dict[str, Any]:
        """Fields of the job itself, then what was said about reading; nothing for what was not."""
        values: dict[str, Any] = handler(self)
        said = {key: values.pop(key) for key in Reading.model_fields if key in values}
        return values | {k: v for k, v in said.items() if v is not None and v is not False}


def reading_of(job: Job, names: Mapping[str, str] = OWN_NAMES) -> ReadingOptions:
    """Options with which a raster of `job` is opened.

    Parameters
    ----------
    job
        Any job with the fields.
    names
        Field of `Reading` to the field of the job that says it for this raster; the same where not named.
        What hides the first raster hides no other.
    """
    keys = [key for key in Reading.model_fields if names is OWN_NAMES or key not in _OF_THE_FIRST]
    return cast(ReadingOptions, {key: getattr(job, names.get(key, key)) for key in keys})


@contextmanager
def called(names: Mapping[str, str]) -> Iterator[None]:
    """Errors from inside name options as the job does for this raster (see `reading_of`)."""
    try:
        yield
    except GeosegError as error:
        raise error.renamed(names) from None


def called_notes(notes: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Notes that name options as the job does for this raster."""
    return tuple(renamed(note, names) for note in notes)
