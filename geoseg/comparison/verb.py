"""The verb: one scene, one reference, several models; a map, scores, speed and novelty of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.accuracy.scores import Scores
from geoseg.comparison.job import CompareJob
from geoseg.errors import UsageError
from geoseg.evaluation.job import EvaluateJob, ReferenceJob
from geoseg.evaluation.verb import run_evaluate
from geoseg.execution import Where
from geoseg.execution.progress import Report
from geoseg.files import require_out, require_report, write_together, writing
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.prediction.folder import Prediction
from geoseg.prediction.job import PredictJob
from geoseg.prediction.verb import run_predict
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import Reading
from geoseg.results import as_json
from geoseg.tables import csv_text

TABLE, JSON = "comparison.csv", "comparison.json"
"""Names of the files in the output folder, beside a folder for each model."""

_SCORES = ("overall_accuracy", "mean_iou", "macro_f1", "kappa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One model of a comparison.

    Attributes
    ----------
    scores
        Overall scores by name.
    seconds
        Wall time of the prediction that made the map.
    megapixels_per_second
        Pixels that it mapped by that time.
    novelty
        Percent of what the model has seen that is less unusual than half of the scene; None for a model
        that does not say what it has seen.
    map
        Its class map.
    notes
        What was remarked on the scene and on the reference.
    """

    model: str
    scores: Mapping[str, float]
    seconds: float
    megapixels_per_second: float
    novelty: float | None
    map: Path
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Models side by side, in the order asked for."""

    models: tuple[Compared, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)

    def table(self) -> tuple[Sequence[str], list[list[Any]]]:
        """(headings, a row for each model)."""
        names = [name for name in _SCORES if name in self.models[0].scores]
        heads = ["model", *(name.replace("_", " ") for name in names), "Mpx/s", "seconds", "novelty %"]
        return heads, [
            [
                m.model,
                *(m.scores[name] for name in names),
                m.megapixels_per_second,
                m.seconds,
                m.novelty,
            ]
            for m in self.models
        ]


def run_compare(
    job: CompareJob, *, where: Where | None = None, overwrite: bool = False, progress: Report | None = None
) -> Comparison:
    """Comparison of a job's models; interrupted, the same call goes on with what is done.

    Raises
    ------
    UsageError
        Two models of one name.
    InputError, ResourceError, OutputConflictError
        As predicting and evaluating do.
    """
    require_out(job.out)
    bundles = [
        load_bundle(name).for_classes("a comparison", tasks=("semantic", "panoptic")) for name in job.model
    ]
    names = [bundle.name for bundle in bundles]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two models are called {twice!r}", hint="different models, or one of them renamed")
    files = (job.out / TABLE, job.out / JSON)
    marks = {"models", "files"}
    require_report(files[1], files[:1], overwrite=overwrite, inputs=job.inputs(), marks=marks)
    found = tuple(
        _one(job, bundle, name, where=where, overwrite=overwrite, progress=progress)
        for bundle, name in zip(bundles, job.model, strict=True)
    )
    comparison = Comparison(models=found, files=files)
    head, rows = comparison.table()
    with writing(job.out):
        write_together(
            {files[0]: csv_text([head, *rows]), files[1]: json.dumps(comparison.to_json(), indent=2) + "\n"}
        )
    return comparison


def _one(
    job: CompareJob,
    bundle: Bundle,
    name: str,
    *,
    where: Where | None,
    overwrite: bool,
    progress: Report | None,
) -> Compared:
    """One model's map, scored."""
    prediction = prediction_of(
        job,
        bundle,
        model=name,
        out=job.out / bundle.name,
        novelty=bundle.experience is not None and bundle.task == "semantic",
    )
    made, scores = map_and_score(job, prediction, where=where, overwrite=overwrite, progress=progress)
    seconds = float(json.loads(made.manifest.read_text(encoding="utf-8"))["seconds"])
    return Compared(
        model=bundle.name,
        scores=scores.overall,
        seconds=seconds,
        megapixels_per_second=round(made.mapped / max(seconds, 1e-9) / 1e6, 3),
        novelty=_novelty(prediction) if prediction.novelty else None,
        map=made.classes,
        notes=tuple(dict.fromkeys((*made.notes, *scores.notes))),
    )


def prediction_of(job: CompareJob, bundle: Bundle, **options: Any) -> PredictJob:
    """Job that maps a comparison's scene by a bundle, for what it is asked."""
    shared = {key: getattr(job, key) for key in ("scene", "bands", "tile", "force", *Reading.model_fields)}
    task = bundle.task if len(bundle.tasks) > 1 else None
    return PredictJob.parse({**shared, "task": task, **options})


def map_and_score(
    job: CompareJob,
    prediction: PredictJob,
    *,
    where: Where | None,
    overwrite: bool,
    progress: Report | None = None,
) -> tuple[Prediction, Scores]:
    """The map of a comparison's scene, and its scores, which also stand in the map's folder."""
    made = run_predict(prediction, where=where, overwrite=overwrite, progress=progress)
    evaluation = EvaluateJob.parse(
        {
            **{key: getattr(job, key) for key in ReferenceJob.model_fields},
            "classes": made.classes,
            "map_crosswalk": job.map_crosswalk,
            "out": prediction.out / "scores.json",
        }
    )
    return made, run_evaluate(evaluation, where=where, overwrite=overwrite)


def _novelty(prediction: PredictJob) -> float | None:
    """Median of the novelty layer, a pixel for each square of the scene."""
    layer = open_scene(prediction.out / "novelty.tif", categorical=True)
    (percent,), valid = layer.read(layer.grid.window)
    return float(np.median(percent[valid])) if valid.any() else None
