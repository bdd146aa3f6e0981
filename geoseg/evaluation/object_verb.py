"""The verb evaluate_objects: scores of polygons of objects against those of a reference."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, Unpack

from geoseg.accuracy.objects import ObjectScores, mean_scores, score_objects, score_sizes
from geoseg.evaluation.object_job import EvaluateObjectsJob
from geoseg.evaluation.object_layers import open_objects
from geoseg.execution.manifest import add_files
from geoseg.files import require_report, sha256_of, write_together
from geoseg.job import takes
from geoseg.options import EvaluateObjectsOptions
from geoseg.results import as_json
from geoseg.tables import csv_text
from geoseg.version import __version__

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvaluation:
    """Scores of objects.

    Attributes
    ----------
    classes
        By name of class.
    sizes
        By size, like ``50 to 500 m2``, of all classes.
    mean
        Means over the classes: pq, sq, rq, ap, ap50.
    hectares
        Size of the area of interest, or where none was given of the box around both layers.
    per_hectare
        Objects per hectare, by name of class: ``reference`` and ``mapped``.
    notes
        What the user should know.
    provenance
        What was scored.
    """

    classes: Mapping[str, ObjectScores]
    sizes: Mapping[str, ObjectScores]
    mean: Mapping[str, float]
    hectares: float
    per_hectare: Mapping[str, Mapping[str, float]]
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {"geoseg": __version__, **as_json(self)}

    def to_csv(self) -> str:
        """A row for each class and each size."""
        rows = [["of", *ObjectScores.__dataclass_fields__]]
        for name, scores in {**self.classes, **self.sizes}.items():
            values = [getattr(scores, field) for field in ObjectScores.__dataclass_fields__]
            rows.append([name, *("" if _is_nan(v) else v for v in values)])
        return csv_text(rows)


@takes(EvaluateObjectsJob)
def evaluate_objects(
    objects: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    **options: Unpack[EvaluateObjectsOptions],
) -> ObjectEvaluation:
    """Scores of polygons of objects against those of a reference, in any CRS.

    An object is found where its intersection with one of the reference, of the same class, is half of their
    union or more; objects choose their partners in order of score. Areas are those of the polygons, exactly.

    Parameters
    ----------
    objects, reference
        Vector files.
    out
        ``scores.json`` to write, with ``scores.csv`` beside it.
    overwrite
        Replace a file of that name even if it holds no scores.
    **options
        The further fields of `EvaluateObjectsJob`.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Before anything is written.
    """
    job = EvaluateObjectsJob.parse({"objects": objects, "reference": reference, "out": out, **options})
    return run_evaluate_objects(job, overwrite=overwrite)


def run_evaluate_objects(job: EvaluateObjectsJob, *, overwrite: bool = False) -> ObjectEvaluation:
    """Scores of a job; see `evaluate_objects`."""
    if job.out is not None:
        tables, marks = [job.out.with_suffix(".csv")], {"geoseg", "classes"}
        require_report(job.out, tables, overwrite=overwrite, inputs=job.inputs(), marks=marks)
    inputs = open_objects(job)
    overlaps = inputs.overlaps
    scored = score_objects(inputs.reference, inputs.mapped, overlaps, len(inputs.classes))
    by_size = score_sizes(inputs.reference, inputs.mapped, overlaps, job.sizes)
    classes = dict(zip(inputs.classes, scored, strict=True))
    notes = inputs.notes
    if inputs.mapped.score is None:
        notes = (*notes, "the objects have no field called score, so there is no average precision")
    result = ObjectEvaluation(
        classes=classes,
        sizes={_named(low, high): scores for (low, high), scores in by_size.items()},
        mean=mean_scores(classes),
        hectares=inputs.hectares,
        per_hectare={
            name: {"reference": s.reference / inputs.hectares, "mapped": s.mapped / inputs.hectares}
            for name, s in classes.items()
        },
        notes=notes,
        provenance={
            "objects": {"path": str(job.objects), "sha256": sha256_of(job.objects)},
            "reference": {"path": str(job.reference), "sha256": sha256_of(job.reference)},
            "job": job.model_dump(mode="json", exclude_none=True),
        },
    )
    if job.out is not None:
        table = job.out.with_suffix(".csv")
        report = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_together({table: result.to_csv(), job.out: report})
        add_files("evaluate", (table, job.out))
    return result


def _named(low: float, high: float) -> str:
    if math.isinf(high):
        return f"from {low:g} m2" if low else "all sizes"
    return f"{low:g} to {high:g} m2" if low else f"below {high:g} m2"


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and math.isnan(value)
