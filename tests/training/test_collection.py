"""Many scenes in one line; labels painted over pictures, as numbers or colours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Window
from geoseg.legend import Legend
from geoseg.raster.opening import open_scene
from geoseg.training.collection import expand
from geoseg.training.job import LabelledScene
from geoseg.training.prepare import open_labels
from tests.training.makers import CLASSES, image_of, stripes, write

LEGEND = Legend.of(CLASSES)
COLORS = {1: (0x3C, 0x10, 0x98), 2: (0xFE, 0xDD, 0x3A), 7: (0, 0, 1)}
WALK = {"#3C1098": "dark", "#fedd3a": "middle", "#000001": "bright"}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def entry(image: Any, labels: str) -> LabelledScene:
    return LabelledScene(image=image, labels=Path(labels))


def test_each_file_that_fits_is_a_scene_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "a/x_10.tif", "a/x_9.tif", "a/other.tif", "m/9.png", "m/10.png")
    found = expand([entry("a/x_{id}.tif", "m/{id}.png")], tmp_path)
    assert [s.image for s in found] == [str(tmp_path / "a/x_9.tif"), str(tmp_path / "a/x_10.tif")]
    assert [s.labels for s in found] == [tmp_path / "m/9.png", tmp_path / "m/10.png"]


def test_a_name_may_stand_twice_and_in_several_images(tmp_path: Path) -> None:
    touch(
        tmp_path, "t1/p1_1.tif", "t1/p2_1.tif", "t2/p1_1.tif", "later/1p1.tif", "later/1p2.tif", "m/1p1.tif"
    )
    touch(tmp_path, "m/1p2.tif")
    found = expand([entry(["t{t}/p{p}_{t}.tif", "later/{t}p{p}.tif"], "m/{t}p{p}.tif")], tmp_path)
    assert [s.image for s in found] == [
        [str(tmp_path / f"t1/p{p}_1.tif"), str(tmp_path / f"later/1p{p}.tif")] for p in (1, 2)
    ]


def test_brackets_in_folders_are_no_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "a[1]/x1.tif", "a1/x2.tif", "m/1.png", "m/2.png")
    assert len(expand([entry("a[1]/x{id}.tif", "m/{id}.png")], tmp_path)) == 1


def test_a_scene_without_braces_stays_as_it_is(tmp_path: Path) -> None:
    (own,) = expand([entry("scene.tif", "labels.gpkg")])
    assert own == entry("scene.tif", "labels.gpkg")
    (placed,) = expand([entry("/else/scene.tif", "labels.gpkg")], tmp_path)
    assert placed.image == "/else/scene.tif" and placed.labels == tmp_path / "labels.gpkg"


@pytest.mark.parametrize(
    ("image", "labels", "message"),
    [
        ("a/{id}.tif", "m/{id}.png", "a scene lacks a file"),
        ("b/{id}.tif", "m/{id}.png", "no file fits"),
        ("a/{id}.tif", "m/{name}.png", "{name} does not stand in the first image"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, image: str, labels: str, message: str) -> None:
    touch(tmp_path, "a/1.tif", "a/2.tif", "m/1.png")
    with pytest.raises(InputError, match=message):
        expand([entry(image, labels)], tmp_path)


def png(path: Path, pixels: np.ndarray[Any, Any]) -> Path:
    stack = pixels if pixels.ndim == 3 else pixels[None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        count, height, width = stack.shape
        with rasterio.open(
            path, "w", driver="PNG", count=count, height=height, width=width, dtype="uint8"
        ) as file:
            file.write(stack)
    return path


def coloured(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    table = np.zeros((256, 3), np.uint8)
    for number, color in COLORS.items():
        table[number] = color
    return table[labels].transpose(2, 0, 1)


def test_labels_without_georeference_lie_on_the_image(tmp_path: Path) -> None:
    labels = stripes(50, 70)
    scene = open_scene(write(tmp_path / "image.tif", image_of(labels)))
    own = LabelledScene(image="image.tif", labels=png(tmp_path / "labels.png", labels))
    found = open_labels(own, scene.grid, LEGEND, None)
    assert np.array_equal(found.read(Window(3, 5, 40, 60)), labels[3:43, 5:65])

    png(tmp_path / "wide.png", stripes(50, 73))
    wide = own.model_copy(update={"labels": tmp_path / "wide.png"})
    with pytest.raises(InputError, match="has to be of the image's size") as error:
        open_labels(wide, scene.grid, LEGEND, None)
    assert "73 columns and 50 rows" in str(error.value.why)


@pytest.mark.parametrize("placed", [True, False])
def test_colours_are_classes_by_the_crosswalk(tmp_path: Path, placed: bool) -> None:
    labels = stripes(64, 64)
    scene = open_scene(write(tmp_path / "image.tif", image_of(labels)))
    picture = coloured(labels)
    path = write(tmp_path / "l.tif", picture) if placed else png(tmp_path / "l.png", picture)
    own = LabelledScene(image="image.tif", labels=path)
    assert np.array_equal(open_labels(own, scene.grid, LEGEND, WALK).read(scene.grid.window), labels)

    ignoring = open_labels(own, scene.grid, LEGEND, {**WALK, "#FEDD3A": "ignore", "#fedd3a": "ignore"})
    expected = np.where(labels == 2, 255, labels)
    assert np.array_equal(ignoring.read(scene.grid.window), expected)
    assert ignoring.fingerprint() != open_labels(own, scene.grid, LEGEND, WALK).fingerprint()

    del (short := dict(WALK))["#fedd3a"]
    with pytest.raises(InputError, match="colours without a class: #FEDD3A"):
        open_labels(own, scene.grid, LEGEND, short).read(scene.grid.window)
    with pytest.raises(UsageError, match="need a crosswalk"):
        open_labels(own, scene.grid, LEGEND, None)
