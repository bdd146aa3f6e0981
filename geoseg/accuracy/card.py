"""Scores as they stand in a bundle and on its card, in one form however the model was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.accuracy.metrics import Counts, Evidence, metrics_for
from geoseg.legend import Legend
from geoseg.tables import markdown


def bundle_scores(evidence: Evidence, legend: Legend, data: str) -> dict[str, Any]:
    """Scores in the form of ``bundle.json``, JSON-ready; null where there is none.

    Parameters
    ----------
    evidence
        What was counted on pixels that the model had not seen.
    legend
        Classes, in the order of the counts.
    data
        Those pixels in words.
    """
    columns = {m.name: m.of(evidence) for m in metrics_for(evidence, "card", per_class=True)}
    classes = {
        name: {key: rounded(values[i]) for key, values in columns.items()}
        for i, name in enumerate(legend.names)
    }
    overall = {m.name: rounded(m.of(evidence)) for m in metrics_for(evidence, "card", per_class=False)}
    return {"data": data, "classes": classes, **overall}


def class_table(evidence: Evidence, legend: Legend, sizes: Mapping[str, Sequence[int]]) -> str:
    """Markdown table of the scores by class, after columns of whole numbers (heading to one per class)."""
    columns = metrics_for(evidence, "card", per_class=True)
    values = [m.of(evidence) for m in columns]
    rows = [
        [name, *(f"{size[i]:,}" for size in sizes.values()), *(cell(v[i]) for v in values)]
        for i, name in enumerate(legend.names)
    ]
    return markdown(["class", *sizes, *(m.heading for m in columns)], rows)


def overall_line(evidence: Evidence) -> str:
    """Scores over all classes in one line of Markdown, without a full stop."""
    found = [(m, cell(m.of(evidence))) for m in metrics_for(evidence, "card", per_class=False)]
    line = ", ".join(f"{m.heading} **{text}**" if m.share else f"{m.heading} {text}" for m, text in found)
    return line[:1].upper() + line[1:]


def confusion_table(counts: Counts, legend: Legend, corner: str) -> str:
    """Markdown table of counts (K, K)."""
    rows = [[name, *(f"{n:,}" for n in line)] for name, line in zip(legend.names, counts, strict=True)]
    return markdown([corner, *legend.names], rows)


def rounded(value: float) -> float | None:
    """Score of four digits; None for NaN."""
    return None if math.isnan(value) else round(float(value), 4)


def cell(value: float) -> str:
    """Score of four digits as text; ``not there`` for NaN."""
    return "not there" if math.isnan(value) else f"{round(float(value), 4):.4f}"
