"""`geoseg run`: sections are checked before anything runs, and steps feed each other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import geoseg
from geoseg.errors import OutputConflictError, UsageError
from geoseg.pipeline.job import PipelineJob
from geoseg.pipeline.steps import check_steps
from geoseg.pipeline.verb import run_pipeline
from geoseg.sampling.file import read_sample, update_answers
from tests.prediction.conftest import linear, make_pixels, scene_file
from tests.raster.makers import write

__all__ = ["linear", "scene_file"]  # fixtures of the prediction tests


def test_two_dates_from_scene_to_change(
    scene_file: Callable[..., Path], linear: Path, tmp_path: Path
) -> None:
    before = scene_file(make_pixels(150, 170, seed=1), "before.tif")
    after = scene_file(make_pixels(150, 170, seed=2), "after.tif")
    job = {
        "predict": [
            {"scene": str(before), "model": str(linear), "out": str(tmp_path / "before")},
            {"scene": str(after), "model": str(linear), "out": str(tmp_path / "after")},
        ],
        "clean": {"out": str(tmp_path / "calm.tif"), "min_pixels": 30},
        "vectorize": [{"out": str(tmp_path / "before.gpkg")}, {"out": str(tmp_path / "after.fgb")}],
        "evaluate": {"reference": str(tmp_path / "before" / "classes.tif"), "out": str(tmp_path / "s.json")},
        "change": {"out": str(tmp_path / "change")},
    }
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    made = geoseg.run(path)
    assert all(p.exists() for _, p in made.files)
    # the map of the first date, cleaned, scored against itself
    accuracy = json.loads((tmp_path / "s.json").read_text())["overall"]["overall_accuracy"]
    assert 0.5 < accuracy < 1.0
    transitions = json.loads((tmp_path / "change" / "transitions.json").read_text())
    assert transitions
    assert {step for step, _ in made.files} == {"predict", "clean", "vectorize", "evaluate", "change"}
    said = json.loads(json.dumps(made.to_json(), allow_nan=False))
    assert [list(f) for f in said["files"]] == [[step, str(path)] for step, path in made.files]
    predicted, _, cleaned, vectorized, *_, scored, changed = said["results"]
    assert predicted["pixels"] == dict(made.results[0].pixels) and predicted["classes"].endswith(
        "classes.tif"
    )
    assert cleaned["changed"] > 0 and min(p.stat().st_size for _, p in made.files) > 0
    assert vectorized["polygons"] == sum(c["polygons"] for c in vectorized["classes"]) > 0
    assert scored["overall"]["overall_accuracy"] == accuracy
    assert changed["transitions"] == transitions["transitions"]


def test_the_run_file_of_a_prediction_runs_again(
    scene_file: Callable[..., Path], linear: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    geoseg.predict(scene_file(make_pixels(90, 90)), model=linear, out=out, tile=128, stitch="blend")
    again = geoseg.run(out / "run.yaml")
    assert not again.results[0].fresh


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Job file of a study of two maps of 60 x 60 pixels, one of which loses a square of forest."""
    pixels = np.ones((60, 60), np.uint8)
    pixels[:, 40:] = 2
    names = {"CLASS_1": "forest", "CLASS_2": "pasture"}
    write(tmp_path / "map_2019.tif", pixels, nodata=255, tags=names)
    pixels[10:30, 5:25] = 2
    write(tmp_path / "map_2022.tif", pixels, nodata=255, tags=names)
    out = tmp_path / "out"
    job = {
        "clean": {
            "classes": str(tmp_path / "map_2022.tif"),
            "out": str(tmp_path / "calm_2022.tif"),
            "min_pixels": 4,
        },
        "change": {
            "before": str(tmp_path / "map_2019.tif"),
            "after": str(tmp_path / "calm_2022.tif"),
            "out": str(out / "change"),
            "strata_class": "forest",
        },
        "sample": {"n": 60, "out": str(out / "sample.gpkg")},
        "estimate": {},
        "report": {"out": str(out / "report"), "title": "A study"},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def _label(sample: Path, most: int) -> None:
    """Label the first units by order with what the map says."""
    drawn = read_sample(sample)
    update_answers(
        sample,
        {u.id: replace(u.answer, label=d.map_class) for u, d in drawn.rows if u.order <= most},
        [],
    )


def test_an_estimate_waits_for_people_and_the_run_goes_on(study: Path) -> None:
    out = study.parent / "out"
    first = geoseg.run(study)
    (why,) = first.waiting
    assert "sample.gpkg is to be labelled" in why and "0 of 60 units" in why
    assert [s for s, _ in first.files] == ["clean", "change", "change", "sample", "report"]
    assert [r is None for r in first.results] == [False, False, False, True, False]
    assert not (out / "estimates.json").exists() and not (out / "report" / "areas.png").exists()
    _label(out / "sample.gpkg", 3)
    assert geoseg.run(study).waiting, "a stratum may have no label among three"
    _label(out / "sample.gpkg", 60)
    last = geoseg.run(study)
    assert not last.waiting and (out / "report" / "areas.png").exists()
    assert [r is None for r in last.results] == [True, True, True, False, False]
    loss = next(c for c in last.results[3].per_class if c["class"] == "forest loss")
    assert loss["area"] == pytest.approx(400 / 3600)
    assert all(r is None for r in geoseg.run(study).results), "nothing is left to do"


def test_what_follows_from_a_change_is_done_anew_and_labels_are_never_lost(study: Path) -> None:
    out = study.parent / "out"
    geoseg.run(study)
    _label(out / "sample.gpkg", 60)
    geoseg.run(study)
    stat = (study.parent / "map_2022.tif").stat()
    os.utime(study.parent / "map_2022.tif", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    job = yaml.safe_load(study.read_text())
    again = PipelineJob.parse({k: v for k, v in job.items() if k != "sample" and k != "estimate"})
    results = run_pipeline(again).results
    assert [r is None for r in results] == [False, False, False]
    with pytest.raises(OutputConflictError, match="60 units of this sample are labelled"):
        geoseg.run(study, overwrite=True)
    assert all(u.answer.state == "labelled" for u in read_sample(out / "sample.gpkg").units)


def test_a_file_that_no_run_wrote_is_not_replaced(study: Path) -> None:
    (study.parent / "calm_2022.tif").write_bytes(b"mine")
    with pytest.raises(OutputConflictError, match="exists"):
        geoseg.run(study)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({}, "nothing to run"),
        (
            {"predict": {"scene": "a.tif", "model": "m", "out": "o", "tiel": 3}},
            "unknown key 'tiel'.*Try: 'tile'",
        ),
        ({"predict": {"scene": "a.tif", "model": "m"}}, "`out` is missing"),
        ({"evaluate": {"reference": "r.tif"}}, "`classes` is missing"),
        ({"change": {"out": "o"}}, "`before` is missing"),
        ({"series": {"out": "o"}}, "`maps` is missing"),
        ({"sample": {"classes": "c.tif", "n": 9}}, "`out` is missing"),
        ({"estimate": {"out": "e.json"}}, "`sample` is missing"),
        ({"report": {"out": "o"}}, "`results` is missing"),
    ],
)
def test_a_wrong_section_stops_everything_before_it_starts(job: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_steps(PipelineJob.parse(job))
