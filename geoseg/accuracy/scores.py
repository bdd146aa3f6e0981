"""What an evaluation found: the confusion matrix, the scores it gives, and how they came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoseg.accuracy import metrics
from geoseg.accuracy.boundary import BoundaryCounts
from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.errors import InputError
from geoseg.legend import Legend
from geoseg.results import json_ready
from geoseg.tables import csv_text
from geoseg.version import __version__

if TYPE_CHECKING:
    import pandas as pd

COUNTING = {
    "matrix": "rows are the reference, columns the map",
    "unit": "pixels of the map for a raster or polygon reference, points for a point reference",
    "not scored": "pixels where the reference has no class, is nodata, or is ignored by the crosswalk",
    "absent class": "a class in neither the reference nor the map has no score (null) and is in no mean",
    "one-sided class": "a class in only one of them scores 0",
    "unmapped ignore": "pixels with a reference class where the map has nodata are counted but not scored",
    "unmapped error": "pixels with a reference class where the map has nodata count as wrong",
}
"""What is counted, in words; with the rule of every metric it stands in every scores.json."""


def read_matrix(path: Path) -> ConfusionMatrix:
    """Counts in a file that `Scores.to_json` made; its classes have no colours.

    Raises
    ------
    InputError
        A file without them.
    """
    try:
        raw = json.loads(path.read_bytes())
        seen = raw["pixels"] if "pixels" in raw else raw["points"]
        return ConfusionMatrix(
            legend=Legend.of({int(c["id"]): str(c["class"]) for c in raw["classes"]}),
            counts=np.array(raw["confusion"]["counts"], np.int64),
            unmapped=np.array(raw["confusion"]["unmapped"], np.int64),
            unreferenced=int(seen["unreferenced"]),
            empty=int(seen["neither"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("holds no scores", where=path, why=str(error), hint="`overwrite`") from None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one map against one reference.

    Attributes
    ----------
    matrix
        Counts; everything else follows from them.
    unmapped
        Whether reference pixels without a map class are left out or count as wrong.
    boundary
        Counts of boundary bands, if they were asked for.
    boundary_edge
        Whether the map's edge counts as a boundary there.
    further
        What else was counted: ``outline``, ``objects`` and ``confidence``, as the metrics need it.
    regions
        One record per region: its name, scored pixels, scores over all classes and IoU of each.
    blocks
        One record per spatial block, likewise, with its place.
    intervals
        95 % intervals by the blocks, by score: (low, high), or lists of them by class.
    kind
        ``raster``, ``polygons`` or ``points``.
    notes
        What the user should know about how the two were brought together.
    provenance
        Grid and digests of the inputs.
    """

    matrix: ConfusionMatrix
    unmapped: Literal["ignore", "error"] = "ignore"
    boundary: BoundaryCounts | None = None
    boundary_edge: bool = False
    further: metrics.Evidence = field(default_factory=dict)
    regions: tuple[Mapping[str, Any], ...] = ()
    blocks: tuple[Mapping[str, Any], ...] = ()
    intervals: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "raster"
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def legend(self) -> Legend:
        """Classes, in the order of the matrix."""
        return self.matrix.legend

    @property
    def counts(self) -> metrics.Counts:
        """(K, K) counts, or (K, K + 1) where unmapped pixels count as wrong."""
        return self.matrix.counts if self.unmapped == "ignore" else self.matrix.with_unmapped_as_wrong()

    @property
    def evidence(self) -> metrics.Evidence:
        """What the metrics are computed from, by name."""
        name = "boundary_edge" if self.boundary_edge else "boundary"
        outlines = {} if self.boundary is None else {name: self.boundary}
        return {"counts": self.counts, **outlines, **self.further}

    def metrics(self, *, per_class: bool) -> tuple[metrics.Metric, ...]:
        """Records of the scores that there are, in the order of `overall` and of `per_class`."""
        return metrics.metrics_for(self.evidence, "evaluation", per_class=per_class)

    @property
    def overall(self) -> dict[str, float]:
        """Scores over all classes; NaN where there is none."""
        evidence = self.evidence
        return {m.name: m.of(evidence) for m in self.metrics(per_class=False)}

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """One record per class, in the order of the legend; NaN where a class has no score."""
        counts, evidence = self.counts, self.evidence
        columns = {m.name: m.of(evidence) for m in self.metrics(per_class=True)}
        shares = metrics.map_share(counts)
        support, mapped = metrics.support(counts), metrics.mapped(counts)
        return [
            {
                "id": c.id,
                "class": c.name,
                **{name: float(column[i]) for name, column in columns.items()},
                "reference": int(support[i]),
                "map": int(mapped[i]),
                "map_share": float(shares[i]),
            }
            for i, c in enumerate(self.legend.classes)
        ]

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes that are in neither the reference nor the map."""
        return tuple(
            c.name
            for c, there in zip(self.legend.classes, metrics.present(self.counts), strict=True)
            if not there
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready; scores that do not exist are null."""
        m = self.matrix
        return {
            "geoseg": __version__,
            "overall": json_ready(self.overall),
            "classes": json_ready(self.per_class),
            "absent_classes": list(self.absent),
            "confusion": {
                "classes": list(self.legend.names),
                "counts": m.counts.tolist(),
                "unmapped": m.unmapped.tolist(),
            },
            "pixels" if self.kind != "points" else "points": {
                "scored": int(self.counts.sum()),
                "unmapped": int(m.unmapped.sum()),
                "unreferenced": m.unreferenced,
                "neither": m.empty,
            },
            "boundary_pixels": None if self.boundary is None else self.boundary.distance,
            "boundary_metres": self.further["outline"].metres if "outline" in self.further else None,
            **self._further_json(),
            "unmapped": self.unmapped,
            "reference_kind": self.kind,
            "rules": COUNTING | {m.name: m.rule for m in metrics.METRICS if m.only != "card"},
            "notes": list(self.notes),
            **self.provenance,
        }

    def _further_json(self) -> dict[str, Any]:
        """Counts behind scores of objects, outlines and confidence; tables; intervals; what there is."""
        found: dict[str, Any] = {}
        if "outline" in self.further:
            found["boundary_counts"] = self.further["outline"]
        if "objects" in self.further:
            found["objects"] = self.further["objects"]
        if "confidence" in self.further:
            found["confidence"] = self.further["confidence"].records()
        if self.regions:
            found["regions"] = self.regions
        if self.blocks:
            found["blocks"] = {"number": len(self.blocks), "intervals": self.intervals}
        return {name: json_ready(value) for name, value in found.items()}

    def to_table(self) -> pd.DataFrame:
        """Per-class scores as a data frame, indexed by class name."""
        import pandas as pd

        return pd.DataFrame(self.per_class).set_index("class")

    def to_csv(self) -> str:
        """Per-class scores as CSV text; scores that do not exist are empty."""
        records = self.per_class
        return csv_text([list(records[0]), *(list(r.values()) for r in records)])

    def confusion_csv(self) -> str:
        """Confusion matrix as CSV text: one row per reference class, one column per map class."""
        names = self.legend.names
        counts = np.column_stack([self.matrix.counts, self.matrix.unmapped]).tolist()
        header = ["reference / map", *names, "unmapped"]
        return csv_text([header, *([name, *row] for name, row in zip(names, counts, strict=True))])
