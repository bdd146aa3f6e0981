"""A layer that knows classes, how it is to be read, and what it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from geoseg.raster.reading import OWN_NAMES, ReadingOptions

if TYPE_CHECKING:  # jobs name what is below, and are read before any array
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.geometry import Window
    from geoseg.legend import Legend

Overlap = Literal["refuse", "first", "last", "file"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TruthFile:
    """A layer, and how it is to be read.

    Attributes
    ----------
    path
        Raster of class numbers or colours, or polygons or points with a class field.
    field
        Field that holds the class; may be left out where only one can.
    layer
        Layer of a vector file with several.
    band
        Band of a raster with several, by number from 1 or by name.
    crosswalk
        YAML file or mapping ``{value: class name, id, or "ignore"}``; ``"*"`` stands for all other values,
        null for features without one. Without it, values are class names or ids.
    single_class
        The class of all features of a layer without a class field.
    background
        Class of pixels outside all polygons; without it they have none.
    reading
        What holds of a raster that its file does not say; of a vector only its CRS.
    overlap
        What polygons of different classes that overlap mean: ``refuse``; the class ``first`` or ``last`` in
        the crosswalk (without one: in the legend) wins; or the later feature in the ``file``.
    repair
        Repair invalid polygons instead of refusing them.
    encoding
        Of the text in a Shapefile or CSV that does not say it or says it wrongly.
    all_touched
        A pixel belongs to a polygon that touches it anywhere, not only to one that covers its centre.
    role, ground
        What the layer and the grid are called in messages.
    names
        Names of the options there that the job calls otherwise.
    """

    path: Path
    field: str | None = None
    layer: str | None = None
    band: int | str | None = None
    crosswalk: Path | Mapping[Any, Any] | None = None
    single_class: str | int | None = None
    background: str | int | None = None
    reading: ReadingOptions = dataclasses.field(default_factory=ReadingOptions)
    overlap: Overlap = "refuse"
    repair: bool = False
    encoding: str | None = None
    all_touched: bool = False
    role: str = "reference"
    ground: str = "map"
    names: Mapping[str, str] = dataclasses.field(default_factory=lambda: OWN_NAMES)


class Truth(Protocol):
    """Classes on a grid."""

    @property
    def kind(self) -> Literal["raster", "polygons", "points"]:
        """What the layer holds."""

    @property
    def legend(self) -> Legend:
        """The classes."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those that belong to it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it was read."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (h, w) of a window; 255 where there is none."""

    def fingerprint(self) -> Any:
        """What identifies the content; JSON-ready."""
