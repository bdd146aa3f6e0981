"""A random forest from labelled polygons or points: scikit-learn grows it, arrays keep it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.baselines.features import LabelledPixels
from geoseg.baselines.job import FitJob
from geoseg.baselines.rule import Rule, table
from geoseg.errors import InputError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture


def fit_forest(job: FitJob, pixels: LabelledPixels, names: Sequence[str]) -> Rule:
    """Rule of a forest grown on all features, with the scores of forests that did not see the scored ones.

    Raises
    ------
    InputError
        Fewer than two features, so that none can be held out.
    """
    forest = _grow(job, pixels.values, pixels.positions, out_of_bag=True)
    counts, folds = _cross_validate(job, pixels)
    weights = forest_arrays(forest, len(pixels.legend))
    importance = sorted(zip(forest.feature_importances_, names, strict=True), reverse=True)
    return Rule(
        architecture=Architecture(
            name="random_forest",
            arguments={
                "nodes": weights["feature"].shape[1],
                "depths": [int(tree.tree_.max_depth) for tree in forest.estimators_],
            },
        ),
        weights=weights,
        legend=pixels.legend,
        mean=(0.0,) * len(names),
        std=(1.0,) * len(names),
        description=f"Random forest (Breiman 2001) of {job.trees} trees on single pixels.",
        confidence="mean share of the class in the leaves that a pixel falls into",
        scores=_scores(counts, pixels, folds),
        tables={
            "Scores": _score_text(counts, pixels, folds, float(forest.oob_score_)),
            "Importance of the bands": table(["band", "share"], [[n, f"{v:.1%}"] for v, n in importance]),
        },
    )


def _grow(
    job: FitJob, values: NDArray[Any], positions: NDArray[np.int64], *, out_of_bag: bool = False
) -> Any:
    import warnings

    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        job.trees,
        max_depth=job.depth,
        min_samples_leaf=job.leaf if len(values) > 20 * job.leaf else 1,
        class_weight="balanced",
        oob_score=out_of_bag,
        random_state=job.seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # few trees leave some pixels in every bag: they have no out-of-bag vote
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores")
        warnings.filterwarnings("ignore", message="invalid value encountered in divide")
        return forest.fit(values.astype(np.float32), positions)


def _cross_validate(job: FitJob, pixels: LabelledPixels) -> tuple[NDArray[np.int64], int]:
    """Confusion counts (K, K), rows labels, of pixels whose whole feature was held out; and the folds."""
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedGroupKFold

    features, first = np.unique(pixels.features, return_index=True)
    per_class = np.bincount(pixels.positions[first], minlength=len(pixels.legend))
    folds = int(min(job.folds, max(per_class[per_class > 0].min(), 2), len(features)))
    if len(features) < 2:
        raise InputError("one feature alone cannot be held out", where=job.labels, hint="more labels")
    # dealt out by feature, as one row each, so that large polygons do not decide which class goes where
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=job.seed)
    guess = np.full(len(pixels.positions), -1, np.int64)
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [features[test] for _, test in dealer.split(features, pixels.positions[first], features)]
    for part in parts:
        held = np.isin(pixels.features, part)
        if held.any() and not held.all():
            grown = _grow(job, pixels.values[~held], pixels.positions[~held])
            guess[held] = grown.predict(pixels.values[held].astype(np.float32))
    scored = guess >= 0
    classes = range(len(pixels.legend))
    counts = confusion_matrix(pixels.positions[scored], guess[scored], labels=list(classes))
    return counts.astype(np.int64), folds


def forest_arrays(forest: Any, classes: int) -> dict[str, NDArray[Any]]:
    """Weights of the architecture ``random_forest``, equal to a fitted RandomForestClassifier.

    Children are laid side by side. scikit-learn compares a float32 value with a double threshold; that
    threshold rounded down to a float32 decides every float32 alike.
    """
    trees = [tree.tree_ for tree in forest.estimators_]
    nodes = max(t.node_count for t in trees)
    feature = np.zeros((len(trees), nodes), np.int32)
    child = np.tile(np.arange(nodes, dtype=np.int32), (len(trees), 1))
    threshold = np.full((len(trees), nodes), np.finfo(np.float32).max, np.float32)
    share = np.zeros((len(trees), nodes, classes), np.float32)
    for t, tree in enumerate(trees):
        order, lefts = _breadth_first(tree.children_left, tree.children_right)
        inner = np.flatnonzero(lefts >= 0)
        feature[t, inner] = tree.feature[order[inner]]
        child[t, inner] = lefts[inner]
        threshold[t, inner] = _round_down(tree.threshold[order[inner]])
        value = tree.value[order, 0, :]
        share[t, : len(order), forest.classes_] = (value / value.sum(axis=1, keepdims=True)).T
    return {"feature": feature, "child": child, "threshold": threshold, "share": share}


def _breadth_first(
    left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(old number of each new node, new number of its left child or -1)."""
    order, lefts, waiting = [0], [-1] * len(left), deque([0])
    while waiting:
        new = waiting.popleft()
        old = order[new]
        if left[old] < 0:
            continue
        lefts[new] = len(order)
        waiting.extend((len(order), len(order) + 1))
        order.extend((int(left[old]), int(right[old])))
    return np.asarray(order), np.asarray(lefts)


