"""`geoseg run`: sections are checked before anything runs, and steps feed each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import geoseg
from geoseg.errors import UsageError
from geoseg.pipeline import PipelineJob, check_steps
from tests.prediction.conftest import linear, make_pixels, scene_file

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


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({}, "nothing to run"),
        (
            {"predict": {"scene": "a.tif", "model": "m", "out": "o", "tiel": 3}},
            "unknown key 'tiel'.*Try: 'tile'",
        ),
        ({"predict": {"scene": "a.tif", "model": "m"}}, "'out' is missing"),
        ({"evaluate": {"reference": "r.tif"}}, "'classes' is missing"),
        ({"change": {"out": "o"}}, "'before' is missing"),
    ],
)
def test_a_wrong_section_stops_everything_before_it_starts(job: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_steps(PipelineJob.parse(job))
