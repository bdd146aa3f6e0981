"""A training from files to a bundle that predicts; stopped, killed, shared between processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
import yaml
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.models.network import load_network
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train
from tests.training.makers import CLASSES, image_of, job, stripes, write


def train(fields: dict[str, Any], **options: Any) -> Any:
    return run_train(TrainJob.parse(fields), device="cpu", threads=1, **options)


def write_job(folder: Path, fields: dict[str, Any]) -> Path:
    path = folder / "job.yaml"
    path.write_text(TrainJob.parse(fields).dump())
    return path


@pytest.mark.usefixtures("painted")
def test_raster_labels_become_a_bundle_that_predicts(tmp_path: Path) -> None:
    rows: list[Any] = []
    fields = job(tmp_path, licence="CC0-1.0", data="synthetic blobs")
    result = train(fields, progress=rows.append)
    assert [r["step"] for r in rows] == [30, 60] and rows[-1]["steps"] == 60
    assert result.bundle.scores["mean_iou"] > 0.95
    assert 0.05 < result.bundle.temperature < 20

    scene = write(tmp_path / "other.tif", image_of(stripes(100, 130, seed=9), seed=8))
    out = geoseg.predict(scene, model=result.bundle.path, out=tmp_path / "map", tile=64, margin=0, threads=1)
    with rasterio.open(out.classes) as file:
        mapped = file.read(1)
    assert (mapped == stripes(100, 130, seed=9)).mean() > 0.97
    assert any("the scene looks like what the model has seen" in note for note in out.notes)
    night = write(tmp_path / "night.tif", image_of(stripes(100, 130, seed=9), seed=8) // 3)
    plan = geoseg.plan(night, model=result.bundle.path, probe=False)
    assert any("darker than all" in note for note in plan.request.notes)

    said = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert said["bundle"]["scores"] == result.bundle.scores and said["path"] == str(result.bundle.path)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "synthetic blobs" in card and "CC0-1.0" in card and "geoseg train" in card
    assert "| validation pixels | IoU | F1 | precision | recall |" in card and "Mean IoU **" in card
    light = result.bundle.scores["changed_light"]
    accuracy = light["overall_accuracy"]
    assert accuracy["as_it_is"] == result.bundle.scores["overall_accuracy"]
    assert (
        accuracy["worst"] <= accuracy["mean"] < 0.99
    )  # thresholds between levels do not hold in other light
    assert 0 <= result.bundle.scores["novelty_auroc"] <= 1 and "**Novelty.**" in card
    assert "**Accuracy under changed light**" in card and "| 0.6 | 0.8 | 0.7 | 0.15 |" in card
    for picture in ("curve", "confusion", "reliability", "samples"):
        assert (tmp_path / "model" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "model.training" / "metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    assert [int(r["step"]) for r in logged] == [30, 60]
    assert float(logged[-1]["IoU bright"]) == pytest.approx(rows[-1]["figures"]["IoU bright"])

    again = train(fields)
    assert not again.fresh and again.bundle.digest == result.bundle.digest
    with pytest.raises(OutputConflictError, match="holds another model"):
        train({**fields, "steps": 61})
    assert train({**fields, "steps": 30}, overwrite=True).bundle.digest != result.bundle.digest


def polygons(folder: Path) -> Path:
    """Every blob of 16 px of the labels as a polygon in another CRS; classes by name, in other words."""
    labels = stripes(160, 240)
    words = {1: "Shadow", 2: "Grey", 7: "Sun"}
    boxes, names = [], []
    for row in range(0, 160, 16):
        for col in range(0, 240, 16):
            x, y = 500000 + col * 10, 9000000 - row * 10
            boxes.append(shapely.box(x, y - 160, x + 160, y))
            names.append(words[int(labels[row, col])])
    frame = geopandas.GeoDataFrame({"kind": names}, geometry=boxes, crs="EPSG:32720").to_crs("EPSG:4326")
    frame.to_file(folder / "labels.gpkg")
    return folder / "labels.gpkg"


def test_polygon_labels_with_a_crosswalk(tmp_path: Path) -> None:
    fields = job(tmp_path)
    fields["scenes"][0] |= {"labels": str(polygons(tmp_path)), "field": "kind"}
    crosswalk = {"Shadow": "dark", "Grey": "middle", "Sun": "bright"}
    result = train({**fields, "crosswalk": crosswalk, "split": {"by": "block", "block": 48, "share": 0.3}})
    assert result.bundle.scores["mean_iou"] > 0.95
    with pytest.raises(InputError, match="values without a class: 'Sun'"):
        train({**fields, "out": tmp_path / "b", "crosswalk": {"Shadow": "dark", "Grey": "middle"}})


NETWORK = {
    "model": "unet",
    "encoder": "mobilenet_v2",
    "arguments": {"decoder_channels": [16, 8, 8, 8, 8]},
    "learning_rate": 0.005,
    "batch": 2,
    "validation_windows": 4,
    "augment": {"noise": 0.1, "haze": 0.2, "drop_band": 0.1},
}


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL after the first checkpoint; the same command ends with the bytes of an undisturbed run."""
    fields = job(tmp_path, **NETWORK, steps=60, validate_every=10, average=0.9)
    whole = train({**fields, "out": tmp_path / "whole"}).bundle
    path = write_job(tmp_path, fields)
    command = [
        sys.executable,
        "-m",
        "geoseg",
        "train",
        str(path),
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "model.training" / "last.safetensors"
    limit = time.monotonic() + 240
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL and checkpoint.is_file()
    assert not (tmp_path / "model").exists()
    rows: list[Any] = []
    resumed = train(fields, progress=rows.append).bundle
    assert rows[0]["step"] > 10  # it went on, and did not begin again
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    assert resumed.scores == whole.scores and resumed.temperature == whole.temperature


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    """Gloo on the CPU; a linear network has no batch statistics, so the mean gradient is the batch's."""
    fields = job(tmp_path, steps=20, validate_every=10, loss={"cross_entropy": 1}, sampling="natural")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "geoseg", "train", str(write_job(tmp_path, fields)), "--threads", "1"]
    run = subprocess.run(
        [*command, "--device", "cpu"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    alone = train({**fields, "out": tmp_path / "alone"}).bundle
    together = load_network(geoseg.load_bundle(tmp_path / "model")).state_dict()

    for key, value in load_network(alone).state_dict().items():
        assert np.allclose(value, together[key], atol=2e-3), key


def test_starting_from_a_bundle_keeps_what_it_knows(tmp_path: Path) -> None:
    fields = job(tmp_path)
    first = train(fields).bundle
    del fields["model"]
    more = {**fields, "start": str(first.path), "steps": 1, "learning_rate": 1e-9, "out": tmp_path / "more"}
    second = train(more).bundle
    assert second.scores["mean_iou"] == pytest.approx(first.scores["mean_iou"], abs=0.01)
    assert second.contract == first.contract
    far = {**more, "learning_rate": 0.1, "start_share": 0.75}
    weights = [
        load_network(train({**far, **change}).bundle).state_dict()
        for change in ({"out": tmp_path / "back"}, {"out": tmp_path / "far", "start_share": 0})
    ]
    for key, before in load_network(first).state_dict().items():
        if before.is_floating_point():
            assert torch.allclose(
                weights[0][key], before.lerp(weights[1][key], 0.25), rtol=2e-3, atol=2e-3
            ), key
    other = {**more, "classes": {1: "dark", 2: "middle", 7: "bright", 9: "none"}, "out": tmp_path / "other"}
    with pytest.raises(UsageError, match="has other classes"):
        train({**other, "start_share": 0.5})
    assert len(train(other).bundle.legend) == 4  # the last layer is new, the rest is kept
    with pytest.raises(UsageError, match="takes other bands"):
        train({**more, "bands": [1], "out": tmp_path / "bands"})
    bright = (image_of(stripes(160, 240)).astype(np.uint16)) * 100
    write(Path(fields["scenes"][0]["image"]), bright)
    with pytest.raises(InputError, match="values are scaled differently"):
        train({**more, "out": tmp_path / "bright"})


def test_it_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    fields = job(tmp_path, steps=300, validate_every=10, patience=2, learning_rate=1e-12, schedule="constant")
    result = train(fields)
    assert len(result.history) == 3  # the first is the best, and two are no better
    assert "stopped after 30" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": {"by": "region"}}, "needs rows, columns or polygons"),
        ({"split": {"by": "file"}}, "needs scenes with use"),
        ({"crop": 50}, "multiple of 32"),
        ({"loss": {}}, "at least 1"),
        ({"classes": {1: "one"}}, "at least two classes"),
        ({"lerning_rate": 1}, "learning_rate"),
        ({"start": "forest-s2-rgb", "model": None, "arguments": {"rim": 1}}, "or name the model"),
        ({"start_share": 0.5}, "so give start"),
        ({"model": "unett"}, "unknown architecture"),
        ({"bands": [1, 9]}, "9"),
        ({"split": {"by": "region", "columns": [0, 240]}}, "no training crop can be drawn"),
        ({"split": {"by": "region", "columns": [240, 300]}}, "no labelled pixel in the validation"),
        ({"classes": {1: "dark", 2: "middle"}}, "values without a class: 7"),
        ({"model": "deeplabv3plus", "batch": 1}, "a batch of 2 or more"),
    ],
)
def test_wrong_jobs_are_refused_in_one_line(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    fields = json.loads(json.dumps({**job(tmp_path), **change}, default=str))
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(fields))
    result = CliRunner().invoke(cli, ["train", str(path), "--device", "cpu"])
    assert result.exit_code != 0
    assert says in str(result.exception)
    assert isinstance(result.exception, geoseg.GeosegError)
    assert not (tmp_path / "model").exists()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    fields = job(tmp_path)
    checkpoint = TrainJob.parse(fields).work / "last.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="damaged checkpoint"):
        train(fields)
    assert train(fields, overwrite=True).fresh


def test_the_work_of_another_job_is_not_touched(tmp_path: Path) -> None:
    fields = job(tmp_path)
    train({**fields, "steps": 30})
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    with pytest.raises(OutputConflictError, match="training of another job"):
        train({**fields, "steps": 90})


def test_labels_on_another_grid_are_brought_over(tmp_path: Path) -> None:
    """Labels at twice the pixel size, from a corner of their own: the pixel under each centre counts."""
    fields = job(tmp_path)
    coarse = stripes(160, 240)[::2, ::2]
    write(Path(fields["scenes"][0]["labels"]), coarse, pixel=20)
    assert train(fields).bundle.scores["mean_iou"] > 0.95
    assert set(CLASSES) == {1, 2, 7}
