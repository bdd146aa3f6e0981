"""What a network of objects is taught by: the objects of a crop, and what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

UNKNOWN = 255
"""What no loss on pixels is taken of."""


def things_and_stuff(things: Sequence[int], classes: int) -> tuple[list[int], list[int]]:
    """Positions in a legend of so many classes of those that are things, and of the others, in order.

    ValueError where one of both is empty, or a position is none.
    """
    stuff = sorted(set(range(classes)) - set(things))
    if not things or not stuff or not set(things) <= set(range(classes)):
        raise ValueError(
            f"things are some of the positions 0 to {classes - 1}, not all, found {list(things)}"
        )
    return sorted(things), stuff


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectLabels:
    """Objects of one crop; no pixel is in two of them.

    Attributes
    ----------
    ids
        (H, W) int64: 0 no object, n the n-th object, -1 not known.
    classes
        (n,) int64 position of each object's class in the legend; an object may have no pixel.
    stuff
        (H, W) int64 position of the class of stuff; `UNKNOWN` in objects and where it is not known. Where no
        object is known, of things too. None where objects alone are taught.
    """

    ids: Tensor
    classes: Tensor
    stuff: Tensor | None = None

    def to(self, device: torch.device) -> ObjectLabels:
        """The same on another device."""
        return ObjectLabels(
            ids=self.ids.to(device),
            classes=self.classes.to(device),
            stuff=None if self.stuff is None else self.stuff.to(device),
        )

    def masks(self) -> tuple[Tensor, Tensor]:
        """(n, H, W) bool of the objects that have a pixel, and their classes (n,)."""
        seen = torch.unique(self.ids[self.ids > 0])
        return self.ids[None] == seen[:, None, None], self.classes[seen - 1]

    def classes_of_pixels(self) -> Tensor:
        """(H, W) position of every pixel's class, in objects too; `UNKNOWN` everywhere without any stuff."""
        if self.stuff is None or not bool((self.stuff != UNKNOWN).any()):
            return torch.full_like(self.ids, UNKNOWN)
        within = self.ids > 0
        classes = self.stuff.clone()
        classes[within] = self.classes[self.ids[within] - 1]
        return classes