def _round_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest)


def _measures(counts: NDArray[np.int64]) -> tuple[dict[str, NDArray[np.float64]], float, float]:
    """(IoU, F1, precision and recall (K,), overall accuracy, kappa); NaN where a class is in neither."""
    hits, rows, cols = np.diagonal(counts).astype(np.float64), counts.sum(axis=1), counts.sum(axis=0)
    total = max(int(counts.sum()), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_class = {
            "iou": hits / (rows + cols - hits),
            "f1": 2 * hits / (rows + cols),
            "precision": hits / cols,
            "recall": hits / rows,
        }
    accuracy, chance = float(hits.sum()) / total, float((rows / total * (cols / total)).sum())
    return per_class, accuracy, (accuracy - chance) / (1 - chance) if chance < 1 else float("nan")


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _scores(counts: NDArray[np.int64], pixels: LabelledPixels, folds: int) -> dict[str, Any]:
    per_class, accuracy, kappa = _measures(counts)
    classes = {
        name: {key: _number(v[k]) for key, v in per_class.items() if np.isfinite(v[k])}
        for k, name in enumerate(pixels.legend.names)
    }
    with np.errstate(invalid="ignore"):
        mean = float(np.nanmean(per_class["iou"]))
    return {
        "data": f"{counts.sum()} labelled pixels of {len(np.unique(pixels.features))} features, "
        f"each held out whole in one of {folds} folds",
        "classes": classes,
        "mean_iou": _number(mean),
        "overall_accuracy": _number(accuracy),
        "kappa": _number(kappa),
    }


def _score_text(counts: NDArray[np.int64], pixels: LabelledPixels, folds: int, out_of_bag: float) -> str:
    legend: Legend = pixels.legend
    per_class, accuracy, kappa = _measures(counts)
    first = np.unique(pixels.features, return_index=True)[1]
    features = np.bincount(pixels.positions[first], minlength=len(legend))
    rows = [
        [
            name,
            f"{features[k]}",
            f"{np.sum(pixels.positions == k):,}",
            *("-" if np.isnan(v[k]) else f"{v[k]:.3f}" for v in per_class.values()),
        ]
        for k, name in enumerate(legend.names)
    ]
    matrix = [[name, *(f"{n:,}" for n in line)] for name, line in zip(legend.names, counts, strict=True)]
    alone = [n for n, f in zip(legend.names, features, strict=True) if f == 1]
    note = (
        f"\n\n{', '.join(alone)}: one feature alone, so no forest that was asked about it had seen the class."
        if alone
        else ""
    )
    return (
        f"{folds}-fold cross-validation by feature: a polygon's pixels are scored by a forest that saw none "
        "of them. The forest that is stored grew on all features.\n\n"
        + table(["class", "features", "pixels", "IoU", "F1", "precision", "recall"], rows)
        + f"\n\nOverall accuracy **{accuracy:.3f}**, kappa {kappa:.3f}. Out of bag, where the pixels of one "
        f"polygon teach each other, it would be {out_of_bag:.3f}.{note}\n\n"
        + table([r"label \ map", *legend.names], matrix)
    )
