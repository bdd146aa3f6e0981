"""Boundary IoU: how well the outlines agree, where plain IoU is dominated by the inside of large areas.

Cheng et al. (2021), "Boundary IoU: improving object-centric image segmentation evaluation". The boundary band
of a class is the set of its pixels that have a pixel of another class within `distance` (in rows and columns,
the square of 2 * distance + 1). Nodata and the edge of the map make no boundary; in the variant *with the
edge*, that of the authors' own code, pixels within `distance` of the map's edge are in the band too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import positions
from geoseg.geometry import Window
from geoseg.legend import NODATA, Legend

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoundaryCounts:
    """Pixels of boundary bands per class, among those with a class in both; additive over chunks.

    Attributes
    ----------
    distance
        Width of the bands in pixels.
    hits, reference, mapped
        (K,) int64: in the band of the class in both, in the reference, in the map.
    """

    distance: int
    hits: NDArray[np.int64]
    reference: NDArray[np.int64]
    mapped: NDArray[np.int64]

    @classmethod
    def sum(cls, parts: Iterable[BoundaryCounts], distance: int, classes: int) -> BoundaryCounts:
        """Sum of any number of parts; zero for none."""
        total = np.zeros((3, classes), np.int64)
        for part in parts:
            if part.distance != distance:
                raise ValueError(f"bands of {part.distance} and {distance} pixels")
            total += (part.hits, part.reference, part.mapped)
        return cls(distance=distance, hits=total[0], reference=total[1], mapped=total[2])

    @property
    def iou(self) -> NDArray[np.float64]:
        """Boundary IoU per class; NaN where neither has a boundary of it."""
        union = self.reference + self.mapped - self.hits
        result = np.full(union.shape, np.nan)
        np.divide(self.hits, union, out=result, where=union > 0)
        return result


def count_boundaries(
    reference: Labels,
    mapped: Labels,
    core: tuple[slice, slice],
    legend: Legend,
    distance: int,
    edge: NDArray[np.bool_] | None = None,
) -> BoundaryCounts:
    """Boundary counts of the core of two label arrays.

    Parameters
    ----------
    reference, mapped
        uint8 labels of the same shape, with `distance` more pixels around the core wherever the map goes on;
        255 is nodata.
    core
        (rows, columns) that are counted.
    legend
        Classes of both.
    distance
        Width of the bands in pixels, at least 1.
    edge
        Pixels of the core that are in the band anyway (`near_edge`), for the variant with the edge.
    """
    scored = ((reference != NODATA) & (mapped != NODATA))[core]
    near = False if edge is None else edge
    in_reference = (band(reference, distance)[core] | near) & scored
    in_map = (band(mapped, distance)[core] | near) & scored
    a, b = reference[core], mapped[core]
    position, k = positions(legend), len(legend)

    def tally(labels: Labels, where: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(position[labels[where]], minlength=k)[:k].astype(np.int64)

    return BoundaryCounts(
        distance=distance,
        hits=tally(a, in_reference & in_map & (a == b)),
        reference=tally(a, in_reference),
        mapped=tally(b, in_map),
    )


def band(labels: Labels, distance: int) -> NDArray[np.bool_]:
    """Where another class lies within `distance`: the least and the greatest class around differ."""
    from scipy import ndimage

    size = 2 * distance + 1
    least = ndimage.minimum_filter(labels, size, mode="nearest")  # 255 is greater than every class
    above = labels + np.uint8(1)  # 255 wraps to 0, less than every class
    greatest = ndimage.maximum_filter(above, size, mode="nearest") - np.uint8(1)
    different: NDArray[np.bool_] = (least != greatest) & (labels != NODATA)
    return different


def near_edge(window: Window, shape: tuple[int, int], distance: int) -> NDArray[np.bool_]:
    """Pixels (h, w) of a window that lie within `distance` of the edge of a map of that shape."""
    rows, cols = (
        (at < distance) | (at >= size - distance)
        for at, size in (
            (np.arange(window.row, window.row_end), shape[0]),
            (np.arange(window.col, window.col_end), shape[1]),
        )
    )
    near: NDArray[np.bool_] = rows[:, None] | cols[None, :]
    return near
