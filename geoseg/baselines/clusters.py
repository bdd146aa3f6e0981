"""K-means: classes that the pixels themselves form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geoseg.baselines.job import FitJob
from geoseg.baselines.rule import Rule
from geoseg.baselines.sample import Sample
from geoseg.errors import InputError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.tables import markdown

_MOST = 60_000
_STARTS = 5


def fit_clusters(job: FitJob, sample: Sample, names: Sequence[str], where: object) -> Rule:
    """Rule of k-means on standardised bands; clusters are numbered from dark to bright.

    Raises
    ------
    InputError
        A constant band, or fewer different pixels than clusters.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    mean, std = sample.mean, sample.std
    flat = np.flatnonzero(std == 0)
    if flat.size:
        raise InputError(
            "a band is constant over the scene",
            where=where,
            why=f"band {names[flat[0]]} is {mean[flat[0]]:g}",
            hint="leave it out with `bands`",
        )
    pixels = sample.values[:: max(-(-len(sample.values) // _MOST), 1)]
    different = len(np.unique(pixels, axis=0))
    if different < job.number:
        raise InputError(
            f"the scene has no {job.number} different pixels",
            where=where,
            why=f"the sample holds {different}",
        )
    standard = (pixels.astype(np.float64) - mean) / std
    with threadpool_limits(limits=1):  # sums of several threads end in another order on every run
        found = KMeans(job.number, n_init=_STARTS, random_state=job.seed).fit(standard)
    order = np.argsort(found.cluster_centers_.mean(axis=1), kind="stable")
    centres = found.cluster_centers_[order]
    share = np.bincount(found.labels_, minlength=job.number)[order] / len(pixels)
    # of a band within a class; the floor keeps the logits of classes without any spread finite
    variance = max(float(found.inertia_) / standard.size, 1e-6)
    if isinstance(job.classes, dict):
        legend = Legend.of(job.classes)
    else:
        legend = Legend.of({k: f"cluster {k}" for k in range(1, job.number + 1)})
    rows = [
        [c.name, f"{s:.1%}", *(f"{v:.5g}" for v in centre * std + mean)]
        for c, s, centre in zip(legend.classes, share, centres, strict=True)
    ]
    return Rule(
        architecture=Architecture(name="nearest_centre"),
        weights={
            "centres": centres.astype(np.float32),
            "variance": np.array([variance], np.float32),
        },
        legend=legend,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        description=f"k-means with {job.number} clusters on standardised bands, from dark to bright. "
        "Clusters are no classes until someone has looked at them and named them.",
        confidence="posterior of equally frequent normal clusters with one variance in all directions",
        tables={"Clusters": "Raw means of the bands.\n\n" + markdown(["cluster", "share", *names], rows)},
    )
