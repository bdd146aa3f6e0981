"""The verb run: the steps of a job file in order; what is done is kept, and people are waited for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.changes.verb import run_change
from geoseg.cleaning.verb import run_clean
from geoseg.errors import UsageError
from geoseg.estimation.job import EstimateJob
from geoseg.estimation.verb import run_estimate
from geoseg.evaluation.verb import run_evaluate
from geoseg.execution import Where
from geoseg.execution.progress import Report
from geoseg.histories.verb import run_series
from geoseg.pipeline.done import is_done, record, wrote
from geoseg.pipeline.job import PipelineJob
from geoseg.pipeline.steps import Step, check_steps
from geoseg.plots.verb import run_zones
from geoseg.prediction.verb import run_predict
from geoseg.report.job import ReportJob
from geoseg.report.study import run_report
from geoseg.results import as_json
from geoseg.sampling.design import run_sample_design
from geoseg.sampling.file import is_sample
from geoseg.sampling.job import SampleStatusJob
from geoseg.sampling.status import run_sample_status
from geoseg.vectorization.verb import run_vectorize

_RUNS: dict[str, Callable[..., Any]] = {
    "predict": run_predict,
    "clean": run_clean,
    "vectorize": run_vectorize,
    "evaluate": run_evaluate,
    "change": run_change,
    "series": run_series,
    "zones": run_zones,
    "sample": run_sample_design,
    "estimate": run_estimate,
    "report": run_report,
}
_RESUME = ("predict", "series")
"""Steps that know by themselves what they have done."""
_HERE = ("estimate", "report")
"""Steps that read no pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineResult:
    """What a pipeline made.

    Attributes
    ----------
    files
        (step, path) in order.
    results
        Each step's own result; None of one that was done before, and of one that waits.
    waiting
        What people have to do before the same run goes on; empty when all is done.
    """

    files: tuple[tuple[str, Path], ...]
    results: tuple[Any, ...]
    waiting: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


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
    """Run every step that is not done.

    A step that fails ends the run, and what the steps before it wrote stays: the same run goes on from there.
    A step whose job or inputs changed is done anew. An estimate waits for the labels of its sample, and what
    is reported meanwhile lacks it.
    """
    steps = check_steps(job)
    say = announce or (lambda _: None)
    files: list[tuple[str, Path]] = []
    results: list[Any] = []
    waiting: dict[Path | None, str] = {}
    for planned in steps:
        why = _unlabelled(planned)
        step = _without(planned, waiting) if why is None else None
        if step is None:
            waiting |= dict.fromkeys(planned.files or (None,), why or "")
            results.append(None)
            continue
        done = not overwrite and step.verb not in _RESUME and is_done(step)
        say(f"{step.verb} {step.files[0] if step.files else ''}{' (done before)' if done else ''}")
        results.append(None if done else _run(step, where or Where(), overwrite, progress))
        files += [(step.verb, path) for path in step.files]
    return PipelineResult(
        files=tuple(files), results=tuple(results), waiting=tuple(filter(None, waiting.values()))
    )


def _run(step: Step, where: Where, overwrite: bool, progress: Report | None) -> Any:
    options: dict[str, Any] = {} if step.verb in _HERE else {"where": where}
    if step.verb in _RESUME:
        return _RUNS[step.verb](step.job, overwrite=overwrite, progress=progress, **options)
    own = step.verb != "sample" and wrote(step)
    result = _RUNS[step.verb](step.job, overwrite=overwrite or own, **options)
    record(step)
    return result


def _unlabelled(step: Step) -> str | None:
    """What people have to do before a step can run; None if nothing."""
    if not isinstance(step.job, EstimateJob) or not is_sample(step.job.sample):
        return None
    status = run_sample_status(SampleStatusJob(sample=step.job.sample))
    if status.can_be_estimated:
        return None
    total = status.total
    return (
        f"{step.job.sample} is to be labelled, in the order of its column order: {total.labelled:,} of "
        f"{total.n:,} units have a label, and every stratum needs two"
    )


def _without(step: Step, waiting: Collection[Path | None]) -> Step | None:
    """The step, a report without the results that wait; None where nothing is left to report."""
    if not isinstance(step.job, ReportJob):
        return step
    there = [path for path in step.job.results if path not in waiting]
    return Step(verb=step.verb, job=step.job.model_copy(update={"results": there})) if there else None
