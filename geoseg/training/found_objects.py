"""Objects that a network found beside those of the reference, counted at any score; and stuff beside it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matrix import confusion
from geoseg.accuracy.panoptic import Panoptic
from geoseg.engines.pixels import PROBABILITY_SCALE
from geoseg.engines.segments import TileSegments
from geoseg.legend import NODATA

_PART = 3  # an object of which less than one part in three is in the window is not judged there
_SCORES = np.arange(1, 20) / 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Objects found in some windows.

    Attributes
    ----------
    score
        (n,) float, 0 to 1, as the network gives it.
    position
        (n,) of its class in the legend.
    iou
        (n,) intersection over union with its partner in the reference, more than a half; 0 without one.
    half
        (n,) bool: which half of the windows it is in.
    reference
        (K,) objects of each class in the reference.
    stuff
        What classes of stuff match, each one region in a window; None where objects alone are known.
    """

    score: NDArray[np.float64]
    position: NDArray[np.intp]
    iou: NDArray[np.float64]
    half: NDArray[np.bool_]
    reference: NDArray[np.int64]
    stuff: Panoptic | None = None

    @classmethod
    def join(cls, parts: Sequence[Found]) -> Found:
        """All of them."""
        stuff = [p.stuff for p in parts if p.stuff is not None]
        return cls(
            score=np.concatenate([p.score for p in parts]),
            position=np.concatenate([p.position for p in parts]),
            iou=np.concatenate([p.iou for p in parts]),
            half=np.concatenate([p.half for p in parts]),
            reference=np.sum([p.reference for p in parts], axis=0),
            stuff=reduce(operator.add, stuff) if stuff else None,
        )

    def tempered(self, temperature: float) -> NDArray[np.float64]:
        """(n,) scores of which the log odds are divided by a temperature."""
        result: NDArray[np.float64] = 1 / (1 + np.exp(-self.log_odds() / temperature))
        return result

    def log_odds(self) -> NDArray[np.float64]:
        """(n,) log odds of the scores."""
        inside = np.clip(self.score, 1e-5, 1 - 1e-5)
        return np.asarray(np.log(inside) - np.log1p(-inside))

    def counts(self, least: float, temperature: float = 1.0) -> Panoptic:
        """Matches, by class, of the objects with at least that score."""
        kept = self.tempered(temperature) >= least
        position, iou = self.position[kept], self.iou[kept]
        classes = len(self.reference)
        matched = np.bincount(position[iou > 0], minlength=classes)
        return Panoptic(
            matched=matched,
            missed=self.reference - matched,
            extra=np.bincount(position, minlength=classes) - matched,
            iou=np.bincount(position, iou, minlength=classes).astype(np.float64),
        )

    def all_counts(self, least: float, temperature: float = 1.0) -> Panoptic:
        """Matches of objects and of stuff."""
        objects = self.counts(least, temperature)
        return objects if self.stuff is None else objects + self.stuff

    def best_score(self, temperature: float = 1.0) -> float:
        """Score of 0.05 to 0.95 with the best F1 over all classes; the nearest to 0.5 of equals."""
        by_value = {float(s): overall_f1(self.counts(s, temperature)) for s in _SCORES}
        return max(by_value, key=lambda s: (by_value[s], -abs(s - 0.5), s))


def overall_f1(found: Panoptic) -> float:
    """F1 over the objects of all classes; 0 where there are none."""
    matched = int(found.matched.sum())
    other = int(found.missed.sum() + found.extra.sum())
    return 2 * matched / max(2 * matched + other, 1)


def compare(
    reference: NDArray[np.int64],
    classes: NDArray[np.int64],
    segments: TileSegments,
    *,
    window: tuple[slice, slice],
    ids: Sequence[int],
    half: bool,
) -> Found:
    """Segments of a tile beside the reference in a window of it.

    An object is cut at the window's edges; found objects of which less than a third is inside are not judged.
    What is not known in the reference is in no union, and what mostly lies there is not judged either.

    Parameters
    ----------
    reference
        (h, w) numbers of objects from 1; 0 for none, -1 where it is not known.
    classes
        (m,) position of each object's class.
    window
        Rows and columns of the tile.
    ids
        Class ids of the legend.
    """
    found, table = segments.ids[window].astype(np.int64), segments.table
    known = reference >= 0
    inside = np.bincount(found.ravel(), minlength=len(table) + 1)[1:]
    judged = np.bincount(found[known], minlength=len(table) + 1)[1:]
    own = np.bincount(reference[known], minlength=len(classes) + 1)[1:]
    position = np.searchsorted(ids, table["class_id"])
    both = known & (reference > 0) & (found > 0)
    pairs, common = np.unique((reference[both] - 1) * (len(table) + 1) + found[both] - 1, return_counts=True)
    one, other = np.divmod(pairs, len(table) + 1)
    union = own[one] + judged[other] - common
    match = (classes[one] == position[other]) & (2 * common > union)
    iou = np.zeros(len(table))
    iou[other[match]] = common[match] / union[match]
    kept = (_PART * inside >= table["pixels"]) & (2 * judged > inside) | (iou > 0)
    return Found(
        score=table["score"][kept] / PROBABILITY_SCALE,
        position=position[kept],
        iou=iou[kept],
        half=np.full(int(kept.sum()), half),
        reference=np.bincount(classes[own > 0], minlength=len(ids)),
    )


def compare_stuff(reference: NDArray[np.int64], mapped: NDArray[np.uint8], ids: Sequence[int]) -> Panoptic:
    """Classes of stuff beside the reference, each one region, where the reference has stuff.

    Parameters
    ----------
    reference
        (h, w) positions in the legend; 255 where it is not known and in objects.
    mapped
        (h, w) class ids.
    ids
        Class ids of the legend.
    """
    position = np.full(NODATA + 1, NODATA, np.uint8)
    position[list(ids)] = np.arange(len(ids))
    counts = confusion(reference.astype(np.uint8), position[mapped], len(ids))
    own, other, common = counts.sum(axis=1), counts.sum(axis=0), np.diagonal(counts)
    union = own + other - common
    match = 2 * common > union
    return Panoptic(
        matched=match.astype(np.int64),
        missed=((own > 0) & ~match).astype(np.int64),
        extra=((other > 0) & ~match).astype(np.int64),
        iou=np.where(match, common / np.maximum(union, 1), 0.0),
    )
