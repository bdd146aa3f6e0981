"""What a labelled probability sample says of a map and of areas, and one record for each of it: `ESTIMATES`.

Every estimate of a class is a ratio of the one estimator (`geoseg.accuracy.design_based`), given by what a
unit counts above and below the line. Tables, files and pages walk the records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.design_based import Numbers, Ratio, Sample, TwoStageSample
from geoseg.accuracy.intervals import Estimate, Interval, wilson

_FEW = 5
_LARGE = 0.2
_MOST = 0.5

OfClass = Callable[[Numbers, Numbers], Numbers]
"""What each unit counts, (K, n), from its membership in the classes of map and reference, (K, n) each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassEstimate:
    """One estimate of every class: what it is called, what it is the ratio of, and what it means.

    Attributes
    ----------
    name
        Its key in JSON and the first part of its columns in CSV.
    heading
        What stands over its column.
    y, x
        What is above and below the line; all of the area where there is no `x`.
    rule
        What it is, in words.
    source
        Who defined it.
    """

    name: str
    heading: str
    y: OfClass
    x: OfClass | None
    rule: str
    source: str

    def of(self, labelled: Labelled) -> Ratio:
        """(K,) estimates."""
        mapped, truth = labelled.mapped, labelled.truth
        if self.x is None:
            return labelled.sample.mean(self.y(mapped, truth))
        return labelled.sample.ratio(self.y(mapped, truth), self.x(mapped, truth))


ESTIMATES = (
    ClassEstimate(
        name="area",
        heading="area",
        y=lambda _, truth: truth,
        x=None,
        rule="share of the area that is the class by the reference; the map enters through the strata alone",
        source="Olofsson et al. (2013)",
    ),
    ClassEstimate(
        name="users",
        heading="user's",
        y=lambda mapped, truth: mapped * truth,
        x=lambda mapped, _: mapped,
        rule="user's accuracy: of the area mapped as the class, the share that is it",
        source="Stehman (2014)",
    ),
    ClassEstimate(
        name="producers",
        heading="producer's",
        y=lambda mapped, truth: mapped * truth,
        x=lambda _, truth: truth,
        rule="producer's accuracy: of the area that is the class, the share mapped as it",
        source="Stehman (2014)",
    ),
    ClassEstimate(
        name="f1",
        heading="F1",
        y=lambda mapped, truth: 2 * mapped * truth,
        x=lambda mapped, truth: mapped + truth,
        rule="2 (mapped and is it) / (mapped + is it), a ratio of the same sample",
        source="Dice (1945)",
    ),
    ClassEstimate(
        name="iou",
        heading="IoU",
        y=lambda mapped, truth: mapped * truth,
        x=lambda mapped, truth: mapped + truth - mapped * truth,
        rule="(mapped and is it) / (mapped or is it), a ratio of the same sample",
        source="Jaccard (1912)",
    ),
)
"""Every estimate of a class, in the order in which people see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A sample of which map and reference are known.

    Attributes
    ----------
    sample
        The units and how they were drawn.
    mapped, truth
        (K, n) membership in each class, 0 to 1, in the map and in the reference; columns add to 1, or to 0
        for a unit whose class is none of them.
    """

    sample: Sample | TwoStageSample
    mapped: Numbers
    truth: Numbers

    @classmethod
    def of(cls, sample: Sample | TwoStageSample, mapped: object, truth: object, classes: int) -> Labelled:
        """From the position of each unit's class among the classes, (n,) each; a negative one is none."""
        own = np.arange(classes)[:, None]
        return cls(
            sample=sample,
            mapped=(own == np.asarray(mapped)).astype(np.float64),
            truth=(own == np.asarray(truth)).astype(np.float64),
        )

    def overall(self) -> Ratio:
        """Overall accuracy: share of the area whose class on the map is right."""
        return self.sample.mean((self.mapped * self.truth).sum(0))

    def cells(self) -> Ratio:
        """(K, K) shares of the area by class on the map (rows) and in the reference (columns)."""
        return self.sample.mean(self.mapped[:, None] * self.truth[None])

    def counts(self) -> Numbers:
        """(K, K) labelled units by class on the map (rows) and in the reference (columns)."""
        counts: Numbers = (self.mapped * self.sample.counts) @ self.truth.T
        return counts

    def share_of(self, part: Sequence[int], whole: Sequence[int]) -> Estimate:
        """Area of some classes as a share of that of others: loss in percent of earlier forest."""
        y, x = (self.truth[list(positions)].sum(0) for positions in (part, whole))
        return self.sample.ratio(y, x).one()

    def adjusted_area_se(self) -> Numbers:
        """(K,) standard errors of the areas from counts + ½: honest where few units carry the variance.

        NaN for samples in two stages.
        """
        if isinstance(self.sample, TwoStageSample):
            return np.full(len(self.truth), np.nan)
        sample, truth = self.sample.with_halves(self.truth)
        return sample.mean(truth).se

    def wilson_of_users(self, z: float) -> list[Interval]:
        """Wilson's interval of each user's accuracy, as if units mapped as the class were a simple sample."""
        n = (self.mapped * self.sample.counts).sum(1)
        hits = (self.mapped * self.truth * self.sample.counts).sum(1)
        return [wilson(float(h), float(m), z) for h, m in zip(hits, n, strict=True)]


class ThinStratum(NamedTuple):
    """A stratum in which too few units of a class were met for an honest interval of its area."""

    of_class: int
    stratum: int
    units: int


def thin_strata(labelled: Labelled) -> list[ThinStratum]:
    """Where intervals of an area may be too narrow (they cover less than they say).

    Fewer than five units of the class in one stratum carry more than half of the variance of its area, or the
    class was met elsewhere but not in a stratum of more than a fifth of the area.
    """
    sample, truth = labelled.sample, labelled.truth
    if isinstance(sample, TwoStageSample):
        return []
    parts = sample.mean(truth).parts
    shares = sample.strata.shares
    found = []
    for k in np.flatnonzero(truth.any(1)):
        met = np.bincount(sample.stratum, (truth[k] > 0) * sample.counts, len(shares))
        carried = parts[k] / (parts[k].sum() or 1)
        thin = ((met > 0) & (met < _FEW) & (carried > _MOST)) | ((met == 0) & (shares > _LARGE))
        found += [ThinStratum(int(k), int(h), int(met[h])) for h in np.flatnonzero(thin)]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the estimates would be if all units that nobody could label were wrong, or right.

    Attributes
    ----------
    overall
        Overall accuracy with all of them wrong, and all right.
    users
        (K, 2) likewise.
    area
        (K, 2) share of the area with none of them, and all of them, of the class.
    """

    overall: Interval
    users: Numbers
    area: Numbers


def bounds(labelled: Labelled, unknown: NDArray[np.bool_]) -> Bounds:
    """Bounds over all that units marked (n,) in `unknown` may be; `labelled` holds them without a truth."""
    sample, mapped = labelled.sample, labelled.mapped
    wrong = np.where(unknown, 0.0, labelled.truth)
    right, every = np.where(unknown, mapped, wrong), np.where(unknown, 1.0, wrong)
    overall = [float(sample.mean((mapped * truth).sum(0)).value) for truth in (wrong, right)]
    return Bounds(
        overall=(overall[0], overall[1]),
        users=np.stack([sample.ratio(mapped * truth, mapped).value for truth in (wrong, right)], 1),
        area=np.stack([sample.mean(truth).value for truth in (wrong, every)], 1),
    )
