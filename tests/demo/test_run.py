from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geoseg.cli.demo import command
from geoseg.demo.run import Demo, run_demo
from geoseg.errors import OutputConflictError
from geoseg.models.bundle import load_bundle

SHAPE = (193, 229)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo") / "out", shape=SHAPE, seed=5, threads=1)


def test_everything_it_names_is_there(demo: Demo) -> None:
    assert all(path.exists() for _, path in demo.files)
    names = {path.name for _, path in demo.files}
    assert {"classes.tif", "classes.gpkg", "scores.json"} <= names
    pictures = {p.name for p in (demo.out / "pictures").iterdir()}
    assert {"classes_after.png", "scene_before.png", "change.png", "polygons.png", "confusion.png"} == (
        pictures - {"classes_before.png", "scene_after.png"}
    )
    text = (demo.out / "README.md").read_text()
    assert "Synthetic" in text and "classes.gpkg" in text


def test_maps_lie_on_the_scene_and_keep_its_collar(demo: Demo) -> None:
    for date, prediction in zip(("before", "after"), demo.predictions, strict=True):
        with (
            rasterio.open(demo.out / f"scene_{date}.tif") as scene,
            rasterio.open(prediction.classes) as made,
        ):
            assert made.transform == scene.transform and made.shape == scene.shape == SHAPE
            assert np.array_equal(made.read(1) == 255, (scene.read() == 0).all(0))


def test_model_agrees_with_the_truth_far_better_than_chance(demo: Demo) -> None:
    for scores in demo.scores:
        assert scores.overall["overall_accuracy"] > 0.85
        assert scores.overall["kappa"] > 0.7
    mapped, true = demo.lost()
    assert true > 0
    assert mapped == pytest.approx(true, rel=0.5)


def test_true_change_is_the_change_between_the_references(demo: Demo) -> None:
    labels = []
    for date in ("before", "after"):
        with rasterio.open(demo.out / f"reference_{date}.tif") as file:
            labels.append(file.read(1))
    before, after = labels
    lost = ((before == 1) & (after != 1) & (after != 255)).sum()
    # UTM pixels of 10 m near the central meridian are 0.04 % off on the ground
    assert demo.lost()[1] == pytest.approx(lost * 0.01, rel=1e-3)


def test_a_second_run_keeps_what_is_there_and_another_seed_replaces_it(demo: Demo, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run_demo(out, shape=(96, 101), seed=1, threads=1)
    again = run_demo(out, shape=(96, 101), seed=1, threads=1)
    other = run_demo(out, shape=(96, 101), seed=2, threads=1)
    assert [p.fresh for p in first.predictions] == [True, True]
    assert [p.fresh for p in again.predictions] == [False, False]
    assert [p.fresh for p in other.predictions] == [True, True]
    assert again.scores[1].matrix == first.scores[1].matrix
    assert json.loads((out / "demo.json").read_text())["seed"] == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("final")
    with pytest.raises(OutputConflictError, match="is not a demo's folder"):
        run_demo(tmp_path, shape=SHAPE)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_command_says_what_it_made_and_that_it_is_synthetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative --out, as people give it
    result = CliRunner().invoke(
        command, ["--out", "out", "--size", "97x103", "--seed", "3", "--threads", "1"]
    )
    assert result.exit_code == 0, result.output
    for expected in ("synthetic", "IoU", "forest lost", "QGIS", "classes.gpkg"):
        assert expected in result.output


@pytest.mark.parametrize("size", ["big", "10x", "-5x7"])
def test_a_size_that_is_none_is_a_usage_error(size: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--out", str(tmp_path / "out"), "--size", size])
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_shipped_model_says_what_it_is_not() -> None:
    bundle = load_bundle("demo-frontier")
    assert bundle.weights_bytes < 3_000_000
    assert "not for real imagery" in bundle.description
    assert "not for real imagery" in (bundle.path / "README.md").read_text()
    assert bundle.contract.band_names == ("blue", "green", "red", "nir")
