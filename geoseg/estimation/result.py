"""What an estimation found, in every form that is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from geoseg.accuracy.design_based import Sample
from geoseg.accuracy.disagreement import disagreement
from geoseg.accuracy.estimates import ESTIMATES, Labelled
from geoseg.accuracy.intervals import Estimate, z_of
from geoseg.estimation.job import Shown
from geoseg.estimation.observed import Answered, Observed
from geoseg.legend import Legend
from geoseg.results import json_ready
from geoseg.tables import csv_text
from geoseg.version import __version__

RULES = {
    "matrix": "rows are the class on the map, columns the class in the reference; counts are units, shares "
    "are of the area",
    "se": "standard error by the design of the sample; intervals are estimate ± z se, cut to what can be",
    "adjusted": "interval of the area with the variance from counts + 1/2 in every stratum",
    "wilson": "Wilson's interval of user's accuracy, as if units mapped as the class were a simple sample",
    "lowest, highest": "the estimate if all units that could not be labelled were wrong (or of another "
    "class), or right (or of the class)",
    "overall": "share of the area whose class on the map is right",
    "disagreement": "shares of the area: quantity and allocation (Pontius & Millones 2011), of that exchange "
    "and shift (Pontius & Santacruz 2014)",
    **{e.name: e.rule for e in ESTIMATES},
}
"""The rules in words, as they stand in every estimates.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRatio:
    """Area of some classes as a share of that of others."""

    name: str
    part: tuple[str, ...]
    whole: tuple[str, ...]
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Accuracies and areas with their standard errors.

    Attributes
    ----------
    observed
        The sample with its design.
    answered
        The part of it that has been labelled.
    confidence
        Of the intervals.
    fpc
        Whether variances know that the population is finite.
    interval
        Which interval of areas is shown; both are written.
    ratios
        Ratios of areas that were asked for.
    notes
        What the user should know.
    provenance
        Digests of the inputs, and the job.
    """

    observed: Observed
    answered: Answered
    confidence: float = 0.95
    fpc: bool = True
    interval: Shown = "standard"
    ratios: tuple[AreaRatio, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def legend(self) -> Legend:
        """Classes."""
        return self.observed.legend

    @property
    def labelled(self) -> Labelled:
        """The labelled units."""
        return self.answered.labelled

    @property
    def z(self) -> float:
        """Standard errors of half an interval."""
        return z_of(self.confidence)

    @property
    def hectares(self) -> float | None:
        """Area of the population; None where it is not known, and only shares are."""
        return self.observed.hectares

    @property
    def scored(self) -> bool:
        """Whether there is a map, so that accuracies mean something."""
        return bool(self.labelled.mapped.any())

    @cached_property
    def overall(self) -> dict[str, Any]:
        """Overall accuracy: estimate, se, low, high; lowest and highest where units could not be labelled."""
        if not self.scored:
            return {"estimate": math.nan, "se": math.nan, "low": math.nan, "high": math.nan}
        found = _spelled("", self.labelled.overall().one(), self.z)
        limits = self.answered.limits
        if limits is not None:
            found |= {"lowest": limits.overall[0], "highest": limits.overall[1]}
        if self.answered.either is not None:
            either = self.labelled.sample.mean(self.answered.either).one()
            found |= {"either_label": either.value, "either_label_se": either.se}
        return found

    @cached_property
    def per_class(self) -> list[dict[str, Any]]:
        """One record per class, in the order of the legend; NaN where the sample says nothing."""
        labelled, limits, z = self.labelled, self.answered.limits, self.z
        estimates = {e.name: e.of(labelled) for e in ESTIMATES}
        adjusted, wilson = labelled.adjusted_area_se(), labelled.wilson_of_users(z)
        counts = labelled.counts()
        records = []
        for k, c in enumerate(self.legend.classes):
            own = {name: self._known(k, name, ratio.one(k)) for name, ratio in estimates.items()}
            record: dict[str, Any] = {"id": c.id, "class": c.name, **self._areas(k, own["area"], adjusted[k])}
            for name, estimate in own.items():
                record |= _spelled(name, estimate, z)
            record |= {"users_wilson_low": wilson[k][0], "users_wilson_high": wilson[k][1]}
            if limits is not None:
                for name, pair in (("area", limits.area[k]), ("users", limits.users[k])):
                    record |= {f"{name}_lowest": float(pair[0]), f"{name}_highest": float(pair[1])}
            record |= {
                "map_units": float(counts[k].sum() + self._unmatched(k)),
                "reference_units": float((labelled.truth[k] * labelled.sample.counts).sum()),
            }
            records.append(record)
        return records

    def _known(self, k: int, name: str, estimate: Estimate) -> Estimate:
        """An estimate of a class, without what the sample cannot tell.

        Of a class that no unit was met of, no error can be told; without a map, no accuracy.
        """
        if name != "area":
            return estimate if self.scored else Estimate(value=math.nan, se=math.nan)
        everything = isinstance(self.labelled.sample, Sample) and bool(
            (self.labelled.sample.n >= self.labelled.sample.strata.sizes).all()
        )
        met = bool(self.labelled.truth[k].any()) or everything
        return estimate if met else Estimate(value=estimate.value, se=math.nan)

    def _unmatched(self, k: int) -> float:
        """Units mapped as a class whose reference is none of the classes, in part or whole."""
        labelled = self.labelled
        return float((labelled.mapped[k] * (1 - labelled.truth.sum(0))).sum())

    def _areas(self, k: int, share: Estimate, adjusted: float) -> dict[str, float]:
        """Hectares of a class on the map and by the sample, with both intervals."""
        whole = math.nan if self.hectares is None else self.hectares
        own = share.times(whole)
        wide = Estimate(value=own.value, se=float(adjusted) * whole)
        (low, high), (wide_low, wide_high) = (e.interval(self.z, high=whole) for e in (own, wide))
        mapped = self.observed.mapped or {}
        return {
            "mapped_ha": mapped.get(self.legend.ids[k], math.nan if not mapped else 0.0),
            "area_ha": own.value,
            "area_ha_se": own.se,
            "area_ha_low": low,
            "area_ha_high": high,
            "area_ha_adjusted_se": wide.se,
            "area_ha_adjusted_low": wide_low,
            "area_ha_adjusted_high": wide_high,
        }

    @cached_property
    def matrix(self) -> dict[str, Any]:
        """Units, shares of the area and their standard errors, by class on the map and in the reference."""
        cells = self.labelled.cells()
        return {
            "classes": list(self.legend.names),
            "counts": self.labelled.counts(),
            "shares": cells.value,
            "se": cells.se,
        }

    @cached_property
    def disagreement(self) -> dict[str, Any]:
        """Shares of the area on which map and reference disagree, by kind; over all and by class."""
        parts = disagreement(self.labelled.cells().value)
        names = ("quantity", "allocation", "exchange", "shift")
        return {
            **parts.whole,
            "classes": {
                c: {name: float(getattr(parts, name)[k]) for name in names}
                for k, c in enumerate(self.legend.names)
            },
        }

    @cached_property
    def per_stratum(self) -> list[dict[str, Any]]:
        """One record per stratum: its size, its units by state, and its labels by class."""
        sample, records = self.labelled.sample, []
        for h, (stratum, states) in enumerate(zip(self.observed.strata, self.answered.states, strict=True)):
            labels = {}
            if isinstance(sample, Sample):
                here = sample.stratum == h
                labels = {
                    name: float(self.labelled.truth[k, here].sum())
                    for k, name in enumerate(self.legend.names)
                }
            records.append(
                {
                    "stratum": stratum.name,
                    "pixels": stratum.units,
                    "hectares": math.nan if stratum.hectares is None else stratum.hectares,
                    "labelled": states[0],
                    "unknown": states[1],
                    "left": states[2],
                    **{f"is {name}": n for name, n in labels.items()},
                }
            )
        return records

    @property
    def ratio_records(self) -> list[dict[str, Any]]:
        """One record per ratio of areas."""
        return [{"ratio": r.name, **_spelled("", r.estimate, self.z, high=math.inf)} for r in self.ratios]

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready; what does not exist is null."""
        return {
            "geoseg": __version__,
            "design": {
                **json_ready(dict(self.observed.origin)),
                "drawing": self.observed.drawing,
                "hectares": self.hectares,
                "labelled": sum(s[0] for s in self.answered.states),
                "unknown": sum(s[1] for s in self.answered.states),
                "left": sum(s[2] for s in self.answered.states),
                "finite_population_correction": self.fpc,
                "confidence": self.confidence,
            },
            "overall": json_ready(self.overall),
            "classes": json_ready(self.per_class),
            "ratios": json_ready(self.ratio_records),
            "matrix": json_ready(self.matrix),
            "disagreement": json_ready(self.disagreement) if self.scored else None,
            "strata": json_ready(self.per_stratum),
            "rules": RULES,
            "notes": list(self.notes),
            **self.provenance,
        }

    def to_csv(self) -> str:
        """Estimates of the classes as CSV text."""
        return csv_text(_table(self.per_class))

    def matrix_csv(self) -> str:
        """Matrix as CSV text: units, then shares of the area, one row per class on the map."""
        names = self.legend.names
        head = ["map / reference", *(f"{n} (units)" for n in names), *(f"{n} (share of area)" for n in names)]
        both = np.concatenate([self.matrix["counts"], self.matrix["shares"]], 1)
        return csv_text([head, *([name, *row] for name, row in zip(names, both.tolist(), strict=True))])


def _spelled(name: str, estimate: Estimate, z: float, *, high: float = 1.0) -> dict[str, float]:
    """Value, standard error and interval by the names that they have in files."""
    low, upper = estimate.interval(z, high=high)
    prefix = f"{name}_" if name else ""
    return {
        name or "estimate": estimate.value,
        f"{prefix}se": estimate.se,
        f"{prefix}low": low if estimate.value == estimate.value else math.nan,
        f"{prefix}high": upper if estimate.value == estimate.value else math.nan,
    }


def _table(records: list[dict[str, Any]]) -> list[list[Any]]:
    return [list(records[0]), *(list(r.values()) for r in records)]
