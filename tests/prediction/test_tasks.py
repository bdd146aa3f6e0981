"""One bundle of several tasks: asked for each of them, by the same verbs and under the same guarantees."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import question_file
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.opening import open_engine, open_segment_engine
from geoseg.errors import GeosegError, InputError, OutputConflictError, UsageError
from geoseg.models.architectures import SEVERAL
from geoseg.models.bundle import Bundle, load_bundle
from tests.models.object_networks import bundle_of
from tests.raster.makers import write

PLAN: dict[str, Any] = {"tile": 96, "margin": 32, "threads": 1, "device": "cpu", "engine": "torch"}
NAME = "one_decoder"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(NAME, tmp_path_factory.mktemp("made"), SEVERAL[NAME])


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.kron(np.random.default_rng(2).integers(1, 255, (3, 12, 10)), np.ones((8, 8)))
    return write(tmp_path / "scene.tif", pixels.astype(np.uint8))


def rasters_of(made: Any) -> dict[str, np.ndarray]:
    found = {}
    for name, path in made.layers.items():
        if path.suffix == ".tif":
            with rasterio.open(path) as file:
                found[name] = file.read(1)
    return found


def test_a_bundle_says_which_tasks_it_answers(several: Bundle) -> None:
    stored = json.loads((several.path / "bundle.json").read_text())
    assert stored["tasks"] == ["panoptic", "semantic", "instance", "promptable"]
    assert "task" not in stored and stored["format_version"] == 2
    assert several.task == "panoptic" and several.answering("panoptic") == several
    asked = several.answering("instance")
    assert (
        asked.task == "instance" and asked.digest == several.digest and set(asked.tasks) == set(several.tasks)
    )
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert load_bundle(several.path) == several
    for tasks, says in ((("panoptic", "panoptic"), "one or several"), ((), "one or several")):
        with pytest.raises(InputError, match=says):
            replace(several, tasks=tasks)
    with pytest.raises(InputError, match="needs to say what an object is"):
        replace(several, objects=None)


def test_each_task_has_its_map_in_any_chunks(several: Bundle, scene: Path, tmp_path: Path) -> None:
    found: dict[str, dict[str, np.ndarray]] = {}
    for task in ("semantic", "panoptic"):
        one, other = (
            geoseg.predict(
                scene, model=several.path, out=tmp_path / f"{task}{chunk}", task=task, chunk=chunk, **PLAN
            )
            for chunk in (32, 96)
        )
        found[task] = rasters_of(one)
        assert all(np.array_equal(v, rasters_of(other)[k]) for k, v in found[task].items())
        identity = json.loads(one.manifest.read_text())["identity"]
        assert identity["task"] == task
    assert set(found["semantic"]) == {"classes", "confidence"}
    assert set(found["panoptic"]) == {"classes", "panoptic"}
    ground = found["panoptic"]["panoptic"] == 0
    assert set(np.unique(found["panoptic"]["classes"][ground])) <= {2, 4}
    assert set(np.unique(found["panoptic"]["classes"][~ground])) <= {1, 3}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_objects_do_not_depend_on_workers(several: Bundle, scene: Path, tmp_path: Path, task: str) -> None:
    given: dict[str, Any] = {"model": several.path, "task": task, "chunk": 32, **PLAN}
    alone, together = (
        geoseg.predict(scene, out=tmp_path / str(workers), workers=workers, **given) for workers in (0, 2)
    )
    assert all(np.array_equal(v, rasters_of(together)[k]) for k, v in rasters_of(alone).items())
    one, other = (gpd.read_file(made.objects, layer="objects") for made in (alone, together))
    assert len(one) > 0 and one.equals(other)


def test_a_folder_holds_one_task(several: Bundle, scene: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"model": several.path, "out": tmp_path / "out", **PLAN}
    first = geoseg.predict(scene, **given)
    assert first.panoptic is not None
    assert not geoseg.predict(scene, **given, task="panoptic").fresh
    with pytest.raises(OutputConflictError, match=r"task: 'panoptic' -> 'instance'"):
        geoseg.predict(scene, **given, task="instance")
    again = geoseg.predict(scene, **given, task="instance", overwrite=True)
    said = json.loads(again.manifest.read_text())
    assert said["task"] == "instance" and set(said["objects"]) == {"a", "c"}
    assert not (tmp_path / "out" / "classes.tif").exists()


def test_what_a_bundle_cannot_answer_is_said(several: Bundle, scene: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"does not answer task 'instance'.*it is semantic.*task=semantic"):
        geoseg.predict(scene, model="urban-rgb", out=tmp_path / "out", task="instance", force=True)
    with pytest.raises(UsageError, match="answers no prompts"):
        geoseg.predict(scene, model=several.path, out=tmp_path / "out", everything=32)
    with pytest.raises(GeosegError, match="task"):
        geoseg.predict(scene, model=several.path, out=tmp_path / "out", task="promptable")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does not give every pixel a class"):
        open_engine(several)
    with pytest.raises(UsageError, match="finds no objects"):
        open_segment_engine(several.answering("semantic"))


def test_an_engine_is_remembered_for_the_task_that_it_was_measured_on(several: Bundle) -> None:
    """ONNX may be the fastest for class maps, and runs no networks of objects."""
    files = {
        question_file(EngineChoice(), Ensemble(bundles=(several.answering(task),)), (96, 96))
        for task in several.tasks
    }
    assert len(files) == len(several.tasks)


def test_the_same_bundle_answers_prompts_each_once(several: Bundle, scene: Path, tmp_path: Path) -> None:
    with rasterio.open(scene) as file:
        points = [shapely.Point(file.xy(*at)) for at in ((10, 10), (50, 60), (90, 20), (11, 10))]
        asked = gpd.GeoDataFrame({"name": list("wxyz")}, geometry=points, crs=file.crs)
    rows = []
    for number, layer in enumerate((asked, asked.iloc[::-1])):
        layer.to_file(tmp_path / f"{number}.gpkg")
        made = geoseg.prompt(
            scene,
            tmp_path / f"{number}.gpkg",
            model=several.path,
            out=tmp_path / f"out{number}.gpkg",
            threads=1,
        )
        assert made.prompts == 4
        rows.append(gpd.read_file(tmp_path / f"out{number}.gpkg").sort_values("name", ignore_index=True))
    assert rows[0]["name"].tolist() == list("wxyz") and set(rows[0]["status"]) <= {"ok", "empty"}
    assert rows[0].equals(rows[1])
