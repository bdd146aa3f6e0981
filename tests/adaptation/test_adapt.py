"""A few labels bring a model to a scene in another light; those held out say what it was worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

import geoseg
from geoseg.cli.main import cli
from geoseg.errors import UsageError
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.verb import run_train
from tests.training.makers import CLASSES, image_of, job, stripes, write

SIDE = 160
FAST = {"steps": 60, "learning_rate": 0.05, "threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A per-pixel model of the makers' classes."""
    done = run_train(TrainJob.parse(job(tmp_path_factory.mktemp("start"))), device="cpu", threads=1)
    assert done.bundle is not None
    return done.bundle.path


@pytest.fixture
def dim(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A scene at 60 % of the light, and its classes."""
    labels = stripes(SIDE, SIDE, seed=5)
    image = (image_of(labels, seed=6) * 0.6).astype(np.uint8)
    return write(tmp_path / "dim.tif", image), labels


def clicks(path: Path, labels: np.ndarray, each: int, *, grow: float = 0) -> Path:
    """So many points (or squares around them) of each class; which pixel each is in stands in row and col."""
    rng = np.random.default_rng(2)
    rows: list[dict[str, Any]] = []
    for number, name in CLASSES.items():
        found = np.argwhere(labels[8:-8, 8:-8] == number) + 8
        for row, col in found[rng.choice(len(found), each, replace=False)].tolist():
            point = shapely.Point(500000 + 10 * (col + 0.5), 9000000 - 10 * (row + 0.5))
            shape = point.buffer(10 * grow, cap_style="square") if grow else point
            rows.append({"class": name, "row": row, "col": col, "geometry": shape})
    geopandas.GeoDataFrame(rows, crs="EPSG:32720").to_file(path)
    return path


def test_clicks_help_and_the_card_says_how_much(start: Path, dim: Any, tmp_path: Path) -> None:
    image, labels = dim
    points = clicks(tmp_path / "clicks.gpkg", labels, 6)
    result = geoseg.adapt(image, points, model=start, out=tmp_path / "here", field="class", **FAST)
    assert result.pixels == 3 * 2 and result.fresh and result.helped
    before, after = (s["overall_accuracy"] for s in (result.before, result.after))
    assert before is not None and after is not None and before <= 2 / 3 and after > 0.8
    maps = {}
    for name, model in (("before", start), ("after", result.bundle.path)):
        made = geoseg.predict(image, model=model, out=tmp_path / name, threads=1)
        with rasterio.open(made.classes) as file:
            maps[name] = (file.read(1) == labels).mean()
    assert maps["after"] > maps["before"] + 0.2
    card = (tmp_path / "here" / "README.md").read_text()
    for words in (
        "30% of the polygons or points",
        "| before: model 1.0 |",
        "| after |",
        "fitted to one scene",
    ):
        assert words in card
    assert str(tmp_path) not in card
    again = geoseg.adapt(image, points, model=start, out=tmp_path / "here", field="class", **FAST)
    assert not again.fresh and again.after == result.after


@pytest.mark.parametrize("grow", [0, 3])
def test_what_is_held_out_is_never_taught(dim: Any, tmp_path: Path, grow: float) -> None:
    image, labels = dim
    path = clicks(tmp_path / "l.gpkg", labels, 5, grow=grow)
    scenes = [{"image": str(image), "labels": str(path), "field": "class"}]
    fields = job(tmp_path, scenes=scenes, split={"by": "feature", "share": 0.4})
    preparation = prepare(TrainJob.parse(fields))
    (source,) = preparation.sources
    window = source.scene.grid.window
    held, told, known = (
        source.region.mask(window),
        (source.labels.read(window) != 255) & ~source.region.hidden(window),
        source.labels.read(window) != 255,
    )
    assert held.any() and told.any()
    np.testing.assert_array_equal(told, known & ~held)
    assert preparation.validation_pixels.sum() == (held & known).sum()
    assert preparation.training_pixels.sum() == told.sum()
    if not grow:
        assert preparation.validation_pixels.tolist() == [2, 2, 2]


def test_a_class_with_one_feature_only_teaches(dim: Any, tmp_path: Path) -> None:
    image, labels = dim
    path = clicks(tmp_path / "l.gpkg", labels, 4)
    frame = geopandas.read_file(path)
    frame.drop(frame.index[frame["class"] == "bright"][1:]).to_file(path)
    scenes = [{"image": str(image), "labels": str(path), "field": "class"}]
    preparation = prepare(TrainJob.parse(job(tmp_path, scenes=scenes, split={"by": "feature"})))
    assert preparation.validation_pixels.tolist() == [1, 1, 0]
    assert any("no validation pixel of bright" in note for note in preparation.notes)


def test_a_raster_has_no_features(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a split by feature needs polygons or points"):
        prepare(TrainJob.parse(job(tmp_path, split={"by": "feature"})))


def test_command(start: Path, dim: Any, tmp_path: Path) -> None:
    image, labels = dim
    path = clicks(tmp_path / "l.gpkg", labels, 4, grow=2)
    arguments = ["adapt", str(image), str(path), "--model", str(start), "--field", "class", "--steps", "3"]
    done = CliRunner().invoke(cli, [*arguments, "--threads", "1", "--out", str(tmp_path / "here")])
    assert done.exit_code == 0, done.output
    assert "before" in done.output and "labels that were held out" in done.output
    assert (tmp_path / "here" / "bundle.json").is_file()
