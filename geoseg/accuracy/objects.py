"""Scores of objects: which were found, how well, and how far scores rank them (COCO, SpaceNet).

Everything follows from a sparse table of pairs of objects that overlap, whether these are counted in pixels
or measured as areas of polygons.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
"""Intersections over union at which average precision is computed."""

_RECALLS = np.linspace(0, 1, 101)
_JUST_BELOW_ONE = 1 - 1e-10  # as in pycocotools, whose threshold is never above

Reals = NDArray[np.float64]
Wholes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectLayer:
    """Objects of one layer.

    Attributes
    ----------
    area
        (n,) of each, in the unit of the pairs.
    position
        (n,) of its class.
    score
        (n,); None where there is none: all are then as sure.
    """

    area: NDArray[Any]
    position: Wholes
    score: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.area)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlaps:
    """Pairs of objects of one class that share something, every pair once.

    Attributes
    ----------
    reference, mapped
        (n,) positions of the objects.
    iou
        (n,) intersection over union.
    excused
        (mapped objects,) share of each that lies in one thing that nobody is asked to find, COCO's crowd: by
        so much an object without a partner is not counted as wrong. None where there are no such things.
    """

    reference: Wholes
    mapped: Wholes
    iou: Reals
    excused: Reals | None = None

    @classmethod
    def of(
        cls,
        reference: ObjectLayer,
        mapped: ObjectLayer,
        pairs: tuple[Wholes, Wholes],
        common: NDArray[Any],
        excused: Reals | None = None,
    ) -> Overlaps:
        """Overlaps from what pairs have in common; pairs of two classes are left out."""
        one, other = pairs
        union = reference.area[one] + mapped.area[other] - common
        same = (reference.position[one] == mapped.position[other]) & (common > 0)
        iou = common[same] / union[same]
        return cls(reference=one[same], mapped=other[same], iou=np.asarray(iou, np.float64), excused=excused)

    def counted(self, partner: Wholes, threshold: float) -> NDArray[np.bool_]:
        """Mapped objects that are right or wrong at `threshold`: those with a partner, or without excuse."""
        if self.excused is None:
            return np.ones(len(partner), np.bool_)
        return (partner >= 0) | (self.excused < min(threshold, _JUST_BELOW_ONE))


def matched(overlaps: Overlaps, mapped: ObjectLayer, threshold: float) -> tuple[Wholes, Reals]:
    """(partner in the reference of every mapped object or -1, their intersection over union).

    In order of score, the best first and equal ones by position, each takes the free object that it fits best
    (of equal ones the last, as in pycocotools), if it fits by `threshold` or more.
    """
    partner, fit = np.full(len(mapped), -1, np.int64), np.zeros(len(mapped))
    good = np.flatnonzero(overlaps.iou >= min(threshold, _JUST_BELOW_ONE))
    one, other, iou = overlaps.reference[good], overlaps.mapped[good], overlaps.iou[good]
    # most pairs stand alone, and then there is nothing to choose
    alone = (_times(one) == 1) & (_times(other) == 1)
    partner[other[alone]], fit[other[alone]] = one[alone], iou[alone]
    rank = np.empty(len(mapped), np.int64)
    rank[by_score(mapped)] = np.arange(len(mapped))
    taken: set[int] = set()
    rest = np.flatnonzero(~alone)
    rest = rest[np.lexsort((-one[rest], -iou[rest], rank[other[rest]]))]
    for k in rest.tolist():
        if partner[other[k]] < 0 and int(one[k]) not in taken:
            taken.add(int(one[k]))
            partner[other[k]], fit[other[k]] = one[k], iou[k]
    return partner, fit


def by_score(mapped: ObjectLayer) -> Wholes:
    """Positions of objects in order of score, the best first, equal ones by position."""
    if mapped.score is None:
        return np.arange(len(mapped))
    return np.asarray(np.argsort(-np.asarray(mapped.score, np.float64), kind="stable"), np.int64)


def average_precision(found: NDArray[np.bool_], reference: int) -> float:
    """Mean precision at 101 recalls, of objects in order of score and of how many there are to find.

    NaN where there is none to find. Interpolated as in pycocotools.
    """
    if reference == 0:
        return math.nan
    right = np.cumsum(found)
    recall = right / reference
    precision = right / (np.arange(1, len(found) + 1) + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.concatenate([precision, [0.0]])[np.minimum(at, len(found))].mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectScores:
    """How objects of one class, or of one size, were found.

    Attributes
    ----------
    reference, mapped, matched
        Numbers of objects; matched are pairs whose intersection is half of their union or more.
    iou
        Mean intersection over union of the pairs (SQ); NaN without one.
    precision, recall, f1
        Of the objects at that threshold; F1 is RQ too. NaN where there are none.
    pq
        Panoptic quality, SQ times RQ.
    reference_area, mapped_area
        Areas of the objects together.
    ap, ap50
        Average precision over `THRESHOLDS`, and at a half; NaN where there is no reference, or no score.
    area_ratio
        Mean area of a mapped object as a share of that of a reference object.
    """

    reference: int
    mapped: int
    matched: int
    iou: float
    precision: float
    recall: float
    f1: float
    pq: float
    reference_area: float
    mapped_area: float
    ap: float = math.nan
    ap50: float = math.nan
    area_ratio: float = math.nan

    @classmethod
    def of(
        cls, reference: NDArray[Any], mapped: NDArray[Any], fits: Sequence[float], **further: float
    ) -> ObjectScores:
        """Scores from areas of the objects and from the fits of the pairs."""
        known, found, n, total = len(reference), len(mapped), len(fits), math.fsum(fits)
        areas = float(reference.sum()), float(mapped.sum())
        return cls(
            reference=known,
            mapped=found,
            matched=n,
            iou=_ratio(total, n),
            precision=_ratio(n, found),
            recall=_ratio(n, known),
            f1=_ratio(2 * n, known + found),
            pq=_ratio(2 * total, known + found),
            reference_area=areas[0],
            mapped_area=areas[1],
            area_ratio=_ratio(_ratio(areas[1], found), _ratio(areas[0], known)),
            **further,
        )


def score_objects(
    reference: ObjectLayer, mapped: ObjectLayer, overlaps: Overlaps, classes: int
) -> list[ObjectScores]:
    """Scores of every class, by its position."""
    tries = [matched(overlaps, mapped, threshold) for threshold in THRESHOLDS]
    counted = [overlaps.counted(found, t) for (found, _), t in zip(tries, THRESHOLDS, strict=True)]
    partner, fit = tries[0]
    ranked = by_score(mapped)
    scores = []
    for k in range(classes):
        of_class, there = mapped.position == k, reference.position == k
        precisions = [math.nan] * len(THRESHOLDS)
        if mapped.score is not None:
            precisions = [
                average_precision((found >= 0)[ranked[(of_class & known)[ranked]]], int(there.sum()))
                for (found, _), known in zip(tries, counted, strict=True)
            ]
        scores.append(
            ObjectScores.of(
                reference.area[there],
                mapped.area[of_class & counted[0]],
                fit[(partner >= 0) & of_class].tolist(),
                ap=float(np.mean(precisions)),
                ap50=precisions[0],
            )
        )
    return scores


def score_sizes(
    reference: ObjectLayer, mapped: ObjectLayer, overlaps: Overlaps, edges: Sequence[float]
) -> dict[tuple[float, float], ObjectScores]:
    """Scores of objects between two `edges` of area, from 0 up and to infinity.

    A pair counts for the size of its reference object, an object without a partner for its own.
    """
    partner, fit = matched(overlaps, mapped, THRESHOLDS[0])
    counted, paired = overlaps.counted(partner, THRESHOLDS[0]), partner >= 0
    own = np.asarray(mapped.area, np.float64).copy()
    own[paired] = reference.area[partner[paired]]
    limits = [0.0, *edges, math.inf]
    scores = {}
    for low, high in itertools.pairwise(limits):
        inside = counted & (own >= low) & (own < high)
        there = (reference.area >= low) & (reference.area < high)
        scores[low, high] = ObjectScores.of(
            reference.area[there], mapped.area[inside], fit[inside & paired].tolist()
        )
    return scores


def mean_scores(scores: Mapping[str, ObjectScores]) -> dict[str, float]:
    """Means over the classes that occur of PQ, SQ, RQ, F1, AP and AP50."""
    names = {"pq": "pq", "sq": "iou", "rq": "f1", "ap": "ap", "ap50": "ap50"}
    return {
        short: float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
        for short, name in names.items()
        for values in [np.array([getattr(s, name) for s in scores.values()], np.float64)]
    }


def _times(values: Wholes) -> Wholes:
    """(n,) how often each value occurs."""
    return np.asarray(np.bincount(values)[values], np.int64) if len(values) else np.zeros(0, np.int64)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
