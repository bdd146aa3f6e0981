"""What a comparison found: transitions in pixels and hectares, in every form that is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.disagreement import disagreement
from geoseg.accuracy.rates import fao_rate, puyravaud_rate
from geoseg.changes.classes import UNKNOWN, name_of_unknown
from geoseg.changes.misregistration import Misregistration
from geoseg.changes.transitions import Transitions
from geoseg.legend import Legend
from geoseg.raster.dates import MapDate
from geoseg.raster.pairs import PairCodes
from geoseg.results import json_ready
from geoseg.tables import csv_text
from geoseg.version import __version__

if TYPE_CHECKING:
    import pandas as pd

RULES = {
    "matrix": "rows are the class before, columns the class after; the last row and column are unknown "
    "(IPCC 2006, approach 2; totals of the classes are approach 1, change.tif is approach 3)",
    "unknown": "nodata, or ignored by the crosswalk, at one date or both; never counted as unchanged",
    "hectares": "geodesic area of every pixel on the ellipsoid of the map's CRS, summed",
    "gain, loss, net": "among pixels known at both dates: area that became it, that left it, gain - loss",
    "persistence": "area of the class at both dates, pixel by pixel",
    "total, swap": "gain + loss; twice the smaller of both (Pontius et al. 2004)",
    "exchange, shift": "parts of swap: with one other class both ways, and the rest, round over three "
    "or more (Pontius & Santacruz 2014)",
    "quantity, allocation": "parts of all that changed: half of the sum of |net| over the classes, and the "
    "rest (Pontius & Millones 2011)",
    "fao_rate": "(after / before)^(1 / years) - 1, a year (FAO 1995); null where either is nothing",
    "puyravaud_rate": "ln(after / before) / years, a year (Puyravaud 2003); null where either is nothing",
    "years": "between the dates: days / 365.25, of two years without days their difference",
    "slivers": "changed pixels that lie in no square of 3 x 3 changed pixels; unknown pixels and what lies "
    "outside the maps may be part of such a square",
    "below min_area": "4-connected areas of changed pixels, whatever they became, of fewer hectares; their "
    "pixels go back to the class before",
    "misregistration": "shift of the map after at which the edges between classes agree best, on at most 36 "
    "windows of 256 pixels",
    "code": "value of change.tif; where all pairs of classes fit 8 bits or do not: position before times the "
    "number of classes, plus position after; else the pairs that occur, numbered in that order",
}
"""The rules in words, as they stand in every transitions.json."""

REPORT, RASTER, STYLE = "transitions.json", "change.tif", "change.qml"
TABLE, CLASS_TABLE, STRATA = "transitions.csv", "classes.csv", "strata.yaml"
"""Names of the files in the output folder."""

DAYS_A_YEAR = 365.25
_DIGITS = 6
_RATE_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The dates of the two maps; None where one is not known.

    Attributes
    ----------
    before, after
        The dates.
    found
        Where each was found: ``given``, ``name``, ``folder``, or a tag's name.
    """

    before: MapDate | None = None
    after: MapDate | None = None
    found: tuple[str | None, str | None] = (None, None)

    @property
    def years(self) -> float | None:
        """Years from one to the other; None where they are not known, or not in this order."""
        if self.before is None or self.after is None:
            return None
        if self.before.is_year and self.after.is_year:
            years = float(self.after.last.year - self.before.last.year)
        else:
            years = (self.after.last - self.before.last).days / DAYS_A_YEAR
        return years if years > 0 else None

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """Both dates as they are written."""
        before, after = (None if d is None else d.text for d in (self.before, self.after))
        return before, after

    def to_json(self) -> dict[str, Any]:
        """Dates, where they were found, and the years between."""
        before, after = self.texts
        years = None if self.years is None else round(self.years, _DIGITS)
        return {"before": before, "after": after, "found": list(self.found), "years": years}


