"""The input of a model and its classes as a person writes them: one YAML file, or options of a command."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from geoseg.errors import GeosegError, UsageError
from geoseg.job import Job
from geoseg.legend import Legend
from geoseg.models.contract import Band, InputContract

_WHOLE_RANGE = {"uint8": (0.0, 255.0)}


class BandForm(Job):
    """One band; a bare name is short for ``{name: ...}``."""

    name: str
    wavelength_nm: float | None = None
    description: str = ""


class InputForm(Job):
    """What a model takes and gives.

    Attributes
    ----------
    bands
        In the network's order: names, or mappings with ``wavelength_nm`` and ``description``.
    classes
        Names in the order of the network's outputs, which get the ids 1, 2, ..., or ``{id: name}`` in
        ascending order of id, which is then the order of the outputs.
    colors
        ``{id: '#RRGGBB'}``; a palette fills in.
    dtype, value_range
        Of the raw values; the range may be left out for uint8.
    scale, offset
        From raw values to the units of `mean` and `std`.
    mean, std
        One number per band, or one for all.
    pixel_size
        Smallest and largest in metres.
    """

    bands: tuple[BandForm, ...]
    classes: dict[int, str]
    colors: dict[int, str] = Field(default_factory=dict)
    dtype: str = "uint8"
    value_range: tuple[float, float] | None = None
    scale: float = 1.0
    offset: float = 0.0
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixel_size: tuple[float, float]

    @field_validator("bands", mode="before")
    @classmethod
    def _bare_names(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        return [{"name": v} if isinstance(v, str) else v for v in value]

    @field_validator("classes", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return dict(enumerate(value, start=1)) if isinstance(value, (list, tuple)) else value

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_for_all(cls, value: object) -> object:
        return (value,) if isinstance(value, (int, float)) else value

    @model_validator(mode="after")
    def _has_range(self) -> InputForm:
        if self.value_range is None and self.dtype not in _WHOLE_RANGE:
            raise ValueError(f"value_range is needed for {self.dtype}")
        return self

    def contract(self) -> InputContract:
        """The input contract; UsageError says which field does not fit."""
        mean, std = (v * len(self.bands) if len(v) == 1 else v for v in (self.mean, self.std))
        try:
            return InputContract(
                bands=tuple(
                    Band(name=b.name, wavelength_nm=b.wavelength_nm, description=b.description)
                    for b in self.bands
                ),
                dtype=self.dtype,
                value_range=self.value_range or _WHOLE_RANGE[self.dtype],
                scale=self.scale,
                offset=self.offset,
                mean=mean,
                std=std,
                pixel_size=self.pixel_size,
            )
        except GeosegError as error:
            raise UsageError(error.what, why=error.why) from None

    def legend(self) -> Legend:
        """The classes in the order of the network's outputs."""
        if list(self.classes) != sorted(self.classes):
            raise UsageError("classes are not in ascending order of id", why=f"found {list(self.classes)}")
        return Legend.of(self.classes, self.colors)
