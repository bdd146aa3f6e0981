"""Views of a tile: the symmetries of the square, and the way back from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import Tta

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One symmetry of the square, on the last two axes of an array; every one is these three in a row.

    Attributes
    ----------
    flip
        Rows in reverse order.
    mirror
        Columns in reverse order.
    transpose
        Rows and columns exchanged, after the other two.
    """

    flip: bool = False
    mirror: bool = False
    transpose: bool = False

    def of(self, array: NDArray[T]) -> NDArray[T]:
        """The array (..., H, W) as this view shows it, (..., W, H) where it is transposed; no copy."""
        turned = self._reverse(array)
        return turned.swapaxes(-1, -2) if self.transpose else turned

    def undo(self, seen: NDArray[T]) -> NDArray[T]:
        """The array of which this view shows `seen`; no copy."""
        return self._reverse(seen.swapaxes(-1, -2) if self.transpose else seen)

    def _reverse(self, array: NDArray[T]) -> NDArray[T]:
        step: dict[bool, Any] = {False: slice(None), True: slice(None, None, -1)}
        return array[..., step[self.flip], step[self.mirror]]


def _all(*, transposed: bool) -> tuple[View, ...]:
    sides = (False, True) if transposed else (False,)
    return tuple(
        View(flip=flip, mirror=mirror, transpose=transpose)
        for transpose, flip, mirror in product(sides, (False, True), (False, True))
    )


VIEWS: Mapping[Tta, tuple[View, ...]] = MappingProxyType(
    {"none": (View(),), "flips": _all(transposed=False), "d4": _all(transposed=True)}
)
"""``flips``: as it is, flipped, mirrored, both. ``d4``: these transposed as well, which makes all right-angle
rotations and reflections (the dihedral group of the square)."""
