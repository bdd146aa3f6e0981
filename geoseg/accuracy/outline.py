"""Boundary F1: how many pixels of outlines lie within some metres of the other layer's outlines.

Csurka, Larlus & Perronnin (2013), "What is a good evaluation measure for semantic segmentation?". A pixel is
on the outline of its class where a side neighbour is of another class; nodata and the map's edge make none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA, Legend

Labels = NDArray[np.uint8]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutlineCounts:
    """Pixels of outlines per class, among those with a class in both; additive over chunks.

    Attributes
    ----------
    metres
        Distance within which they count as found.
    mapped, mapped_near, reference, reference_near
        (K,) int64: on the outline in the map, and of those near the reference's; and the other way round.
    """

    metres: float
    mapped: Whole
    mapped_near: Whole
    reference: Whole
    reference_near: Whole

    @classmethod
    def sum(cls, parts: Iterable[OutlineCounts], metres: float, classes: int) -> OutlineCounts:
        """Sum of any number of parts; zero for none."""
        total = np.zeros((4, classes), np.int64)
        for part in parts:
            total += (part.mapped, part.mapped_near, part.reference, part.reference_near)
        return cls(
            metres=metres,
            mapped=total[0],
            mapped_near=total[1],
            reference=total[2],
            reference_near=total[3],
        )

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the map's outline that is near the reference's, per class; NaN where there is none."""
        return _ratio(self.mapped_near, self.mapped)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the reference's outline that is near the map's, per class; NaN where there is none."""
        return _ratio(self.reference_near, self.reference)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of both; 0 where only one layer has an outline, NaN where neither has."""
        p, r = np.nan_to_num(self.precision), np.nan_to_num(self.recall)
        result = np.where(self.mapped + self.reference > 0, 0.0, np.nan)
        np.divide(2 * p * r, p + r, out=result, where=p + r > 0)
        return result


def reach(metres: float, pixel: tuple[float, float]) -> int:
    """Pixels around a window that decide what lies within so many metres of its pixels (width, height)."""
    return math.ceil(metres / min(pixel)) + 1


def count_outlines(
    reference: Labels,
    mapped: Labels,
    core: tuple[slice, slice],
    legend: Legend,
    metres: float,
    pixel: tuple[float, float],
) -> OutlineCounts:
    """Outline counts of the core of two label arrays.

    Parameters
    ----------
    reference, mapped
        uint8 labels of the same shape, with `reach` more pixels around the core wherever the map goes on; 255
        is nodata.
    core
        (rows, columns) that are counted.
    legend
        Classes of both.
    metres
        Distance, Euclidean between centres of pixels.
    pixel
        (width, height) of a pixel in metres.
    """
    known = (reference != NODATA) & (mapped != NODATA)
    truth, found = (np.where(known, labels, np.uint8(NODATA)) for labels in (reference, mapped))
    outlines = [_outline(labels) for labels in (truth, found)]
    total = np.zeros((4, len(legend)), np.int64)
    for k, class_id in enumerate(legend.ids):
        of_truth, of_map = (
            on & (labels == class_id) for on, labels in zip(outlines, (truth, found), strict=True)
        )
        total[0, k], total[1, k] = _near(of_map, of_truth, core, metres, pixel)
        total[2, k], total[3, k] = _near(of_truth, of_map, core, metres, pixel)
    return OutlineCounts(
        metres=metres, mapped=total[0], mapped_near=total[1], reference=total[2], reference_near=total[3]
    )


def _near(
    own: NDArray[np.bool_],
    other: NDArray[np.bool_],
    core: tuple[slice, slice],
    metres: float,
    pixel: tuple[float, float],
) -> tuple[int, int]:
    """(pixels of the core on an outline, those of them near the other one)."""
    here = own[core]
    count = int(np.count_nonzero(here))
    if count == 0 or not other.any():
        return count, 0
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(~other, sampling=pixel[::-1])[core]
    return count, int(np.count_nonzero(here & (distance <= metres * (1 + 1e-9))))


def _outline(labels: Labels) -> NDArray[np.bool_]:
    on = np.zeros(labels.shape, np.bool_)
    for axis in (0, 1):
        one, other = (labels[:-1], labels[1:]) if axis == 0 else (labels[:, :-1], labels[:, 1:])
        differ = (one != other) & (one != NODATA) & (other != NODATA)
        if axis == 0:
            on[:-1] |= differ
            on[1:] |= differ
        else:
            on[:, :-1] |= differ
            on[:, 1:] |= differ
    return on


def _ratio(part: Whole, whole: Whole) -> NDArray[np.float64]:
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
