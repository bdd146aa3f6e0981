"""An index cut by thresholds, given or Otsu's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoseg.baselines.indices import INDICES, Index
from geoseg.baselines.job import FitJob
from geoseg.baselines.rule import Rule
from geoseg.baselines.sample import Sample
from geoseg.errors import InputError, UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.tables import markdown

_SUREST = 100  # a class whose members are all alike: the odds are e**100 at its mean, not infinite


def fit_index(job: FitJob, sample: Sample, names: Sequence[str], where: object) -> Rule:
    """Rule of a spectral index.

    Thresholds that are not given are Otsu's (1979; for more classes Liao et al. 2001) over the sampled
    values from -1 to 1: beyond lie negative reflectances and denominators near zero.

    Raises
    ------
    UsageError
        An index of reflectance on raw numbers.
    InputError
        A sample with one value.
    """
    index = INDICES[job.method]
    reflectance = sample.values.astype(np.float64) * job.scale + job.offset
    if index.reflectance and np.percentile(reflectance, 99) > 2:
        raise UsageError(
            f"{job.method} needs reflectance",
            where=where,
            why=f"values reach {np.percentile(reflectance, 99):g}, reflectance lies between 0 and 1",
            hint="`scale=0.0001` for reflectance x 10000, with `offset` where the product has one",
        )
    numerator, denominator = index.weights(names)
    values = index_values(reflectance, numerator, denominator)
    values = values[np.abs(values) <= 1]
    if len(values) == 0 or values.min() == values.max():
        found = f"{values[0]:g} everywhere" if len(values) else "none between -1 and 1"
        raise InputError(
            f"{job.method} does not vary over the scene, so no threshold parts it",
            where=where,
            why=f"found {found} in {len(sample.values)} sampled pixels",
            hint=f"check the bands' roles: `bands={','.join(f'{r}=NUMBER' for r in index.roles)}`",
        )
    steps = job.threshold or _otsu(values, job.number, job.method, where)
    # what the network compares with is float32; so is what the card says
    thresholds = np.asarray(steps, np.float32)
    odds = _steepness(values, thresholds.astype(np.float64))
    legend = _legend(job, index, thresholds)
    side = np.searchsorted(thresholds, values, side="left")
    rows = [
        [c.name, f"{np.mean(side == k):.1%}", f"{values[side == k].mean():.3f}" if (side == k).any() else "-"]
        for k, c in enumerate(legend.classes)
    ]
    how = "given" if job.threshold else "Otsu's"
    cuts = ", ".join(f"{t:.4g}" for t in thresholds)
    return Rule(
        architecture=Architecture(name="spectral_index"),
        weights={
            "numerator": numerator,
            "denominator": denominator,
            "thresholds": thresholds,
            "steepness": odds.astype(np.float32),
        },
        legend=legend,
        mean=(0.0,) * len(names),
        std=(1.0,) * len(names),
        scale=job.scale,
        offset=job.offset,
        description=f"{job.method.upper()} ({index.source}) cut at {cuts} ({how}).",
        confidence="posterior of two normal classes with one variance on either side of a threshold, "
        "as the sample has them: 50 % at the threshold",
        tables={
            "Classes in the sample": markdown(["class", "share", "mean index"], rows)
            + "\n\nA value that equals a threshold belongs to the lower class."
        },
    )


def index_values(
    pixels: NDArray[np.float64], numerator: NDArray[np.float32], denominator: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Index (n,) of pixels (n, B); 0 where the denominator is."""
    top = pixels @ numerator[:-1].astype(np.float64) + numerator[-1]
    bottom = pixels @ denominator[:-1].astype(np.float64) + denominator[-1]
    ratio: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)
    return ratio


def _otsu(values: NDArray[np.float64], classes: int, name: str, where: object) -> list[float]:
    from skimage.filters import threshold_multiotsu, threshold_otsu

    try:
        if classes == 2:
            return [float(threshold_otsu(values))]
        return [float(t) for t in threshold_multiotsu(values, classes=classes)]
    except ValueError as error:
        raise InputError(
            f"{name} cannot be cut into {classes} classes",
            where=where,
            why=str(error),
            hint="fewer `classes`, or `threshold`",
        ) from None


def _steepness(values: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K-1,) change of the log-odds per unit of the index at each threshold.

    Two normal classes with means a < b and one variance v have log-odds of slope (b - a) / v. Where a side is
    empty in the sample, the standard deviation of all values stands for v / (b - a).
    """
    side = np.searchsorted(thresholds, values, side="left")
    parts = [values[side == k] for k in range(len(thresholds) + 1)]
    variance = sum(((p - p.mean()) ** 2).sum() for p in parts if len(p)) / len(values)
    slopes = []
    for lower, upper in pairwise(parts):
        if len(lower) and len(upper):
            gap = upper.mean() - lower.mean()
            slopes.append(gap / max(variance, gap**2 / _SUREST))
        else:
            slopes.append(1 / values.std())
    return np.asarray(slopes)


def _legend(job: FitJob, index: Index, thresholds: NDArray[np.float32]) -> Legend:
    name, cuts = job.method.upper(), [f"{t:.3g}" for t in thresholds]
    words = [
        f"{name} up to {cuts[0]}",
        *(f"{name} {a} to {b}" for a, b in pairwise(cuts)),
        f"{name} above {cuts[-1]}",
    ]
    classes = dict(enumerate(words, start=1)) if not isinstance(job.classes, dict) else job.classes
    low, high = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (index.low, index.high))
    shares = np.linspace(0, 1, len(classes))
    colors = {
        i: "#" + "".join(f"{v:02X}" for v in np.round(low + share * (high - low)).astype(int))
        for i, share in zip(sorted(classes), shares, strict=True)
    }
    return Legend.of(classes, colors)
