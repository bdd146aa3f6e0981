"""Models side by side: each row is what the verbs say of that model."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from geoseg.cli.model import command
from geoseg.comparison.job import CompareJob
from geoseg.comparison.verb import run_compare
from geoseg.errors import UsageError
from geoseg.evaluation.verb import evaluate
from geoseg.models.architectures import Architecture

from ..models import bundles
from ..raster import makers


@pytest.fixture
def scene(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (3, 64, 96)).astype(np.uint8)
    return makers.write(tmp_path / "scene.tif", pixels)


@pytest.fixture
def reference(tmp_path):
    classes = np.random.default_rng(4).choice(np.array([3, 7, 9], np.uint8), (64, 96))
    tags = {"CLASS_3": "water", "CLASS_7": "forest", "CLASS_9": "pasture"}
    return makers.write(tmp_path / "reference.tif", classes, tags=tags)


def models(tmp_path):
    made = {}
    for seed, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        network = bundles.network(Architecture(name="linear"), seed=seed)
        made[name] = str(bundles.bundle(tmp_path / name, network=network, name=name).path)
    return made


def test_every_row_is_what_the_verbs_say(scene, reference, tmp_path):
    made = models(tmp_path)
    job = CompareJob(
        scene=str(scene), reference=reference, model=list(made.values()), out=tmp_path / "out", tile=96
    )
    found = run_compare(job)
    assert [m.model for m in found.models] == ["one", "two"]
    assert found.models[0].scores != found.models[1].scores
    for model in found.models:
        scores = evaluate(model.map, reference)
        assert model.scores == pytest.approx(scores.overall, nan_ok=True)
        assert model.novelty is None
        assert model.megapixels_per_second > 0
    rows = list(csv.reader((tmp_path / "out" / "comparison.csv").open()))
    assert rows[0][:3] == ["model", "overall accuracy", "mean iou"]
    assert float(rows[2][2]) == pytest.approx(found.models[1].scores["mean_iou"])
    said = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [m["model"] for m in said["models"]] == ["one", "two"]
    again = run_compare(job)
    assert [m.scores for m in again.models] == [pytest.approx(m.scores, nan_ok=True) for m in found.models]
    assert again.models[0].seconds == found.models[0].seconds  # of the run that made the map


def test_the_command_prints_one_line_for_each(scene, reference, tmp_path):
    made = models(tmp_path)
    call = ["compare", str(scene), str(reference), "--out", str(tmp_path / "out"), "--tile", "96"]
    run = CliRunner().invoke(command, [*call, *(a for m in made.values() for a in ("--model", m))])
    assert run.exit_code == 0, run.output
    lines = [line.split()[0] for line in run.output.splitlines() if line.split()]
    assert lines.count("one") == lines.count("two") == 1


def test_two_models_of_one_name_are_refused(scene, reference, tmp_path):
    path = models(tmp_path)["one"]
    job = CompareJob(scene=str(scene), reference=reference, model=[path, path], out=tmp_path / "out")
    with pytest.raises(UsageError, match="two models are called 'one'"):
        run_compare(job)
