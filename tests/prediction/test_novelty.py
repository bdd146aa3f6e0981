"""The novelty layer lies on the scene, square by square, and knows what the model has not seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

import geoseg
from geoseg.errors import UsageError
from geoseg.models.bundle import load_bundle
from geoseg.models.experience import Experience, look
from tests.training.makers import write

SIDE = 32


@pytest.fixture
def seen(linear: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that was told that it has seen squares of mean 3000 and deviation 600."""
    contract = load_bundle(linear).contract
    rng = np.random.default_rng(0)
    squares = rng.normal(rng.uniform(2500, 3500, (100, 1, 1, 1)), 600, (100, 3, SIDE, SIDE))
    valid = np.ones((SIDE, SIDE), np.bool_)
    experience = Experience.of(np.stack([look(s, valid, contract) for s in squares]), SIDE)
    bundle = Path(shutil.copytree(linear, tmp_path / "seen"))
    raw = json.loads((linear / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**raw, "experience": experience.to_json()}))
    return bundle


def scene(folder: Path) -> Path:
    """Seven by five squares and a bit, of which one is dark, one is flat and one has no data."""
    pixels = np.random.default_rng(1).normal(3000, 600, (3, 7 * SIDE + 3, 5 * SIDE + 1))
    pixels[:, :SIDE, SIDE : 2 * SIDE] -= 2000
    pixels[:, 2 * SIDE : 3 * SIDE, :SIDE] = 3000
    pixels = np.clip(pixels, 1, 10000)
    pixels[:, SIDE : 2 * SIDE, :SIDE] = 0
    return write(folder / "scene.tif", pixels.astype(np.uint16), nodata=0)


def _layer(path: Path) -> NDArray[np.uint8]:
    with rasterio.open(path) as file:
        return file.read(1)  # type: ignore[no-any-return]


def test_novel_squares_are_told_from_others(seen: Path, tmp_path: Path) -> None:
    image, out = scene(tmp_path), tmp_path / "out"
    result = geoseg.predict(image, model=seen, out=out, novelty=True, threads=1)
    with rasterio.open(out / "novelty.tif") as file, rasterio.open(image) as full:
        found = file.read(1)
        assert file.shape == (8, 6) and file.nodata == 255 and file.crs == full.crs
        assert file.xy(0, 0, offset="ul") == full.xy(0, 0, offset="ul")
        assert file.transform.a == SIDE * full.transform.a
    assert found[0, 1] == found[2, 0] == 100 and found[1, 0] == 255
    ordinary = np.delete(found[:7, :5].ravel(), [1, 5, 10])
    assert np.median(ordinary) < 70
    assert "novelty.tif" in (out / "manifest.json").read_text()
    assert result.layers["novelty"] == out / "novelty.tif"
    assert any("looks like what the model has seen" in note for note in result.notes)
    again = geoseg.predict(image, model=seen, out=out, novelty=True, threads=1)
    assert not again.fresh


def test_squares_that_the_model_doubts_are_novel_too_and_a_scene_of_them_is_remarked(
    seen: Path, tmp_path: Path
) -> None:
    image = scene(tmp_path)
    plain = geoseg.predict(image, model=seen, out=tmp_path / "plain", novelty=True, threads=1)
    assert not any("less sure" in note for note in plain.notes)
    raw = json.loads((seen / "bundle.json").read_text())
    confidence = _layer(tmp_path / "plain" / "confidence.tif")[: 7 * SIDE, : 5 * SIDE]
    percent = np.ma.masked_equal(confidence, 255).astype(float)
    means = percent.reshape(7, SIDE, 5, SIDE).mean(axis=(1, 3)) / 100
    for name, shift in (("usual", -0.05), ("surer", 0.3)):
        sureness = np.sort(np.linspace(means.min(), means.max(), 41) + shift)
        raw["experience"]["sureness"] = sureness.tolist()
        (seen / "bundle.json").write_text(json.dumps(raw))
        out = tmp_path / name
        result = geoseg.predict(image, model=seen, out=out, novelty=True, threads=1)
        with (
            rasterio.open(tmp_path / "plain" / "novelty.tif") as file,
            rasterio.open(out / "novelty.tif") as own,
        ):
            looked, found = file.read(1)[:7, :5], own.read(1)[:7, :5]
        doubt = 100 * (1 - np.interp(means.filled(np.nan), sureness, np.linspace(0, 1, 41)))
        expected = np.where(looked == 255, 255, np.maximum(looked, np.nan_to_num(doubt)))
        assert np.abs(found - expected).max() <= 1
        said = json.loads((out / "manifest.json").read_text())["doubt"]
        assert any("less sure than on all" in note for note in result.notes) == (name == "surer")
        assert (said["less_sure_than"] == 1) == (name == "surer")
        assert said["confidence"] == pytest.approx(float(means.mean()), abs=0.02)


def test_it_is_written_on_request_only_and_by_models_that_know(linear: Path, tmp_path: Path) -> None:
    image = scene(tmp_path)
    result = geoseg.predict(image, model=linear, out=tmp_path / "out", threads=1)
    assert "novelty" not in result.layers
    assert not (tmp_path / "out" / "novelty.tif").exists()
    with pytest.raises(UsageError, match="does not say what it has seen"):
        geoseg.predict(image, model=linear, out=tmp_path / "b", novelty=True, threads=1)
