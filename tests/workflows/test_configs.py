"""Every configuration that ships is read by the job that it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.baselines.job import FitJob
from geoseg.changes.job import ChangeJob
from geoseg.evaluation.job import EvaluateJob
from geoseg.job import Job
from geoseg.pipeline.job import PipelineJob
from geoseg.pipeline.steps import check_steps
from geoseg.prediction.job import PredictJob
from geoseg.strict_yaml import read_yaml
from geoseg.training.job import TrainJob
from geoseg.vectorization.job import VectorizeJob
from tests.workflows.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
JOBS: dict[str, type[Job]] = {
    "predict": PredictJob,
    "vectorize": VectorizeJob,
    "evaluate": EvaluateJob,
    "change": ChangeJob,
    "run": PipelineJob,
    "train": TrainJob,
}

FITS = ("fit_ndvi", "fit_kmeans", "fit_forest")


def job_of(name: str) -> type[Job]:
    """Job that reads ``configs/<name>.yaml``: the verb's, or the workflow's of that name."""
    if name in JOBS:
        return JOBS[name]
    if name in FITS:
        return FitJob
    own = _jobs_of_workflow(name) if (ROOT / "workflows" / f"{name}.py").exists() else []
    if own:
        (job,) = own
        return job
    return JOBS[name.partition("_")[0]]  # train_urban.yaml is a job of train


def _jobs_of_workflow(name: str) -> list[type[Job]]:
    script = load_script(name)
    return [
        v
        for v in vars(script).values()
        if isinstance(v, type) and issubclass(v, Job) and v.__module__ == script.__name__
    ]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: p.stem)
def test_every_configuration_is_read_by_its_job(config: Path) -> None:
    job = job_of(config.stem).load(config)
    assert type(job).parse({**read_yaml(config)}) == job


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_verb_has_a_configuration(name: str) -> None:
    assert (ROOT / "configs" / f"{name}.yaml").is_file()


@pytest.mark.parametrize("name", FITS)
def test_every_kind_of_baseline_has_a_configuration(name: str) -> None:
    assert FitJob.load(ROOT / "configs" / f"{name}.yaml").method == name.removeprefix("fit_")


def test_the_pipelines_steps_fit_each_other() -> None:
    steps = check_steps(PipelineJob.load(ROOT / "configs" / "run.yaml"))
    jobs = {verb: [s.job for s in steps if s.verb == verb] for verb in JOBS if verb != "run"}
    maps = [p.out / "classes.tif" for p in jobs["predict"]]
    assert [v.classes for v in jobs["vectorize"]] == maps
    assert [e.classes for e in jobs["evaluate"]] == maps
    assert [(c.before, c.after) for c in jobs["change"]] == [tuple(maps)]


def test_a_study_is_one_chain() -> None:
    steps = {s.verb: s for s in check_steps(PipelineJob.load(ROOT / "configs" / "run_study.yaml"))}
    change, sample = steps["change"].job, steps["sample"].job
    assert (sample.classes, sample.strata) == (change.out / "change.tif", change.out / "strata.yaml")
    assert steps["estimate"].job.sample == sample.out
    results = steps["report"].job.results
    assert [change.out / "transitions.json", steps["estimate"].job.out] == results


def test_configurations_point_at_what_the_demo_makes() -> None:
    """Default paths are the demo's, so that a user can try each at once."""
    from geoseg.demo.files import DATES, reference_file, scene_file

    demo = Path("demo-out")
    known = {str(f(demo, d)) for f in (scene_file, reference_file) for d in DATES}
    known |= {str(demo / d / "classes.tif") for d in DATES}
    used = {
        value for config in CONFIGS for value in _texts(read_yaml(config)) if value.startswith("demo-out/")
    }
    assert used and used <= known


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [t for v in value.values() for t in _texts(v)]
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    return [value] if isinstance(value, str) else []
