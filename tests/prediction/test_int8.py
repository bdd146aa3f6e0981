"""A prediction in int8: calibrated once on the scene, the same map for any chunks and workers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.engines.int8 import tiles_wanted
from geoseg.errors import UsageError
from geoseg.files import cache_folder
from geoseg.geometry import plan_tiles
from geoseg.models.architectures import Architecture
from geoseg.prediction import plan as plan_module
from geoseg.prediction.engine import sample_tiles
from tests.models import bundles as made
from tests.models.stacks import NAME
from tests.prediction.conftest import make_pixels

pytest.importorskip("onnxruntime")
SceneFile = Callable[..., Path]
FIXED: dict[str, Any] = {"tile": 64, "margin": 8, "threads": 1, "engine": "onnx", "precision": "int8"}


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")


@pytest.fixture
def model(tmp_path: Path, trusted: None) -> Path:
    contract = made.contract(
        dtype="uint16", value_range=(0, 10000), mean=(3000.0,) * 3, std=(1500.0,) * 3, bands=3
    )
    folder = tmp_path / "bundle"
    return made.bundle(folder, Architecture(name=NAME), contract=contract, size_multiple=2, margin=8).path


@pytest.fixture
def scene(scene_file: SceneFile) -> Path:
    pixels = make_pixels(200, 250)
    pixels[:, :40, :90] = 0
    return scene_file(pixels)


def maps(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    scene = (geoseg.open_scene(folder / name, categorical=True) for name in ("classes.tif", "confidence.tif"))
    first, second = ((s.read(s.grid.window)[0][0]) for s in scene)
    return first, second


def test_the_map_is_the_same_for_any_chunks_and_workers(scene: Path, model: Path, tmp_path: Path) -> None:
    expected = maps(geoseg.predict(scene, model=model, out=tmp_path / "a", chunk=512, **FIXED).classes.parent)
    for name, how in {"b": {"chunk": 48}, "c": {"chunk": 96, "workers": 2, "batch": 3}}.items():
        out = tmp_path / name
        geoseg.predict(scene, model=model, out=out, **FIXED, **how)
        for found, wanted in zip(maps(out), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert len(set(np.unique(expected[0])) - {255}) == 3


def test_calibration_is_the_same_for_any_chunks_and_areas(scene: Path) -> None:
    opened = geoseg.open_scene(scene)
    count = tiles_wanted((64, 64))
    found = [
        sample_tiles(opened, plan_tiles(200, 250, tile=64, margin=8, chunk=chunk, multiple=2), count)
        for chunk in (48, 512)
    ]
    for first, second in zip(*(pair for pair in found if pair), strict=True):
        np.testing.assert_array_equal(first, second)


def test_stopped_and_without_its_cache_it_goes_on_to_the_same_map(
    scene: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": model, "chunk": 48, **FIXED}
    geoseg.predict(scene, out=tmp_path / "whole", **options)
    shown: list[object] = []

    def stop(progress: object) -> None:
        shown.append(progress)
        if len(shown) == 4:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, out=out, progress=stop, **options)
    for path in (cache_folder() / "networks").glob("*int8*"):
        path.unlink()
    shutil.rmtree(cache_folder() / "engines")
    monkeypatch.setattr(plan_module, "settle_int8", lambda *_: pytest.fail("decided twice"))
    geoseg.predict(scene, out=out, **options)
    for found, wanted in zip(maps(out), maps(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_command_says_in_one_line_how_near_it_comes(scene: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--tile", "64", "--margin", "8", "--threads", "1", "--engine", "onnx", "--precision", "int8"]
    given = ["predict", str(scene), "--model", str(model), "--out", str(out), *options]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 0, done.output
    (line,) = (text for text in done.stderr.splitlines() if text.startswith("note: engine"))
    assert re.sub(r"[\d.]+", "#", line) == (
        "note: engine: onnx int#, # thread (asked for): #% of the labels as in fp#, on # tiles that it was "
        "not calibrated on; # CPU ms for a tile, # in fp#; # MB, # in fp#"
    )
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["engine"]["precision"] == "int8"
    assert manifest["engine"]["calibration"] == manifest["decision"]["choice"]["calibration"]
    assert manifest["decision"]["quantised"]["compared"] == manifest["decision"]["quantised"]["calibrated"]


def test_models_of_objects_are_refused(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="instance models are not computed in int8"):
        geoseg.predict(scene, model="buildings-rgb", out=tmp_path / "out", precision="int8", force=True)
