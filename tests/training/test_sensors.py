"""Sensors on grids of their own, taken away in training, and missing in a scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.errors import InputError, UsageError
from geoseg.models.bundle import load_bundle
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train
from tests.training.makers import image_of, job, write

SENSORS = {"optical": ["blue", "nir"], "radar": ["vv"]}
SHAPE = 96, 160


def labels_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.choice([1, 2, 7], (6, 10)), np.ones((16, 16))).astype(np.uint8)


def write_scene(folder: Path, seed: int) -> list[str]:
    """Two optical bands, noisier radar in pixels twice as large, and elevation, which says nothing."""
    rng = np.random.default_rng(seed + 50)
    labels = labels_of(seed)
    optical = image_of(labels, seed=seed + 1).astype(np.int16) * 20
    radar = labels[::2, ::2] * 3 - 20 + rng.normal(0, 1, (SHAPE[0] // 2, SHAPE[1] // 2))
    elevation = 300 + rng.normal(0, 9, SHAPE)
    return [
        str(write(folder / f"optical{seed}.tif", optical)),
        str(write(folder / f"radar{seed}.tif", np.round(radar * 10).astype(np.int16), pixel=20)),
        str(write(folder / f"dem{seed}.tif", elevation.astype(np.int16))),
    ]


def fields_of(folder: Path, **more: Any) -> dict[str, Any]:
    labels = write(folder / "labels.tif", labels_of(0))
    scene = {"image": write_scene(folder, 0), "labels": str(labels)}
    names = ["blue", "nir", "vv", "dem"]
    few = {"validate_every": 60, "validation_windows": 1, "light_windows": 1}
    return job(folder, scenes=[scene], band_names=names, sensors=SENSORS, **few, **more)


def train(fields: dict[str, Any]) -> Any:
    return run_train(TrainJob.parse(fields), device="cpu", threads=1)


def classes(out: Any) -> np.ndarray:
    with rasterio.open(out.classes) as file:
        assert file.tags().get("GEOSEG_WITHOUT") in (None, "radar")
        return file.read(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    return train(fields_of(folder, augment={"drop_sensor": 0.4})).bundle.path


def test_the_bundle_and_its_card_say_what_may_be_missing_and_what_that_costs(trained: Path) -> None:
    bundle = load_bundle(trained)
    assert {s.name: list(s.bands) for s in bundle.contract.sensors} == SENSORS
    scores = bundle.scores["without"]
    assert set(scores) == set(SENSORS)
    assert bundle.scores["mean_iou"] > 0.7 > max(s["mean_iou"] for s in scores.values()) > 0.4
    card = (trained / "README.md").read_text()
    assert "| may be missing | radar: vv |" in card
    assert "| without optical |" in card and "with probability 0.4" in card
    shown = CliRunner().invoke(cli, ["model", "show", str(trained)])
    assert "radar (vv)" in shown.output


def test_a_scene_without_a_sensor_is_mapped_as_one_whose_bands_say_nothing(
    trained: Path, tmp_path: Path
) -> None:
    """The oracle is a file with what normalises to zero in these bands; and chunks decide nothing."""
    optical, _, dem = write_scene(tmp_path, 4)
    options = {"model": trained, "tile": 64, "margin": 0, "threads": 1}
    found = geoseg.predict([optical, dem], out=tmp_path / "a", without="radar", **options)
    fill = load_bundle(trained).contract.fill[2]
    pixels = np.full((4, *SHAPE), fill, np.float32)
    for path, to in ((optical, slice(0, 2)), (dem, slice(3, 4))):
        with rasterio.open(path) as file:
            pixels[to] = file.read()
    whole = write(tmp_path / "whole.tif", pixels)
    expected = geoseg.predict(whole, out=tmp_path / "b", **options)
    assert (classes(found) == classes(expected)).all() and len(np.unique(classes(found))) > 1
    small = geoseg.predict([optical, dem], out=tmp_path / "c", without=["radar"], chunk=64, **options)
    assert (classes(found) == classes(small)).all()
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["without"] == ["radar"]
    said = " ".join(manifest["notes"])
    assert "mapped without radar: vv hold the mean of the training; so it reached mean IoU" in said


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        ((0, 2), {}, r"too few bands.*found 3, the model needs 4.*or `without=radar` if that is what"),
        ((0,), {"without": "radar"}, r"too few bands\. found 2, the model needs 3: blue, nir, dem"),
        ((0, 1, 2), {"without": "radar"}, r"wrong number of bands"),
        ((0, 1), {"without": "dem"}, r"cannot do without 'dem'.*optical \(blue, nir\); radar \(vv\)"),
        ((0, 2), {"without": "radar", "novelty": True}, "novelty compares all bands"),
    ],
)
def test_what_is_not_said_or_not_learnt_is_refused(
    trained: Path, tmp_path: Path, files: tuple[int, ...], options: dict[str, Any], said: str
) -> None:
    scene = write_scene(tmp_path, 4)
    with pytest.raises((InputError, UsageError), match=said):
        geoseg.predict([scene[i] for i in files], model=trained, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("sensors", "said"),
    [
        ({"optical": ["blue", "red"]}, "band 'red' is not one band of one sensor"),
        ({"a": ["blue"], "b": ["blue", "vv"]}, "band 'blue' is not one band of one sensor"),
        ({"all": ["blue", "nir", "vv", "dem"]}, "there must be others"),
    ],
)
def test_sensors_are_groups_of_the_bands(tmp_path: Path, sensors: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"sensors: .*{said}"):
        train({**fields_of(tmp_path), "sensors": sensors})
    fields = {**fields_of(tmp_path), "augment": {"drop_sensor": 0.5}}
    del fields["sensors"]
    with pytest.raises(UsageError, match="drop_sensor is for sensors"):
        train(fields)
