"""Panoptic quality: how many regions were found, and how well (Kirillov et al. 2019).

A region of the reference and one of the map match where they are of one class and their intersection is more
than half of their union; there is at most one such partner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions:
    """Regions of one layer.

    Attributes
    ----------
    size
        (n,) pixels of each.
    position
        (n,) of its class.
    """

    size: Whole
    position: Whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panoptic:
    """Regions by class that match, and that do not.

    Attributes
    ----------
    matched, missed, extra
        (K,) int64: pairs; regions of the reference, and of the map, without a partner.
    iou
        (K,) float64: sum of the intersections over unions of the pairs.
    things
        (K,) bool: classes whose regions are objects with ids; None where no region has one.
    """

    matched: Whole
    missed: Whole
    extra: Whole
    iou: NDArray[np.float64]
    things: NDArray[np.bool_] | None = None

    def __add__(self, other: Panoptic) -> Panoptic:
        """Both, counted together."""
        return Panoptic(
            matched=self.matched + other.matched,
            missed=self.missed + other.missed,
            extra=self.extra + other.extra,
            iou=self.iou + other.iou,
        )

    @property
    def recognition(self) -> NDArray[np.float64]:
        """RQ per class, the F1 of regions; NaN where there are none at all."""
        return _ratio(2 * self.matched, 2 * self.matched + self.missed + self.extra)

    @property
    def segmentation(self) -> NDArray[np.float64]:
        """SQ per class, mean intersection over union of the pairs; NaN without a pair."""
        return _ratio(self.iou, self.matched)

    @property
    def quality(self) -> NDArray[np.float64]:
        """PQ per class; NaN where there are no regions at all."""
        return _ratio(2 * self.iou, 2 * self.matched + self.missed + self.extra)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the map's regions that match; NaN where there are none."""
        return _ratio(self.matched, self.matched + self.extra)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the reference's regions that match; NaN where there are none."""
        return _ratio(self.matched, self.matched + self.missed)


def panoptic(
    reference: Regions,
    mapped: Regions,
    pairs: tuple[Whole, Whole],
    common: Whole,
    classes: int,
    void: Whole | None = None,
) -> Panoptic:
    """Match of regions whose common pixels are given as a sparse table.

    Parameters
    ----------
    reference, mapped
        Regions of either layer, with classes below `classes`.
    pairs
        (n,) regions of the reference and of the map that share pixels, every pair once.
    common
        (n,) pixels that they share.
    void
        Pixels of each region of the map where the reference says nothing: they are no part of a union, and a
        region of which they are more than half is not extra.
    """
    one, other = pairs
    void = np.zeros_like(mapped.size) if void is None else void
    union = reference.size[one] + mapped.size[other] - common - void[other]
    match = (reference.position[one] == mapped.position[other]) & (2 * common > union)
    position = reference.position[one[match]]
    ratios = common[match] / union[match]
    matched = np.bincount(position, minlength=classes)
    counts = 2 * void <= mapped.size
    counts[other[match]] = True
    return Panoptic(
        matched=matched,
        missed=np.bincount(reference.position, minlength=classes) - matched,
        extra=np.bincount(mapped.position[counts], minlength=classes) - matched,
        iou=np.array([math.fsum(ratios[position == k]) for k in range(classes)]),
    )


def _ratio(part: Whole | NDArray[np.float64], whole: Whole) -> NDArray[np.float64]:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
