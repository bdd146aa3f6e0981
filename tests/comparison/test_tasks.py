"""Models of several tasks in the commands that take a model for its classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.engines.onnx_export import export_onnx
from geoseg.errors import UsageError
from geoseg.models.architectures import SEVERAL
from geoseg.models.bundle import Bundle
from tests.models.object_networks import bundle_of
from tests.raster.makers import write


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of("one_decoder", tmp_path_factory.mktemp("several"), SEVERAL["one_decoder"])


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of("interior_rim", tmp_path_factory.mktemp("objects"), ("instance",))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.kron(np.random.default_rng(2).integers(1, 255, (3, 12, 12)), np.ones((8, 8)))
    return write(tmp_path / "scene.tif", pixels.astype(np.uint8))


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    tags = {f"CLASS_{number}": name for number, name in enumerate("abcd", start=1)}
    classes = np.random.default_rng(4).integers(1, 5, (96, 96)).astype(np.uint8)
    return write(tmp_path / "reference.tif", classes, tags=tags)


def refused(*arguments: object) -> str:
    with pytest.raises(UsageError) as caught:
        cli.main([str(a) for a in arguments], standalone_mode=False)
    return str(caught.value)


def test_a_comparison_asks_for_classes(several: Bundle, scene: Path, reference: Path, tmp_path: Path) -> None:
    command = ["model", "compare", scene, reference, "--model", several.path, "--out", tmp_path / "out"]
    done = CliRunner().invoke(cli, [str(a) for a in [*command, "--tile", 96]], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "out" / several.name / "classes.tif") as file:
        compared = file.read(1)
    own = geoseg.predict(scene, model=several.path, out=tmp_path / "own", task="semantic", tile=96)
    with rasterio.open(own.classes) as file:
        assert np.array_equal(compared, file.read(1))


def test_models_of_objects_alone_are_refused_in_words(
    objects: Bundle, scene: Path, reference: Path, tmp_path: Path
) -> None:
    model, out = objects.path, tmp_path / "out"
    for command in (
        ("model", "compare", scene, reference, "--model", model, "--out", out),
        ("model", "int8", model, scene, reference, "--out", out),
        ("model", "export", model, "--onnx", "--out", tmp_path / "model.onnx"),
        ("fit", "model", scene, "--model", model, "--regions", "slic", "--out", out),
    ):
        said = refused(*command)
        assert "does not give every pixel a class" in said and "it is instance" in said, said
    assert not out.exists()


def test_adapting_is_for_classes_alone(several: Bundle, scene: Path, reference: Path, tmp_path: Path) -> None:
    said = refused("adapt", scene, reference, "--model", several.path, "--out", tmp_path / "out")
    assert "not adapted" in said and "it is panoptic and semantic" in said and "geoseg train" in said


def test_hints_name_the_task_that_has_what_was_asked(several: Bundle, scene: Path, tmp_path: Path) -> None:
    for option in (("--novelty",), ("--stitch", "blend"), ("--precision", "int8"), ("--tta", "d4")):
        said = refused("predict", scene, "--model", several.path, "--out", tmp_path / "out", *option)
        assert "task=semantic" in said or "experience" in said or "seen" in said, said


def test_regions_over_a_model_of_several_tasks_are_of_its_classes(
    several: Bundle, scene: Path, tmp_path: Path
) -> None:
    fitted = geoseg.fit("model", scene, model=several.path, regions="slic", out=tmp_path / "fitted")
    assert fitted.task == "semantic" and set(fitted.tasks) == set(several.tasks)
    done = CliRunner().invoke(cli, ["model", "show", str(several.path)], catch_exceptions=False)
    assert "panoptic, semantic, instance, promptable" in done.output


@pytest.mark.slow
def test_an_onnx_file_of_a_model_of_several_tasks_answers_classes(several: Bundle, tmp_path: Path) -> None:
    exported = export_onnx(several, tmp_path / "model.onnx", tile=96)
    assert exported.agreement > 0.999
    told = json.loads((tmp_path / "model.onnx.json").read_text())
    assert told["bundle"] == several.digest
