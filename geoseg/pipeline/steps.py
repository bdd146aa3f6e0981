"""The steps of a pipeline: their jobs, with what earlier steps make filled in, checked before any runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from geoseg.changes.job import ChangeJob
from geoseg.cleaning.job import CleanJob
from geoseg.errors import UsageError
from geoseg.estimation.job import EstimateJob
from geoseg.evaluation.job import EvaluateJob
from geoseg.histories.job import SeriesJob
from geoseg.job import Job
from geoseg.pipeline.job import PipelineJob, Section
from geoseg.plots.job import ZonesJob
from geoseg.prediction.job import PredictJob
from geoseg.report.job import ReportJob
from geoseg.sampling.job import SampleDesignJob
from geoseg.vectorization.job import VectorizeJob

JOBS: dict[str, type[Job]] = {
    "predict": PredictJob,
    "clean": CleanJob,
    "vectorize": VectorizeJob,
    "evaluate": EvaluateJob,
    "change": ChangeJob,
    "series": SeriesJob,
    "zones": ZonesJob,
    "sample": SampleDesignJob,
    "estimate": EstimateJob,
    "report": ReportJob,
}
"""Job of every step, in the order in which they run."""

_FILES: dict[str, tuple[str, ...]] = {
    "predict": ("classes.tif", "confidence.tif"),
    "change": ("change.tif", "transitions.json"),
    "series": ("series.json",),
    "report": ("study.xlsx",),
}
"""Of steps whose `out` is a folder, files in it that are there when they are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, checked.

    Attributes
    ----------
    verb
        Its section.
    job
        What it does.
    """

    verb: str
    job: Job

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that are there when it is done."""
        out: Path | None = cast(Any, self.job).out
        if out is None:
            return ()
        return tuple(out / name for name in _FILES[self.verb]) if self.verb in _FILES else (out,)


def check_steps(job: PipelineJob) -> tuple[Step, ...]:
    """Every step's job, with what an earlier step makes filled in.

    Raises
    ------
    UsageError
        An unknown or missing key in any section, or no section at all.
    """
    if not any(getattr(job, verb) for verb in JOBS):
        raise UsageError("nothing to run", why=f"no section {', '.join(JOBS)}")
    made, steps = _Made(), []
    for verb, kind in JOBS.items():
        for i, section in enumerate(getattr(job, verb)):
            known = {**made.before(verb, i), **section}
            if verb == "sample" and "out" not in known:
                raise UsageError("`out` is missing", where=verb)
            step = Step(verb=verb, job=kind.parse(known, where=verb))
            made.add(step, i)
            steps.append(step)
    return tuple(steps)


@dataclass(slots=True)
class _Made:
    """What the steps so far make."""

    maps: list[Path] = field(default_factory=list)
    changes: list[ChangeJob] = field(default_factory=list)
    series: list[Path] = field(default_factory=list)
    samples: list[Path] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)

    def add(self, step: Step, i: int) -> None:
        """Also what this step makes, the one at position `i` of its verb."""
        job: Any = step.job
        match step.verb:
            case "predict":
                self.maps.append(job.out / "classes.tif")
            case "clean":
                self.maps[i : i + 1] = [job.out]
            case "change":
                self.changes.append(job)
            case "series":
                self.series.append(job.out)
            case "sample":
                self.samples.append(job.out)
        if step.verb in ("evaluate", "change", "series", "estimate"):
            self.results += [path for path in step.files if path.suffix == ".json"]

    def before(self, verb: str, i: int) -> Section:
        """Keys of a section, at position `i` of its verb, that say what was made before."""
        fill: Callable[[int], Section] | None = getattr(self, f"_of_{verb}", None)
        return {} if fill is None else fill(i)

    def _of_clean(self, i: int) -> Section:
        return {"classes": self.maps[i]} if i < len(self.maps) else {}

    _of_vectorize = _of_evaluate = _of_clean

    def _of_change(self, _: int) -> Section:
        return {"before": self.maps[0], "after": self.maps[1]} if len(self.maps) > 1 else {}

    def _of_series(self, _: int) -> Section:
        return {"maps": tuple(self.maps)} if self.maps else {}

    def _of_zones(self, i: int) -> Section:
        sources = [job.out for job in self.changes] or self.series or self.maps
        return {"source": sources[i]} if i < len(sources) else {}

    def _of_sample(self, i: int) -> Section:
        if i >= len(self.changes):
            return self._of_clean(i)
        change = self.changes[i]
        strata = {} if change.strata_class is None else {"strata": change.out / "strata.yaml"}
        return {"classes": change.out / "change.tif", **strata}

    def _of_estimate(self, i: int) -> Section:
        if i >= len(self.samples):
            return {}
        sample = self.samples[i]
        return {"sample": sample, "out": sample.with_name("estimates.json")}

    def _of_report(self, _: int) -> Section:
        return {"results": list(self.results)} if self.results else {}
