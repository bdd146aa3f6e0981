"""A bundle judged again is the bundle that training made, whatever of its description was older."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from geoseg.errors import InputError
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train
from tests.training.makers import job
from tests.workflows.scripts import load_script


def _config(folder: Path, fields: dict[str, Any]) -> Path:
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump({**fields, "out": str(fields["out"])}))
    return path


def test_what_an_older_bundle_lacks_is_written_as_training_writes_it(tmp_path: Path) -> None:
    fields = job(tmp_path, steps=10, validate_every=10)
    bundle = run_train(TrainJob.parse(fields)).bundle
    assert bundle is not None
    texts = {name: (bundle.path / name).read_text() for name in ("bundle.json", "README.md")}
    said = json.loads(texts["bundle.json"])
    older = {**said, "temperature": 1.0, "scores": {"data": "", "classes": {}, "mean_iou": 0.1}}
    del older["experience"]
    (bundle.path / "bundle.json").write_text(json.dumps(older))
    script = load_script("judge_again")
    found = CliRunner().invoke(script.main, [str(_config(tmp_path, fields))], catch_exceptions=False)
    assert found.exit_code == 0 and str(bundle.path) in found.output
    assert json.loads((bundle.path / "bundle.json").read_text()) == said
    assert (bundle.path / "README.md").read_text() == texts["README.md"]


def test_other_scenes_than_those_of_its_training_are_refused(tmp_path: Path) -> None:
    bundle = run_train(TrainJob.parse(job(tmp_path, steps=10, validate_every=10))).bundle
    assert bundle is not None
    before = (bundle.path / "bundle.json").read_text()
    (tmp_path / "other").mkdir()
    other = {**job(tmp_path / "other", bands=[2, 1]), "out": bundle.path}
    script = load_script("judge_again")
    with pytest.raises(InputError, match="trained on other scenes"):
        CliRunner().invoke(script.main, [str(_config(tmp_path, other))], catch_exceptions=False)
    assert (bundle.path / "bundle.json").read_text() == before
