"""Several models and several views of every tile, as a user asks for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.engines.choice import EngineChoice
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.models.bundle import load_bundle
from geoseg.prediction import product
from geoseg.prediction.chunk import EngineRequest, engine_for
from geoseg.prediction.folder import Prediction
from geoseg.prediction.job import PredictJob
from tests.prediction.conftest import make_pixels

SceneFile = Callable[..., Path]


def maps_of(prediction: Prediction) -> np.ndarray:
    """Labels and confidence (2, h, w)."""
    read = []
    for path in (prediction.classes, prediction.confidence):
        with rasterio.open(path) as file:
            read.append(file.read(1))
    return np.stack(read)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_neither_chunks_nor_batch_nor_the_order_of_models_change_a_bit(
    scene_file: SceneFile, unet: Path, linear: Path, tmp_path: Path, stitch: str
) -> None:
    pixels = make_pixels(100, 140)
    pixels[:, :40, :50] = 0
    scene = scene_file(pixels)

    def run(name: str, **options: Any) -> np.ndarray:
        given = {"model": [unet, linear], "tta": "d4", "tile": 128, "margin": 32, **options}
        return maps_of(geoseg.predict(scene, out=tmp_path / name, stitch=stitch, threads=1, **given))

    whole = run("whole")
    np.testing.assert_array_equal(whole[0] == 255, (pixels == 0).any(axis=0))
    assert len(np.unique(whole[0])) >= 3
    for name, options in {
        "small": {"chunk": 64, "batch": 3},
        "reversed": {"model": [linear, unet], "batch": 1},
    }.items():
        np.testing.assert_array_equal(run(name, **options), whole, err_msg=name)


def test_processes_change_no_bit(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    scene, second = scene_file(make_pixels(100, 140)), tmp_path / "second"
    shutil.copytree(linear, second)
    given = {"model": [linear, second], "tta": "d4", "tile": 128, "margin": 32, "chunk": 64, "threads": 1}
    here, there = (
        maps_of(geoseg.predict(scene, out=tmp_path / str(workers), workers=workers, **given))
        for workers in (0, 2)
    )
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_the_map_of_a_turned_scene_is_the_turned_map(
    scene_file: SceneFile, unet: Path, tmp_path: Path, stitch: str
) -> None:
    """Bitwise, where the lattice has the symmetry too: a square of whole cells."""
    pixels = make_pixels(128, 128)
    pixels[:, 100:, :20] = 0
    turns: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "as it is": lambda a: a,
        "upside down": lambda a: a[..., ::-1, :],
        "quarter turn": lambda a: np.rot90(a, axes=(-2, -1)),
    }
    found = {}
    for name, turn in turns.items():
        made = geoseg.predict(
            scene_file(np.ascontiguousarray(turn(pixels)), f"{name}.tif"),
            **{"model": unet, "out": tmp_path / name, "tta": "d4", "tile": 128, "margin": 32},
            stitch=stitch,
            threads=1,
        )
        found[name] = maps_of(made)
        np.testing.assert_array_equal(found[name], turn(found["as it is"]), err_msg=name)
    plain = geoseg.predict(tmp_path / "as it is.tif", model=unet, out=tmp_path / "plain", tile=128, threads=1)
    assert not np.array_equal(maps_of(plain)[1], found["as it is"][1])


def test_resumes_and_refuses_a_changed_member(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, out = scene_file(make_pixels(200, 200)), tmp_path / "out"
    second = tmp_path / "second"
    shutil.copytree(linear, second)
    options: dict[str, Any] = {"model": [linear, second], "tta": "flips", "tile": 128, "chunk": 64}
    expected = maps_of(geoseg.predict(scene, out=tmp_path / "clean", **options))
    real, calls = product.predict_chunk, []

    def interrupted(request: Any, index: int) -> Any:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(index)
        return real(request, index)

    monkeypatch.setattr(product, "predict_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, out=out, **options)
    monkeypatch.undo()

    described = (second / "bundle.json").read_text()
    (second / "bundle.json").write_text(described.replace('"version": "1"', '"version": "2"'))
    with pytest.raises(OutputConflictError, match=r"models\[1\]: 'linear "):
        geoseg.predict(scene, out=out, **options)
    (second / "bundle.json").write_text(described)
    with pytest.raises(OutputConflictError, match="tta: 'flips' -> 'd4'"):
        geoseg.predict(scene, out=out, **{**options, "tta": "d4"})
    np.testing.assert_array_equal(maps_of(geoseg.predict(scene, out=out, **options)), expected)
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [e["chunks"] for e in events if e["event"] == "resume"] == [3]


def test_a_worker_refuses_another_member_than_the_driver_saw(linear: Path, unet: Path) -> None:
    request = EngineRequest(
        bundles=(str(linear), str(unet)),
        digests=(load_bundle(linear).digest, "0" * 64),
        tta="none",
        choice=EngineChoice(name="torch", device="cpu", precision="fp32", threads=1),
        task="semantic",
    )
    with pytest.raises(InputError, match=r"unet: the model changed.*expected 000000000000"):
        engine_for(request)


def test_the_outputs_name_every_model_and_the_views(
    scene_file: SceneFile, linear: Path, unet: Path, tmp_path: Path
) -> None:
    scene = scene_file(make_pixels(64, 64))
    made = geoseg.predict(scene, model=[linear, unet], tta="flips", out=tmp_path / "out", tile=128)
    manifest = json.loads(made.manifest.read_text())
    digests = [load_bundle(p).digest for p in (linear, unet)]
    assert [(m["name"], m["digest"]) for m in manifest["models"]] == [
        *zip(("linear", "unet"), digests, strict=True)
    ]
    assert manifest["tta"] == "flips"
    assert [m["bundle"] for m in manifest["engine"]["members"]] == digests
    assert manifest["tiling"]["forward_pixels_per_pixel"] == 8 * 128**2 / 64**2
    with rasterio.open(made.classes) as file:
        tags = file.tags()
    assert tags["GEOSEG_MODEL"] == "linear, unet"
    assert tags["GEOSEG_MODEL_SHA256"] == ", ".join(digests)
    assert tags["GEOSEG_TTA"] == "flips"
    job = PredictJob.parse(PredictJob.load(_section(tmp_path / "out" / "run.yaml")).model_dump())
    assert job.models == (str(linear), str(unet))


def _section(path: Path) -> Path:
    import yaml

    alone = path.with_name("predict.yaml")
    alone.write_text(yaml.safe_dump(yaml.safe_load(path.read_text())["predict"]))
    return alone


def test_the_command_takes_models_again_and_again_and_shows_what_it_costs(
    scene_file: SceneFile, linear: Path, unet: Path, tmp_path: Path
) -> None:
    scene = str(scene_file(make_pixels(64, 64)))
    arguments = ["plan", scene, "--tile", "128", "--no-probe", "--model", str(linear)]
    runner = CliRunner(env={"COLUMNS": "100"})
    alone = runner.invoke(cli, arguments, catch_exceptions=False).output
    assert "cost    4.000 forward-pixels per scene-pixel" in [line.rstrip() for line in alone.splitlines()]
    both = runner.invoke(cli, [*arguments, "--model", str(unet), "--tta", "d4"], catch_exceptions=False)
    assert "linear 1 + unet 1: forest, pasture, water" in both.output
    assert "64.000 forward-pixels per scene-pixel (4.000 x 2 models x 8 views)" in both.output
    plan = geoseg.plan(scene, model=[linear, unet], tta="d4", tile=128, probe=False)
    more, said = plan.memory, json.loads(json.dumps(plan.to_json(), allow_nan=False))
    assert said["memory"] == more and said["seconds"] is None and len(said["request"]["models"]) == 2
    assert more > geoseg.plan(scene, model=linear, tile=128, probe=False).memory


def test_every_model_has_to_take_the_scene(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    scene, other = scene_file(make_pixels(64, 64)), tmp_path / "other"
    shutil.copytree(linear, other)
    described = json.loads((other / "bundle.json").read_text())
    described |= {"name": "coarse"}
    described["input"]["pixel_size"] = [100, 200]
    (other / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="outside the model's range for the model coarse"):
        geoseg.predict(scene, model=[linear, other], out=tmp_path / "out")
    made = geoseg.predict(scene, model=[linear, other], out=tmp_path / "out", force=True)
    assert any(note.startswith("coarse: pixel size") for note in made.notes)
    described["legend"][0]["name"] = "woodland"
    (other / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(UsageError, match=r"linear and coarse have different classes.*3 forest.*3 woodland"):
        geoseg.predict(scene, model=[linear, other], out=tmp_path / "no")
    assert not (tmp_path / "no").exists()
    with pytest.raises(UsageError, match="no model is named"):
        geoseg.predict(scene, model=[], out=tmp_path / "no")
