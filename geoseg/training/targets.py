"""What of a scene's labels a network is taught: a class for every pixel, or the objects of a crop.

Of a window there is first a layer of whole numbers, which is turned, scaled and padded with the pixels; when
a batch is complete, the layers of its crops become what the loss takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import UsageError
from geoseg.geometry import Window
from geoseg.legend import NODATA, Legend
from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.object_rule import Task
from geoseg.truth.layer import Truth
from geoseg.truth.shapes import PolygonTruth

COPY = 1 << 29
"""Apart by multiples of this are the numbers, in a layer, of an object and of its copies."""

_PART = 3  # an object of which less than one part in three is seen is not taught


class Targets(Protocol):
    """What is taught of labels."""

    @property
    def names(self) -> tuple[str, ...]:
        """What crops are drawn for."""
        ...

    def places(self, labels: Truth, window: Window) -> NDArray[np.uint8]:
        """(h, w) place of every pixel's class among the names; 255 where nothing is taught."""
        ...

    @property
    def unknown(self) -> int:
        """Number of a layer's pixels of which nothing is known."""
        ...

    def check(self, labels: Truth) -> None:
        """UsageError where the labels cannot say what is to be taught."""
        ...

    def read(self, labels: Truth, window: Window) -> NDArray[Any]:
        """Layer (h, w) of a window."""
        ...

    def things_in(self, layer: Tensor, labels: Truth) -> Tensor:
        """Numbers (n,) of the objects that a layer shows."""
        ...

    def taught(self, layers: Sequence[Tensor], labels: Sequence[Truth]) -> Any:
        """What the loss takes, of the layers (S, S) of a batch and the labels that each was read from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelTargets:
    """A class for every pixel: layers are positions in the legend, uint8."""

    legend: Legend

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.legend.names

    @property
    def positions(self) -> NDArray[np.uint8]:
        """(256,) position of each class id in the legend; 255 elsewhere."""
        table = np.full(256, NODATA, np.uint8)
        table[list(self.legend.ids)] = np.arange(len(self.legend), dtype=np.uint8)
        return table

    @property
    def unknown(self) -> int:
        """255."""
        return NODATA

    def places(self, labels: Truth, window: Window) -> NDArray[np.uint8]:
        """Class positions (h, w)."""
        return self.positions[labels.read(window)]

    def check(self, labels: Truth) -> None:
        """Nothing: all labels say classes."""

    def read(self, labels: Truth, window: Window) -> NDArray[Any]:
        """Class positions (h, w)."""
        return self.places(labels, window)

    def things_in(self, layer: Tensor, labels: Truth) -> Tensor:
        """None: pixels belong to classes, not to objects."""
        return layer.new_empty(0)

    def taught(self, layers: Sequence[Tensor], labels: Sequence[Truth]) -> Tensor:
        """Class positions (N, S, S) int64."""
        return torch.stack(list(layers)).long()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectTargets:
    """Objects, one for each polygon of a class of things, and what lies between them.

    Between them is background where the legend has things alone; else classes of stuff, from polygons and
    from the background that the labels name. Layers are int32: 0 for background, 1 + number of the polygon
    that is seen. Not known is what lies in polygons without a class, in things of which less than a third is
    seen in the window, and, where stuff is taught, outside of all polygons of labels without a background.

    Where both are taught `apart`, polygons without a background still say that there is no object outside of
    them, though not what else; and other labels teach classes alone, of things too. Their layers are -2 -
    position.
    """

    legend: Legend
    apart: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, and where there are things alone the background.

        Of both apart the classes, things of rasters alone; objects; and where there is none.
        """
        if self.apart:
            pixels = (
                f"{c.name} without outlines" if c.kind == "thing" else c.name for c in self.legend.classes
            )
            return (*pixels, *(c.name for c in self.legend.things), "no object")
        return self.legend.names if self._stuff else (*self.legend.names, "background")

    @property
    def positions(self) -> NDArray[np.uint8]:
        """(256,) position of each class id in the legend, and behind them of the background."""
        table = PixelTargets(legend=self.legend).positions
        if not self._stuff:
            table[NODATA] = len(self.legend)
        return table

    @property
    def unknown(self) -> int:
        """-1."""
        return -1

    def places(self, labels: Truth, window: Window) -> NDArray[np.uint8]:
        """Places (h, w) among the names."""
        table = self.positions
        if self._is_polygons(labels) and self.apart:
            outlined = [*(c.id for c in self.legend.things), NODATA]
            table[outlined] = len(self.legend) + np.arange(len(outlined))
        return table[labels.read(window)]

    def check(self, labels: Truth) -> None:
        """UsageError where they are no polygons, or there are objects wherever there is none."""
        if not self._is_polygons(labels):
            return
        background = polygons_of(labels).background
        if background in self._things:
            raise UsageError(
                f"the background cannot be {self.legend.name(background)!r}",
                where=labels.files[0],
                why="one polygon is one object, and outside of all polygons there is none",
                hint="without `background`, or a class of stuff",
            )

    def read(self, labels: Truth, window: Window) -> NDArray[Any]:
        """Numbers of polygons (h, w)."""
        import shapely

        if not self._is_polygons(labels):
            position = self.positions[labels.read(window)]
            return np.where(position == NODATA, self.unknown, -2 - position.astype(np.int32))
        polygons, things = polygons_of(labels), self._things
        owners, place, pixels = np.unique(polygons.owners(window), return_inverse=True, return_counts=True)
        numbers = (owners + 1).astype(np.int32)
        for at in np.flatnonzero(owners >= 0).tolist():
            owner = int(owners[at])
            own = int(polygons.classes[owner])
            cut = _PART * int(pixels[at]) < shapely.area(polygons.shapes[owner])
            if own == NODATA or (cut and own in things):
                numbers[at] = self.unknown
        if self._stuff and polygons.background == NODATA and not self.apart:
            numbers[owners < 0] = self.unknown
        return numbers[place].reshape(window.shape)

    def things_in(self, layer: Tensor, labels: Truth) -> Tensor:
        """Numbers (n,) of the polygons of things that a layer shows; none of other labels."""
        if not self._is_polygons(labels):
            return layer.new_empty(0)
        seen: Tensor = torch.unique(layer)
        return seen[torch.from_numpy(self._is_thing(self._classes_of(seen, labels)))]

    def taught(self, layers: Sequence[Tensor], labels: Sequence[Truth]) -> tuple[ObjectLabels, ...]:
        """The objects of each crop."""
        return tuple(self.objects(layer, own) for layer, own in zip(layers, labels, strict=True))

    def objects(self, layer: Tensor, labels: Truth) -> ObjectLabels:
        """The objects of one layer (h, w), numbered from 1 as their polygons are, copies after them."""
        if not self._is_polygons(labels):
            ids, nothing = torch.full(layer.shape, self.unknown), torch.zeros(0, dtype=torch.int64)
            stuff = torch.where(layer == self.unknown, UNKNOWN, -2 - layer.long())
            return ObjectLabels(ids=ids, classes=nothing, stuff=stuff)
        seen, place = torch.unique(layer, return_inverse=True)
        own = self._classes_of(seen, labels)
        thing = torch.from_numpy(self._is_thing(own))
        position = torch.from_numpy(self.positions[own].astype(np.int64))
        ids = torch.where(thing, thing.cumsum(0), seen.clamp(max=0).long())
        if not self._stuff:
            return ObjectLabels(ids=ids[place], classes=position[thing])
        stuff = position.masked_fill(thing, UNKNOWN)
        return ObjectLabels(ids=ids[place], classes=position[thing], stuff=stuff[place])

    @staticmethod
    def _classes_of(seen: Tensor, labels: Truth) -> NDArray[np.uint8]:
        """Class id of each number in a layer; 255 without one."""
        polygons = polygons_of(labels)
        of_numbers = np.append(polygons.classes, polygons.background)  # number 0 is the last one
        own: NDArray[np.uint8] = of_numbers[(seen.clamp(min=0) % COPY - 1).numpy()]
        own[(seen < 0).numpy()] = NODATA
        return own

    def _is_thing(self, classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return np.isin(classes, list(self._things))

    def _is_polygons(self, labels: Truth) -> bool:
        """Whether they say objects; UsageError where they have to and do not."""
        return isinstance(labels, PolygonTruth) if self.apart else polygons_of(labels) is labels

    @property
    def _things(self) -> frozenset[int]:
        return frozenset(c.id for c in self.legend.things)

    @property
    def _stuff(self) -> bool:
        return len(self.legend.things) < len(self.legend)


def polygons_of(labels: Truth) -> PolygonTruth:
    """Labels as polygons; UsageError where they are something else."""
    if isinstance(labels, PolygonTruth):
        return labels
    raise UsageError(
        "objects are learnt from polygons",
        where=labels.files[0],
        why="a raster of classes does not say where one object ends and the next begins"
        if labels.kind == "raster"
        else "the layer holds points",
        hint="a layer of polygons, one for each object",
    )


TARGETS: Mapping[Task, type[PixelTargets] | type[ObjectTargets]] = MappingProxyType(
    {"semantic": PixelTargets, "instance": ObjectTargets, "panoptic": ObjectTargets}
)
"""By task of the architecture."""


def targets_of(tasks: Sequence[Task], legend: Legend) -> Targets:
    """What is taught to answer these tasks."""
    if len(tasks) > 1:
        return ObjectTargets(legend=legend, apart=True)
    return TARGETS[tasks[0]](legend=legend)
