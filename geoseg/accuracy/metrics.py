"""Scores as pure functions of a confusion matrix.

Every function takes ``counts``: (K, K) with rows reference and columns map, or (K, K + 1) where the last
column holds reference pixels on which the map says nothing; those count as wrong.

The rule for empty classes, everywhere: a class that is in neither the reference nor the map is NaN and is
left out of every mean. A class in only one of them scores 0. So no mean can rise or fall by a class that is
not there.

Source: Congalton & Green (2019), "Assessing the accuracy of remotely sensed data"; Long et al. (2015) for
frequency-weighted IoU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
PerClass = NDArray[np.float64]


def hits(counts: Counts) -> Counts:
    """Correct pixels per class, (K,)."""
    return np.ascontiguousarray(np.diagonal(counts))


def support(counts: Counts) -> Counts:
    """Reference pixels per class, (K,)."""
    total: Counts = counts.sum(axis=1)
    return total


def mapped(counts: Counts) -> Counts:
    """Map pixels per class, (K,), among the scored ones."""
    total: Counts = counts[:, : len(counts)].sum(axis=0)
    return total


def present(counts: Counts) -> NDArray[np.bool_]:
    """Classes that are in the reference or in the map, (K,)."""
    found: NDArray[np.bool_] = (support(counts) + mapped(counts)) > 0
    return found


def iou(counts: Counts) -> PerClass:
    """Intersection over union per class."""
    return _ratio(hits(counts), support(counts) + mapped(counts) - hits(counts), counts)


def dice(counts: Counts) -> PerClass:
    """Dice coefficient per class, the same number as F1."""
    return _ratio(2 * hits(counts), support(counts) + mapped(counts), counts)


def precision(counts: Counts) -> PerClass:
    """User's accuracy per class: of the pixels mapped as it, the share that is it."""
    return _ratio(hits(counts), mapped(counts), counts)


def recall(counts: Counts) -> PerClass:
    """Producer's accuracy per class: of the pixels that are it, the share mapped as it."""
    return _ratio(hits(counts), support(counts), counts)


def map_share(counts: Counts) -> PerClass:
    """Share of the scored pixels that the map gives to each class; NaN where nothing was scored."""
    total = int(counts.sum())
    return mapped(counts) / total if total else np.full(len(counts), np.nan)


def mean(per_class: PerClass) -> float:
    """Mean over the classes that are there (NaN left out); NaN if none is."""
    there = per_class[~np.isnan(per_class)]
    return float(there.mean()) if there.size else float("nan")


def mean_iou(counts: Counts) -> float:
    """Mean IoU over the classes that are in the reference or in the map."""
    return mean(iou(counts))


def macro_f1(counts: Counts) -> float:
    """Mean F1 over the classes that are in the reference or in the map."""
    return mean(dice(counts))


def frequency_weighted_iou(counts: Counts) -> float:
    """IoU weighted by each class's share of the reference; NaN where nothing was scored."""
    weights, total = support(counts), int(counts.sum())
    return float(np.nansum(iou(counts) * weights) / total) if total else float("nan")


def overall_accuracy(counts: Counts) -> float:
    """Share of the scored pixels that are right; NaN where nothing was scored."""
    total = int(counts.sum())
    return int(hits(counts).sum()) / total if total else float("nan")


def kappa(counts: Counts) -> float:
    """Cohen's kappa; NaN where chance alone would agree everywhere (one class in both, or nothing scored)."""
    total = int(counts.sum())
    # Python integers: the products of two counts pass 2**63 on large maps
    chance = sum(int(a) * int(b) for a, b in zip(support(counts), mapped(counts), strict=True))
    if chance == total * total:
        return float("nan")
    agreed = int(hits(counts).sum())
    return (agreed * total - chance) / (total * total - chance)


def _ratio(part: Counts, whole: Counts, counts: Counts) -> PerClass:
    """Part / whole; 0 where the class is in only one of the two maps, NaN where it is in neither."""
    result = np.where(present(counts), 0.0, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
