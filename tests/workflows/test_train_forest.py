"""What workflows/train_forest.py makes of the data: masks that lie on their images."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
import rasterio

from geoseg.models.bundle import load_bundle
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train
from tests.workflows.scripts import load_script

CONFIG = Path("configs/train_forest.yaml")
WIDE = "Amazon_181.tiff_34"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("train_forest")


@pytest.fixture(scope="module")
def work(script: ModuleType, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forest")
    script.lay_out(shared_data / script.FOLDER, folder)
    script.lay_out_answers(shared_data / script.ELSEWHERE, folder / "answers")
    return folder


def pixels(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read()


def test_masks_keep_their_polarity_and_the_wide_one_is_cut(work: Path) -> None:
    names = sorted(p.stem for p in (work / "masks").glob("*.png"))
    assert len(names) == 30
    labels = {name: pixels(work / "masks" / f"{name}.png")[0] for name in names}
    images = {name: pixels(work / "images" / f"{name}.tiff") for name in names}
    assert {a.shape for a in labels.values()} == {(512, 512)}
    red = {k: np.concatenate([images[n][0][labels[n] == k] for n in names]).mean() for k in (1, 2)}
    assert red[1] < red[2]  # forest is dark
    contrast = {}
    for shift in (-2, -1, 0, 1, 2):  # the cut mask lies on the image: any shift weakens the contrast
        moved = np.roll(labels[WIDE], shift, axis=1)[:, 4:-4]
        inner = images[WIDE][0][:, 4:-4]
        contrast[shift] = inner[moved == 2].mean() - inner[moved == 1].mean()
    assert max(contrast, key=contrast.__getitem__) == 0


def test_answers_of_another_model_stand_in_for_labels_where_it_is_sure(work: Path, shared_data: Path) -> None:
    files = sorted((work / "answers").glob("*_forest.tif"))
    assert len(files) == 12
    for path in files:
        name = path.stem.removesuffix("_forest")
        (labels,) = pixels(path)
        source = shared_data / "oscd_s2_pairs" / name.split("_")[0]
        answer, percent = pixels(source / f"{name}_dw.tif")
        assert ((labels == 1) == ((answer == 1) & (percent >= 45))).all()
        assert (labels[np.isin(answer, (3, 5)) | (percent < 45)] == 0).all()
        assert (labels == 2).any()
        blue, green, red = pixels(source / f"{name}_10m.tif")[:3].astype(float)
        image = pixels(path.with_name(f"{name}.tif"))
        for stretched, band in zip(image, (red, green, blue), strict=True):
            assert np.abs(stretched - np.minimum(band * 255 / 4000, 255)).max() <= 0.5


def test_a_folder_without_the_data_is_named(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="GEOSEG_DATA"):
        script.lay_out(tmp_path / "nothing", tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_its_configuration_makes_a_bundle_that_held_out_every_image_once(work: Path, tmp_path: Path) -> None:
    small = {"steps": 2, "batch": 2, "crop": 64, "tta": False, "light_windows": 1, "encoder_weights": None}
    job = TrainJob.load(CONFIG).model_copy(update={**small, "out": tmp_path / "forest-s2-rgb"})
    made = run_train(job, root=work, threads=1)
    assert made.bundle is not None
    bundle = load_bundle(made.bundle.path)
    assert bundle.legend.names == ("forest", "non-forest")
    card = (bundle.path / "README.md").read_text()
    rows = [line for line in card.splitlines() if line.startswith("| Amazon_")]
    assert len(rows) == 30 and not any("hongkong" in row for row in rows) and "hongkong" in card
