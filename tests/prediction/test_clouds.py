"""Clouds mapped first: what they hide is nodata, the same as under their map as a mask."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import UsageError
from geoseg.legend import Legend
from geoseg.models.bundle import load_bundle
from tests.prediction.conftest import BANDS, make_pixels


def renamed(bundle: Path, target: Path, classes: list[str], **contract: object) -> Path:
    """Copy of a bundle of three classes, which are now called so and numbered from 0."""
    copy = Path(shutil.copytree(bundle, target))
    raw = json.loads((bundle / "bundle.json").read_text())
    legend = Legend.of(dict(enumerate(classes))).to_json()
    raw |= {"name": target.name, "legend": legend, "input": {**raw["input"], **contract}}
    (copy / "bundle.json").write_text(json.dumps(raw))
    return copy


@pytest.fixture
def clouds(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of clouds under the name of the one for surface reflectance."""
    folder = tmp_path / "models"
    monkeypatch.setenv("GEOSEG_MODELS", str(folder))
    return renamed(linear, folder / "clouds-s2-l2a", ["clear", "cloud", "cloud shadow"], level="surface")


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize("asked", ["auto", "clouds-s2-l2a"])
def test_what_is_not_clear_is_hidden(asked, clouds, unet, scene_file, tmp_path):
    image = scene_file(make_pixels(160, 192))
    model = renamed(unet, tmp_path / "m", ["a", "b", "c"], level="surface")
    out = tmp_path / "out"
    result = geoseg.predict(image, model=model, out=out, clouds=asked, threads=1)
    found, over = read(result.classes), read(out / "clouds" / "classes.tif")
    plain = read(geoseg.predict(image, model=model, out=tmp_path / "plain", threads=1).classes)
    assert {0, 1, 2} <= set(np.unique(over).tolist())
    np.testing.assert_array_equal(found, np.where(over == 0, plain, 255))
    share = (over == 1).sum() / (over != 255).sum()
    assert any(f"hidden by clouds-s2-l2a 1: cloud {share:.1%}" in note for note in result.notes)
    assert json.loads(result.manifest.read_text())["identity"]["scene"]["mask"]["hides"]["values"] == [1, 2]


def test_it_is_the_run_under_their_map_and_is_kept(clouds, linear, scene_file, tmp_path):
    image, out = scene_file(make_pixels(96, 96)), tmp_path / "out"
    first = geoseg.predict(image, model=linear, out=out, clouds=str(clouds), threads=1)
    again = geoseg.predict(image, model=linear, out=out, clouds=str(clouds), threads=1)
    assert first.fresh and not again.fresh
    mask = out / "clouds" / "classes.tif"
    masked = geoseg.predict(image, model=linear, out=out, mask=str(mask), mask_values=[1, 2], threads=1)
    assert masked.run_id == first.run_id and not masked.fresh


def test_bands_are_found_by_name(clouds, linear, scene_file, tmp_path):
    """The job's bands are those of its own model; the clouds take theirs out of the whole scene."""
    pixels = make_pixels(64, 64)
    image = scene_file(pixels)
    with rasterio.open(image) as source, rasterio.open(tmp_path / "t.tif", "w", **source.profile) as turned:
        turned.write(source.read()[::-1])
        turned.descriptions = BANDS[::-1]
    options = {"model": linear, "clouds": str(clouds), "threads": 1}
    geoseg.predict(tmp_path / "t.tif", out=tmp_path / "a", bands=[3, 2, 1], **options)
    geoseg.predict(image, out=tmp_path / "b", **options)
    over = [read(tmp_path / name / "clouds" / "classes.tif") for name in "ab"]
    np.testing.assert_array_equal(*over)


def test_what_cannot_be_is_said(clouds, linear, scene_file, tmp_path, monkeypatch):
    image = scene_file(make_pixels(64, 64))

    def refused(**options):
        with pytest.raises(UsageError) as found:
            geoseg.predict(image, model=linear, out=tmp_path / "o", threads=1, **options)
        return str(found.value)

    assert "does not say its level" in refused(clouds="auto")
    assert "is not a model of clouds" in refused(clouds=str(linear))
    assert "leave out one" in refused(clouds="auto", mask="x.tif")
    shutil.rmtree(clouds)
    model = renamed(linear, tmp_path / "m", ["a", "b", "c"], level="surface")
    with pytest.raises(UsageError, match="clouds-s2-l2a is not among your models"):
        geoseg.predict(image, model=model, out=tmp_path / "o", clouds="auto", threads=1)
    assert load_bundle(model).contract.level == "surface"
    plan = geoseg.plan(image, model=model, clouds="auto", probe=False)
    assert any("clouds are mapped first" in note for note in plan.request.notes)
