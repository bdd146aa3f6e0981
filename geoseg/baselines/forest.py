"""A random forest from labelled polygons or points: scikit-learn grows it, arrays keep it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.card import bundle_scores, class_table, confusion_table, overall_line
from geoseg.accuracy.matrix import confusion
from geoseg.baselines.features import LabelledPixels
from geoseg.baselines.job import FitJob
from geoseg.baselines.rule import Rule
from geoseg.legend import NODATA
from geoseg.models.architectures import Architecture
from geoseg.tables import markdown

_NOT_SCORED = (
    "No cross-validation was possible: every class has one feature alone, so that none can be held out. "
    "Split the features, or draw more of them."
)


def fit_forest(job: FitJob, pixels: LabelledPixels, names: Sequence[str]) -> Rule:
    """Rule of a forest grown on all features, with the scores of forests that did not see the scored ones.

    Where every class has one feature alone, none can be held out: there are no scores, and a note says so.
    """
    forest = _grow(job, pixels.values, pixels.positions, out_of_bag=True)
    held_out = _cross_validate(job, pixels)
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
        scores={}
        if held_out is None
        else bundle_scores(
            {"counts": held_out[0]},
            pixels.legend,
            f"{held_out[0].sum()} labelled pixels of {len(np.unique(pixels.features))} features, "
            f"each held out whole in one of {held_out[1]} folds",
        ),
        tables={
            "Scores": _NOT_SCORED
            if held_out is None
            else _score_text(*held_out, pixels, float(forest.oob_score_)),
            "Importance of the bands": markdown(["band", "share"], [[n, f"{v:.1%}"] for v, n in importance]),
        },
        notes=(*pixels.notes, *([_NOT_SCORED] if held_out is None else [])),
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


def _cross_validate(job: FitJob, pixels: LabelledPixels) -> tuple[NDArray[np.int64], int] | None:
    """Confusion counts (K, K), rows labels, of pixels whose whole feature was held out; and the folds.

    None where every class has one feature alone.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    features, first = np.unique(pixels.features, return_index=True)
    per_class = np.bincount(pixels.positions[first], minlength=len(pixels.legend))
    if per_class.max() < 2:
        return None
    folds = int(min(job.folds, max(per_class.min(), 2), len(features)))
    # dealt out by feature, as one row each, so that large polygons do not decide which class goes where
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=job.seed)
    guess = np.full(len(pixels.positions), NODATA, np.uint8)
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [features[test] for _, test in dealer.split(features, pixels.positions[first], features)]
    for part in parts:
        held = np.isin(pixels.features, part)
        if held.any() and not held.all():
            grown = _grow(job, pixels.values[~held], pixels.positions[~held])
            guess[held] = grown.predict(pixels.values[held].astype(np.float32))
    return confusion(pixels.positions.astype(np.uint8), guess, len(pixels.legend)), folds


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


def _score_text(counts: NDArray[np.int64], folds: int, pixels: LabelledPixels, out_of_bag: float) -> str:
    legend, evidence = pixels.legend, {"counts": counts}
    first = np.unique(pixels.features, return_index=True)[1]
    features, members = (
        np.bincount(p, minlength=len(legend)).tolist() for p in (pixels.positions[first], pixels.positions)
    )
    alone = [n for n, f in zip(legend.names, features, strict=True) if f == 1]
    note = (
        f"\n\n{', '.join(alone)}: one feature alone, so no forest that was asked about it had seen the class."
        if alone
        else ""
    )
    return (
        f"{folds}-fold cross-validation by feature: a polygon's pixels are scored by a forest that saw none "
        "of them. The forest that is stored grew on all features.\n\n"
        + class_table(evidence, legend, {"features": features, "pixels": members})
        + f"\n\n{overall_line(evidence)}. Out of bag, where the pixels of one polygon teach each other, the "
        f"accuracy would be {out_of_bag:.4f}.{note}\n\n" + confusion_table(counts, legend, r"label \ map")
    )
