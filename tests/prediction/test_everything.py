"""All objects of a scene by a network of prompts, each once, under the contract of all objects."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import UsageError
from geoseg.execution.manifest import verify_files
from tests.models.bundles import bundle
from tests.objects.scenes import draw
from tests.prompts.same_value import save_same_value
from tests.raster.makers import write

PLAN = {"tile": 64, "margin": 16, "threads": 1, "device": "cpu", "everything": 6}
SIZES = [(50, 9)] + [(k % 17 + 6, k % 7 + 6) for k in range(12)]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return draw(104, SIZES, 3)


@pytest.fixture
def scene(tmp_path: Path, ids: np.ndarray) -> Path:
    below = ground(ids.shape)
    below[:, -10:] = 65535  # nodata
    return write(tmp_path / "scene.tif", np.stack([ids.astype(np.uint16), below]), nodata=65535)


def ground(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60000, shape).astype(np.uint16)


@pytest.mark.parametrize(("side", "centred"), [(80, False), (128, True)])
def test_every_object_is_found_once_whatever_the_chunks(
    scene: Path, ids: np.ndarray, tmp_path: Path, side: int, centred: bool
) -> None:
    model = save_same_value(tmp_path / "model", side=side, centred=centred)
    found = []
    for chunk in (32, 96):
        out = tmp_path / f"out{chunk}"
        made = geoseg.predict(scene, model=model, out=out, chunk=chunk, **PLAN)
        assert all(fault is None for _, fault in verify_files(out))
        with rasterio.open(made.panoptic) as file:
            found.append(file.read(1))
        rows = gpd.read_file(made.objects, layer="objects")
        assert set(rows["class"]) == {"object"}
        said = json.loads(made.manifest.read_text())
        assert said["task"] == "promptable"
        assert said["objects"] == {"object": len(rows)} == made.objects_found
    assert np.array_equal(*found)
    valid = np.ones(ids.shape, bool)
    valid[:, -10:] = False
    pairs = np.unique(np.stack([found[0][valid], ids[valid]]), axis=1).T
    kept = pairs[pairs[:, 0] > 0]
    assert (kept[:, 1] > 0).all()
    assert len(np.unique(kept[:, 0])) == len(kept) > 8  # an object found is one that was drawn ...
    assert len(np.unique(kept[:, 1])) == len(kept)  # ... each once ...
    missed = np.setdiff1d(ids[valid], np.append(kept[:, 1], 0))
    assert all(((ids == k) & valid).sum() < 40 for k in missed)  # ... but for what is cut to less than a step
    assert (found[0][~valid] == 0).all()


def test_a_window_that_cuts_an_object_does_not_answer_for_it(tmp_path: Path) -> None:
    pixels = np.zeros((2, 96, 96), np.uint16)
    pixels[1] = ground((96, 96))
    pixels[0, 40:46, 5:90] = 9  # longer than the window of 32
    pixels[0, 70:76, 30:40] = 4
    scene = write(tmp_path / "scene.tif", pixels)
    model = save_same_value(tmp_path / "model", side=32, centred=True)
    made = geoseg.predict(scene, model=model, out=tmp_path / "out", **PLAN)
    rows = gpd.read_file(made.objects, layer="objects")
    assert rows[["row", "col", "pixels"]].to_numpy().tolist() == [[70, 30, 60]]


def test_what_is_asked_of_the_wrong_model_is_said(scene: Path, tmp_path: Path) -> None:
    clicking = save_same_value(tmp_path / "model", side=48, centred=False)
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="answers prompts") as raised:
        geoseg.predict(scene, model=clicking, out=out)
    assert "everything=32" in str(raised.value.hint)
    with pytest.raises(UsageError, match="answers no prompts"):
        geoseg.predict(scene, model=bundle(tmp_path / "plain").path, out=out, everything=8)
    with pytest.raises(Exception, match="too large for the network"):
        geoseg.predict(scene, model=clicking, out=out, **PLAN)