@dataclass(frozen=True, kw_only=True)
class Change:
    """Transitions between two maps, and the files that hold them.

    Attributes
    ----------
    transitions
        Counts and areas, without what was taken back.
    slivers, small
        Those of the mapped changes that are slivers, and that are areas below the smallest one.
    removed_slivers
        Whether the slivers were taken back.
    codes
        Meaning of the values of the from-to raster.
    out
        Folder with change.tif, transitions.csv, classes.csv and transitions.json.
    period
        Dates of the maps.
    misregistration
        How far the map after seems to lie off the map before; None where that cannot be told.
    polygons, strata
        Files of polygons and of strata, where they were asked for.
    notes
        What the user should know.
    provenance
        Grid and digests of the inputs.
    """

    transitions: Transitions
    slivers: Transitions
    small: Transitions
    removed_slivers: bool
    codes: PairCodes
    out: Path
    period: Period = field(default_factory=Period)
    misregistration: Misregistration | None = None
    polygons: tuple[Path, ...] = ()
    strata: Path | None = None
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raster(self) -> Path:
        """The from-to raster."""
        return self.out / RASTER

    @property
    def style(self) -> Path:
        """Its style for QGIS."""
        return self.out / STYLE

    @property
    def table(self) -> Path:
        """Transitions as CSV."""
        return self.out / TABLE

    @property
    def class_table(self) -> Path:
        """Classes as CSV."""
        return self.out / CLASS_TABLE

    @property
    def report(self) -> Path:
        """Everything as JSON."""
        return self.out / REPORT

    @property
    def legend(self) -> Legend:
        """The classes of both dates."""
        return self.codes.legend

    @property
    def unknown(self) -> str:
        """Name of the last row and column: pixels without a class."""
        return name_of_unknown(self.legend.names)

    @property
    def occurring(self) -> list[int]:
        """Codes of the from-to raster that occur, in order."""
        k = len(self.legend)
        return sorted(self.codes.table[:k, :k][self.transitions.counts[:k, :k] > 0].tolist())

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """One record per class, in hectares and pixels, among the pixels that are known at both dates."""
        hectares = _columns(self.transitions.known)
        pixels = _columns(self.transitions.counts[:-1, :-1])
        years = self.period.years
        records = []
        for i, c in enumerate(self.legend.classes):
            before, after = float(hectares["before"][i]), float(hectares["after"][i])
            rates = {
                "fao_rate": _rate(fao_rate, before, after, years),
                "puyravaud_rate": _rate(puyravaud_rate, before, after, years),
                "ha_per_year": None if years is None else round((after - before) / years, _DIGITS),
            }
            records.append(
                {
                    "id": c.id,
                    "class": c.name,
                    **{f"{name}_ha": round(float(values[i]), _DIGITS) for name, values in hectares.items()},
                    **{f"{name}_px": int(values[i]) for name, values in pixels.items()},
                    **rates,
                }
            )
        return records

    @property
    def components(self) -> dict[str, Any]:
        """All that changed, by its kinds, in hectares and pixels."""
        hectares = disagreement(self.transitions.known).whole
        pixels = disagreement(self.transitions.counts[:-1, :-1]).whole
        return {
            **{f"{name}_ha": round(value, _DIGITS) for name, value in hectares.items()},
            **{f"{name}_px": round(value) for name, value in pixels.items()},
        }

    @property
    def removals(self) -> dict[str, Any]:
        """Slivers, and areas below the smallest one: pixels, hectares, share of all mapped change."""
        mapped = self.transitions.changed + self.small.changed
        mapped += self.slivers.changed if self.removed_slivers else 0
        return {
            name: {
                "removed": removed,
                "pixels": int(part.counts.sum()),
                "hectares": round(part.changed, _DIGITS),
                "share_of_change": round(part.changed / mapped, _DIGITS) if mapped else 0.0,
                "transitions": self._records_of(part),
            }
            for name, part, removed in (
                ("slivers", self.slivers, self.removed_slivers),
                ("below_min_area", self.small, True),
            )
        }

    @property
    def records(self) -> list[dict[str, Any]]:
        """One record per transition that occurs, by area from large to small; unknown ones last."""
        t = self.transitions
        classes = [(c.id, c.name) for c in self.legend.classes] + [(None, self.unknown)]
        found = [
            {
                "code": int(self.codes.table[i, j]),
                "from_id": classes[i][0],
                "from": classes[i][1],
                "to_id": classes[j][0],
                "to": classes[j][1],
                "kind": UNKNOWN if len(self.legend) in {i, j} else "unchanged" if i == j else "changed",
                "pixels": int(t.counts[i, j]),
                "hectares": round(float(t.hectares[i, j]), _DIGITS),
            }
            for i in range(len(classes))
            for j in range(len(classes))
            if t.counts[i, j]
        ]
        return sorted(found, key=lambda r: (r["kind"] == UNKNOWN, -r["hectares"], r["code"]))

    def _records_of(self, part: Transitions) -> list[dict[str, Any]]:
        names = self.legend.names
        found = [
            {
                "from": names[i],
                "to": names[j],
                "pixels": int(part.counts[i, j]),
                "hectares": round(float(part.hectares[i, j]), _DIGITS),
            }
            for i, j in zip(*np.nonzero(part.counts), strict=True)
        ]
        return sorted(found, key=lambda r: -r["hectares"])

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        t = self.transitions
        return {
            "geoseg": __version__,
            "dates": self.period.to_json(),
            "classes": self.per_class,
            "total": {
                "changed_ha": round(t.changed, _DIGITS),
                "unchanged_ha": round(float(t.persistence.sum()), _DIGITS),
                "unknown_at_one_date_ha": round(t.unknown, _DIGITS),
                "unknown_at_both_dates_ha": round(float(t.hectares[-1, -1]), _DIGITS),
            },
            "components": self.components,
            "removals": self.removals,
            "misregistration": json_ready(self.misregistration),
            "transitions": self.records,
            "matrix": {
                "names": [*t.names, self.unknown],
                "pixels": t.counts.tolist(),
                "hectares": [[round(v, _DIGITS) for v in row] for row in t.hectares.tolist()],
            },
            "raster": {
                "file": self.raster.name,
                "dtype": self.codes.dtype,
                "unknown": self.codes.nodata,
                "codes": {str(code): self.codes.name(code) for code in self.codes.pairs},
            },
            "legend": self.legend.to_json(),
            "rules": RULES,
            "notes": list(self.notes),
            **self.provenance,
        }

    def to_csv(self) -> str:
        """Transitions that occur as CSV text, one per row."""
        records = self.records
        return csv_text([list(records[0]), *(list(r.values()) for r in records)])

    def classes_csv(self) -> str:
        """Classes as CSV text, one per row."""
        records = self.per_class
        return csv_text([list(records[0]), *(list(r.values()) for r in records)])

    def to_table(self) -> pd.DataFrame:
        """Transition matrix in hectares as a data frame: rows before, columns after, unknown last."""
        import pandas as pd

        names = [*self.transitions.names, self.unknown]
        return pd.DataFrame(
            self.transitions.hectares,
            index=pd.Index(names, name="before"),
            columns=pd.Index(names, name="after"),
        )


def _columns(matrix: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What is told of every class, (K,) each, of a (K, K) matrix."""
    same = np.diagonal(matrix)
    before, after = matrix.sum(axis=1), matrix.sum(axis=0)
    gain, loss = after - same, before - same
    kinds = disagreement(matrix)
    return {
        "before": before,
        "after": after,
        "gain": gain,
        "loss": loss,
        "net": gain - loss,
        "persistence": same,
        "total": gain + loss,
        "swap": kinds.allocation,
        "exchange": kinds.exchange,
        "shift": kinds.shift,
    }


def _rate(rate: Any, before: float, after: float, years: float | None) -> float | None:
    found = math.nan if years is None else rate(before, after, years)
    return None if math.isnan(found) else round(found, _RATE_DIGITS)
