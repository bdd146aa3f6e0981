from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from geoseg.cli.model import command
from geoseg.errors import InputError
from geoseg.models import bundle as bundles

from . import bundles as made


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "PRETRAINED", tmp_path)
    scores = {"mean_iou": 0.75, "classes": {"forest": {"iou": 0.8125, "f1": 0.9}}, "data": "[three] scenes"}
    return made.bundle(
        tmp_path, scores=scores, provenance={"credit": "A. Author [2020]"}, description="[what]"
    )


def run(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_list_has_classes_bands_and_score(shipped):
    output = run("list")
    for part in ("made", "water, forest, pasture", "b1, b2, b3", "5 to 20 m", "0.750"):
        assert part in output
    assert [entry["name"] for entry in json.loads(run("list", "--json"))] == ["made"]


def test_an_installation_without_models_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "PRETRAINED", tmp_path)
    assert "model" in run("list")
    assert json.loads(run("list", "--json")) == []
    with pytest.raises(InputError, match="none come with this installation"):
        run("show", "forest")


@pytest.mark.parametrize("by", ["name", "path"])
def test_one_model_is_shown_with_text_as_it_is_written(shipped, by):
    output = run("show", "made" if by == "name" else str(shipped.path))
    color = shipped.legend.classes[0].color
    for part in ("[what]", "A. Author [2020]", "[three] scenes", "CC0-1.0", "0.812", color, "linear"):
        assert part in output


def test_json_is_the_bundles_own_description(shipped):
    assert json.loads(run("show", "made", "--json")) == json.loads((shipped.path / "bundle.json").read_text())


def test_architectures_are_listed_without_loading_torch():
    listed = json.loads(run("architectures", "--json"))
    assert {"name": "fcn8s", "what": "FCN-8s", "paper": "Long et al. 2015, arXiv 1411.4038"} in listed
    assert "object-contextual" in run("architectures")
    code = (
        "import sys; from geoseg.cli.model import command; "
        "command(['architectures'], standalone_mode=False); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
