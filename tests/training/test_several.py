"""Several tasks from whatever labels there are: outlines in one scene, a raster of classes in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.geometry import Window
from geoseg.models.architectures import SEVERAL
from geoseg.models.bundle import load_bundle
from geoseg.models.object_labels import UNKNOWN
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.verb import run_train
from tests.training.makers import write
from tests.training.test_objects import houses


def covered(folder: Path, seed: int) -> dict[str, Any]:
    """Grass and sand with a house on it, as a raster of classes; a corner is not labelled."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(128) < 64, 1, 7)[None].repeat(128, axis=0)
    labels[40:70, 50:90], labels[:16, :16] = 2, 0
    image = rng.normal(70, 8, (3, 128, 128))
    image[0] += 80 * (labels == 2)
    image[2] += 70 * (labels == 7)
    east = 900000 + 1000 * seed
    pixels = write(folder / f"cover{seed}.tif", np.clip(image, 1, 255).astype(np.uint8), pixel=1, east=east)
    return {
        "image": str(pixels),
        "labels": str(write(folder / f"classes{seed}.tif", labels.astype(np.uint8), pixel=1, east=east)),
    }


def job(folder: Path) -> TrainJob:
    outlined, raster = [houses(folder, seed=n) for n in (1, 2)], [covered(folder, n) for n in (1, 2)]
    scenes = [
        {**scene, "use": use}
        for pair in (outlined, raster)
        for scene, use in zip(pair, ("training", "validation"), strict=True)
    ]
    fields = {
        "scenes": scenes,
        "out": folder / "model",
        "classes": {1: "grass", 2: "house", 7: "sand"},
        "crosswalk": {0: "ignore", 1: "grass", 2: "house", 7: "sand"},
        "things": ["house"],
        "split": {"by": "file"},
        "model": "one_decoder",
        "encoder": "mobilenetv3_small_050",
        "arguments": {"width": 32, "queries": 12, "layers": 1, "side": 64},
        "steps": 1,
        "batch": 2,
        "crop": 64,
        "validate_every": 1,
        "validation_windows": 1,
        "light_windows": 1,
    }
    return TrainJob.parse(
        {
            **fields,
            "scenes": [{**s, "single_class": "house"} if "houses" in s["labels"] else s for s in scenes],
        }
    )


def test_every_scene_teaches_what_its_labels_say(tmp_path: Path) -> None:
    preparation = prepare(job(tmp_path))
    assert preparation.tasks == SEVERAL["one_decoder"]
    targets, known = preparation.targets, {}
    assert targets.names == ("grass", "house without outlines", "sand", "house", "no object")
    assert (preparation.training_pixels > 0).all() and (preparation.validation_pixels > 0).all()
    for source in preparation.sources[:2]:
        window = Window(0, 0, 96, 96)
        layer = targets.read(source.labels, window)
        (own,) = targets.taught([torch.from_numpy(layer)], [source.labels])
        known[source.labels.kind] = own
        places = targets.places(source.labels, window)
        assert set(np.unique(places).tolist()) == (
            {3, 4} if source.labels.kind == "polygons" else {0, 1, 2, 255}
        )
    outlined, raster = known["polygons"], known["raster"]
    assert outlined.ids.min() == 0 and outlined.ids.max() > 3
    assert (outlined.classes_of_pixels() == UNKNOWN).all()
    assert (raster.ids == -1).all() and not len(raster.classes)
    classes = raster.classes_of_pixels()
    assert classes[5, 5] == UNKNOWN and classes[20, 20] == 0 and classes[50, 60] == 1 and classes[20, 80] == 2


@pytest.mark.slow
def test_a_job_of_both_becomes_one_bundle_of_all_tasks(tmp_path: Path) -> None:
    result = run_train(job(tmp_path), device="cpu", threads=1)
    bundle = load_bundle(tmp_path / "model")
    assert bundle.tasks == SEVERAL["one_decoder"] and bundle.temperature == 1.0 and bundle.objects is not None
    assert [c.kind for c in bundle.legend.classes] == ["stuff", "thing", "stuff"]
    assert bundle.architecture.arguments["things"] == [1]
    assert list(result.history[0]["figures"])[:4] == ["mean", "mean IoU", "click IoU", "F1"]
    assert {"mean_iou", "click_iou", "f1", "pq"} <= set(bundle.scores)
    json.dumps(dict(bundle.scores), allow_nan=False)
    card = (tmp_path / "model" / "README.md").read_text()
    assert (
        "**Classes**, where they are known" in card
        and "**Clicks**" in card
        and "temperature" not in card.split("## Made")[0]
    )
