"""What int8 costs a model on labelled scenes: counted by the verbs, pooled, kept, and obeyed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import geoseg
from geoseg.accuracy.scores import Scores, read_matrix
from geoseg.cli.main import cli
from geoseg.errors import ResourceError
from geoseg.models.architectures import Architecture
from geoseg.models.int8_loss import read_int8_loss, write_int8_loss

from ..models import bundles
from ..models.stacks import NAME
from ..raster import makers

pytest.importorskip("onnxruntime")


def test_the_loss_is_that_of_all_scenes_together_and_refuses_a_model_that_loses_much(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")
    bundle = bundles.bundle(tmp_path, Architecture(name=NAME), size_multiple=2, margin=0)
    rng = np.random.default_rng(1)
    tags = {"CLASS_3": "water", "CLASS_7": "forest", "CLASS_9": "pasture"}
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name, side in {"a": 64, "b": 128}.items():
        makers.write(tmp_path / f"images/{name}.tif", rng.integers(0, 256, (3, 64, side)).astype(np.uint8))
        makers.write(
            tmp_path / f"masks/{name}.tif", rng.choice(np.array([3, 7, 9], np.uint8), (64, side)), tags=tags
        )
    out = tmp_path / "out"
    given = [str(bundle.path), str(tmp_path / "images"), str(tmp_path / "masks"), "--out", str(out)]
    done = CliRunner().invoke(cli, ["model", "int8", *given, "--tile", "64", "--threads", "1"])
    assert done.exit_code == 0, done.output
    loss = read_int8_loss(bundle)
    assert loss is not None
    assert (loss.scenes, loss.pixels) == (2, 64 * 192)
    for precision, found in {"fp32": loss.exact, "int8": loss.quantised}.items():
        first, second = (read_matrix(out / name / precision / "scores.json") for name in "ab")
        assert found == pytest.approx(Scores(matrix=first + second).overall["mean_iou"])
        manifest = json.loads((out / "a" / precision / "manifest.json").read_text())
        assert manifest["decision"]["choice"]["precision"] == precision
    change = "lost" if loss.points > 0 else "gained"
    assert f"{loss}: {abs(loss.points):.2f} points {change}" in done.stdout
    write_int8_loss(bundle, replace(loss, exact=0.7, quantised=0.69))
    options = {"model": bundle.path, "out": tmp_path / "map", "precision": "int8", "tile": 64}
    with pytest.raises(ResourceError, match=r"loses too much of the accuracy.*1\.00 points of mean IoU"):
        geoseg.predict(tmp_path / "images/a.tif", **options)
