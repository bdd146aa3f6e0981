"""`geoseg run`: the verbs composed, from one YAML file; each step reads what the step before it wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import field_validator

from geoseg.changes.job import ChangeJob
from geoseg.changes.verb import run_change
from geoseg.cleaning.job import CleanJob
from geoseg.cleaning.verb import run_clean
from geoseg.errors import UsageError
from geoseg.evaluation.job import EvaluateJob
from geoseg.evaluation.verb import run_evaluate
from geoseg.execution import Where
from geoseg.execution.progress import Report
from geoseg.job import Job
from geoseg.prediction.job import PredictJob
from geoseg.prediction.verb import run_predict
from geoseg.results import as_json
from geoseg.vectorization.job import VectorizeJob
from geoseg.vectorization.verb import run_vectorize

Section = dict[str, Any]


class PipelineJob(Job):
    """Steps to run in order; each section holds the keys of its own job, or a list of such sections.

    Attributes
    ----------
    predict
        One prediction, or several (two dates).
    clean
        One, or a list; `classes` may be left out and is then the prediction at the same position.
    vectorize, evaluate
        One each, or a list; `classes` may be left out and is then the map cleaned at the same position, else
        the prediction there.
    change
        `before` and `after` may be left out and are then the first two predictions, cleaned where they are.
    """

    predict: tuple[Section, ...] = ()
    clean: tuple[Section, ...] = ()
    vectorize: tuple[Section, ...] = ()
    evaluate: tuple[Section, ...] = ()
    change: tuple[Section, ...] = ()

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """What a pipeline made.

    Attributes
    ----------
    files
        (step, path) in order.
    results
        Each step's own result.
    """

    files: tuple[tuple[str, Path], ...]
    results: tuple[Any, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A pipeline job with every section checked, before anything runs."""

    predict: tuple[PredictJob, ...]
    clean: tuple[CleanJob, ...]
    vectorize: tuple[VectorizeJob, ...]
    evaluate: tuple[EvaluateJob, ...]
    change: tuple[ChangeJob, ...]


def check_steps(job: PipelineJob) -> Steps:
    """Every step's job, with what an earlier step makes filled in.

    Raises
    ------
    UsageError
        An unknown or missing key in any section, or no section at all.
    """
    if not any(getattr(job, name) for name in PipelineJob.model_fields):
        raise UsageError("nothing to run", why=f"no section {', '.join(PipelineJob.model_fields)}")
    predict = tuple(PredictJob.parse(s, where="predict") for s in job.predict)
    maps = [p.out / "classes.tif" for p in predict]

    def with_classes(section: Section, position: int) -> Section:
        return {"classes": maps[position], **section} if position < len(maps) else section

    clean = tuple(CleanJob.parse(with_classes(s, i), where="clean") for i, s in enumerate(job.clean))
    maps[: len(clean)] = [c.out for c in clean]
    pair = {"before": maps[0], "after": maps[1]} if len(maps) > 1 else {}
    return Steps(
        predict=predict,
        clean=clean,
        vectorize=tuple(
            VectorizeJob.parse(with_classes(s, i), where="vectorize") for i, s in enumerate(job.vectorize)
        ),
        evaluate=tuple(
            EvaluateJob.parse(with_classes(s, i), where="evaluate") for i, s in enumerate(job.evaluate)
        ),
        change=tuple(ChangeJob.parse({**pair, **s}, where="change") for s in job.change),
    )


def run(path: str | Path, *, workers: int | str = 0, overwrite: bool = False, **where: Any) -> PipelineResult:
    """Result of the job file at `path`; `workers`, `threads` and `scheduler` as in `geoseg.predict`."""
    place = Where.parse(workers, where.pop("scheduler", None), where.pop("threads", None))
    if where:
        raise UsageError(f"unknown option {next(iter(where))!r}")
    return run_pipeline(PipelineJob.load(path), where=place, overwrite=overwrite)


def run_pipeline(
    job: PipelineJob,
    *,
    where: Where | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
    announce: Callable[[str], None] | None = None,
) -> PipelineResult:
    """Run every step; a step that fails ends the run, and what the steps before it wrote stays."""
    steps = check_steps(job)
    where = where or Where()
    say = announce or (lambda _: None)
    files: list[tuple[str, Path]] = []
    results: list[Any] = []
    for prediction in steps.predict:
        say(f"predict {prediction.out}")
        made = run_predict(prediction, where=where, overwrite=overwrite, progress=progress)
        results.append(made)
        files += [("predict", made.classes), ("predict", made.confidence)]
    for cleaning in steps.clean:
        say(f"clean {cleaning.out}")
        results.append(run_clean(cleaning, where=where, overwrite=overwrite))
        files.append(("clean", cleaning.out))
    for vectorization in steps.vectorize:
        say(f"vectorize {vectorization.out}")
        results.append(run_vectorize(vectorization, where=where, overwrite=overwrite))
        files.append(("vectorize", vectorization.out))
    for evaluation in steps.evaluate:
        say(f"evaluate {evaluation.reference}")
        results.append(run_evaluate(evaluation, where=where, overwrite=overwrite))
        if evaluation.out is not None:
            files.append(("evaluate", evaluation.out))
    for comparison in steps.change:
        say(f"change {comparison.out}")
        results.append(run_change(comparison, where=where, overwrite=overwrite))
        files.append(("change", comparison.out))
    return PipelineResult(files=tuple(files), results=tuple(results))
