"""Labelled samples from the tables of counts that papers print."""

from __future__ import annotations

import numpy as np

from geoseg.accuracy.design_based import Sample, Strata
from geoseg.accuracy.estimates import Labelled

OLOFSSON_2014 = (
    [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]],
    [200_000, 150_000, 3_200_000, 6_450_000],
)


def labelled(counts, sizes, *, classes=None, mapped=None, **options):
    """Sample from counts (..., strata, reference classes); `mapped` holds the map's class of each stratum."""
    counts = np.asarray(counts, float)
    h, k = counts.shape[-2:]
    of_stratum = np.arange(h) if mapped is None else np.asarray(mapped)
    stratum, truth = np.repeat(np.arange(h), k), np.tile(np.arange(k), h)
    flat = counts.reshape(*counts.shape[:-2], h * k)
    sample = Sample.of_units(Strata.of(sizes), stratum, counts=flat, **options)
    return Labelled.of(sample, of_stratum[stratum], truth, classes or k)
