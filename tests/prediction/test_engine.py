"""The engine of a run: on which tiles it is measured, and that it is decided once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.errors import ResourceError, UsageError
from geoseg.execution import Where
from geoseg.geometry import plan_tiles
from geoseg.prediction import product
from geoseg.prediction.engine import asked_engine, sample_tiles
from geoseg.prediction.job import PredictJob
from tests.prediction.conftest import make_pixels

SceneFile = Callable[..., Path]


def test_tiles_to_measure_on_are_the_fullest_of_the_scene(scene_file: SceneFile) -> None:
    pixels = make_pixels(256, 1024)
    pixels[:, :, :600] = 0
    scene = geoseg.open_scene(scene_file(pixels))
    tiling = plan_tiles(*scene.grid.shape, tile=128, margin=0, chunk=256)
    raw, valid = sample_tiles(scene, tiling) or (None, None)
    assert raw is not None
    assert raw.shape == (4, 3, 128, 128)
    assert valid.all()
    assert (raw != 0).all()
    pixels[:] = 0
    empty = geoseg.open_scene(scene_file(pixels, "empty.tif"))
    assert sample_tiles(empty, tiling) is None


def test_what_is_asked_for_is_one_value_with_the_threads_of_the_run(tmp_path: Path) -> None:
    job = PredictJob(scene="s.tif", model="m", out=tmp_path, engine="onnx", precision="fp32", device="cpu")
    asked = EngineChoice(name="onnx", device="cpu", precision="fp32", threads=3)
    assert asked_engine(job, Where(threads=3)) == asked


def test_a_run_keeps_the_engine_that_it_began_with(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, out = scene_file(make_pixels(256, 256)), tmp_path / "out"
    options = {"model": linear, "out": out, "tile": 64, "margin": 0, "chunk": 128, "threads": 1}
    choice = EngineChoice(name="torch", device="cpu", precision="bf16", threads=1)
    monkeypatch.setattr(product, "settle_engine", lambda *_: Decision(choice=choice, reason="measured"))
    shown = []

    def stop(progress: object) -> None:
        shown.append(progress)
        if len(shown) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, progress=stop, **options)

    def measured_again(*_: object) -> Decision:
        raise AssertionError("decided twice")

    monkeypatch.setattr(product, "settle_engine", measured_again)
    manifest = geoseg.predict(scene, **options).manifest.read_text()
    assert '"precision": "bf16"' in manifest
    assert '"reason": "measured"' in manifest


_MAP_WITHOUT_TORCH = """
import sys, json, geoseg
made = geoseg.predict(sys.argv[1], model=sys.argv[2], out=sys.argv[3], threads=1)
print(json.loads(made.manifest.read_text())["decision"]["reason"], "torch" in sys.modules)
"""


@pytest.mark.slow
def test_the_second_small_scene_loads_no_torch_and_has_its_labels(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scene = scene_file(make_pixels(96, 128))
    said, labels = [], []
    for name in ("first", "second"):
        call = [sys.executable, "-c", _MAP_WITHOUT_TORCH, scene, linear, tmp_path / name]
        said.append(subprocess.run(call, check=True, capture_output=True, text=True).stdout.split())
        labels.append(_labels(tmp_path / name))
    assert said == [["measured", "True"], ["remembered", "False"]]
    geoseg.predict(scene, model=linear, out=tmp_path / "torch", threads=1, engine="torch")
    assert (labels[0] == labels[1]).all()
    assert (labels[0] == _labels(tmp_path / "torch")).mean() >= 0.999


def _labels(run: Path) -> NDArray[np.uint8]:
    found = geoseg.open_class_map(run / "classes.tif")
    return found.read(found.grid.window)


def test_an_unknown_engine_is_refused_before_anything_runs(
    scene_file: SceneFile, linear: Path, tmp_path: Path
) -> None:
    scene = scene_file(make_pixels(64, 64))
    with pytest.raises(UsageError, match=r"unknown engine 'tf'.*auto, torch, onnx, openvino"):
        geoseg.predict(scene, model=linear, out=tmp_path / "out", engine="tf")


def test_an_engine_that_is_not_installed_says_which_extra(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geoseg.engines.openvino_engine.find_spec", lambda _: None)
    scene = scene_file(make_pixels(64, 64))
    with pytest.raises(ResourceError, match=r"OpenVINO is not installed.*geoseg\[openvino\]"):
        geoseg.predict(scene, model=linear, out=tmp_path / "out", engine="openvino", precision="fp32")
