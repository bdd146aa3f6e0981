"""Objects after kill -9 and on a full disk: the same bytes, or one line and nothing half-written."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from geoseg.models.architectures import SEVERAL
from tests.faults.test_disk import fill
from tests.faults.test_kill import kill_until_done
from tests.models.object_networks import bundle_of
from tests.objects.blobs import save_blobs
from tests.objects.scenes import draw
from tests.raster.makers import write

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Prediction of classes and some hundred objects, large and small, in 49 chunks; without the output."""
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")
    ids = draw(420, [(300, 11)] + [(k % 17 + 5, k % 7 + 4) for k in range(150)], 3)
    ground = np.random.default_rng(0).integers(1, 60000, ids.shape)
    scene = write(tmp_path / "scene.tif", np.stack([ids, ground]).astype(np.uint16))
    model = save_blobs(tmp_path / "blobs", panoptic=True, miss=0.1, wobble=1)
    plan = ["--tile", "96", "--margin", "16", "--chunk", "64", "--threads", "1"]
    return ["predict", str(scene), "--model", str(model), *plan, "--out"]


def timeless(path: Path) -> bytes:
    """Bytes of a file without the moment of writing that a GeoPackage has to tell."""
    return re.sub(rb"20\d\d-\d\d-\d\dT[\d:.]+Z", b"", path.read_bytes())


@pytest.mark.parametrize("seed", range(4))
def test_killed_and_resumed_equals_uninterrupted(command: list[str], tmp_path: Path, seed: int) -> None:
    check_killed(command, tmp_path, seed)


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_a_model_of_several_tasks_is_killed_and_resumed(tmp_path: Path, task: str) -> None:
    model = bundle_of("one_decoder", tmp_path, SEVERAL["one_decoder"])
    pixels = np.kron(np.random.default_rng(2).integers(1, 255, (3, 24, 24)), np.ones((8, 8)))
    scene = write(tmp_path / "scene.tif", pixels.astype(np.uint8))
    plan = ["--tile", "96", "--margin", "32", "--chunk", "32", "--threads", "1", "--device", "cpu"]
    check_killed(
        ["predict", str(scene), "--model", str(model.path), "--task", task, *plan, "--out"], tmp_path, 0
    )


def check_killed(command: list[str], tmp_path: Path, seed: int) -> None:
    """A run that is killed again and again ends with the files of one that is left alone."""

    def called(out: Path) -> list[str]:
        return [sys.executable, "-m", "geoseg", *command, str(out)]

    clean, out = tmp_path / "clean", tmp_path / "killed"
    began = time.monotonic()
    subprocess.run(called(clean), check=True, capture_output=True)
    kill_until_done(called(out), out, random.Random(seed), time.monotonic() - began)
    for name in ("objects.gpkg", "panoptic.tif", "classes.tif"):
        if (clean / name).exists():
            assert timeless(out / name) == timeless(clean / name), name
    assert {p.name for p in out.iterdir()} == {p.name for p in clean.iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="limits file sizes by setrlimit")
def test_a_full_disk_while_objects_are_predicted(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "made" / "out"
    out.parent.mkdir()
    fill(out, *command, str(out))
