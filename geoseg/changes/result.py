"""What a comparison found: transitions in pixels and hectares, in every form that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.changes.classes import UNKNOWN, Codes, name_of_unknown
from geoseg.changes.transitions import Transitions
from geoseg.legend import Legend
from geoseg.tables import csv_text
from geoseg.version import __version__

if TYPE_CHECKING:
    import pandas as pd

RULES = {
    "matrix": "rows are the class before, columns the class after; the last row and column are unknown",
    "unknown": "nodata, or ignored by the crosswalk, at one date or both; never counted as unchanged",
    "hectares": "geodesic area of every pixel on the ellipsoid of the map's CRS, summed",
    "gain, loss, net": "among pixels known at both dates: area that became it, that left it, gain - loss",
    "persistence": "area of the class at both dates, pixel by pixel",
    "code": "value of change.tif: position before times the number of classes, plus position after",
}
"""The rules in words, as they stand in every transitions.json."""

_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Change:
    """Transitions between two maps, and the files that hold them.

    Attributes
    ----------
    transitions
        Counts and areas.
    codes
        Meaning of the values of the from-to raster.
    out
        Folder with change.tif, transitions.csv and transitions.json.
    notes
        What the user should know.
    provenance
        Grid and digests of the inputs.
    """

    transitions: Transitions
    codes: Codes
    out: Path
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raster(self) -> Path:
        """The from-to raster."""
        return self.out / "change.tif"

    @property
    def table(self) -> Path:
        """Transitions as CSV."""
        return self.out / "transitions.csv"

    @property
    def report(self) -> Path:
        """Everything as JSON."""
        return self.out / "transitions.json"

    @property
    def legend(self) -> Legend:
        """The classes of both dates."""
        return self.codes.legend

    @property
    def unknown(self) -> str:
        """Name of the last row and column: pixels without a class."""
        return name_of_unknown(self.legend.names)

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """One record per class, areas in hectares, among the pixels that are known at both dates."""
        t = self.transitions
        columns = {
            "before_ha": t.before,
            "after_ha": t.after,
            "gain_ha": t.gains,
            "loss_ha": t.losses,
            "net_ha": t.gains - t.losses,
            "persistence_ha": t.persistence,
        }
        known = t.counts[:-1, :-1]
        return [
            {
                "id": c.id,
                "class": c.name,
                **{name: round(float(values[i]), _DIGITS) for name, values in columns.items()},
                "before_px": int(known[i].sum()),
                "after_px": int(known[:, i].sum()),
                "persistence_px": int(known[i, i]),
            }
            for i, c in enumerate(self.legend.classes)
        ]

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

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        t = self.transitions
        return {
            "geoseg": __version__,
            "classes": self.per_class,
            "total": {
                "changed_ha": round(t.changed, _DIGITS),
                "unchanged_ha": round(float(t.persistence.sum()), _DIGITS),
                "unknown_at_one_date_ha": round(t.unknown, _DIGITS),
                "unknown_at_both_dates_ha": round(float(t.hectares[-1, -1]), _DIGITS),
            },
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
                "codes": {str(code): self.codes.name(code) for code, _, _ in self.codes.items()},
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

    def to_table(self) -> pd.DataFrame:
        """Transition matrix in hectares as a data frame: rows before, columns after, unknown last."""
        import pandas as pd

        names = [*self.transitions.names, self.unknown]
        return pd.DataFrame(
            self.transitions.hectares,
            index=pd.Index(names, name="before"),
            columns=pd.Index(names, name="after"),
        )
