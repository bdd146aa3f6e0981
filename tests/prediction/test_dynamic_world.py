"""Dynamic World on files of two pixel sizes: the classes that are published for the scene."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import torch

from geoseg.geometry import Window
from geoseg.models.known.get import get_model
from geoseg.models.network import load_network
from geoseg.prediction.verb import predict
from geoseg.raster.opening import open_scene

BANDS = ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12"]
_MARGIN = 32


@pytest.fixture(scope="module")
def cities(shared_data):
    folder = shared_data / "oscd_s2_pairs"
    if not folder.is_dir():
        pytest.skip("no answers of Dynamic World")
    return folder


@pytest.fixture(scope="module")
def bundle(shared_data, tmp_path_factory):
    folder = shared_data / "dynamicworld_forward"
    if not folder.is_dir():
        pytest.skip("no variables of Dynamic World")
    out = tmp_path_factory.mktemp("models") / "dynamic-world"
    return get_model("dynamic-world", source=folder, accept_licence=True, out=out)


def opened(cities, scene):
    return open_scene([cities / f"{scene}_{size}m.tif" for size in (10, 20)], bands=BANDS)


def published(cities, scene):
    with rasterio.open(cities / f"{scene}_dw.tif") as file:
        return file.read().astype(int)


def test_a_window_of_a_scene_has_the_published_classes(cities, bundle):
    scene, (classes, percent) = (
        opened(cities, "paris/paris_20171107"),
        published(cities, "paris/paris_20171107"),
    )
    window = Window(100, 120, 128, 128)
    pixels, _ = scene.read(window)
    with torch.inference_mode():
        logits = load_network(bundle)(torch.tensor(pixels[None].astype(np.float32) * 1e-4))[0]
    sure, found = logits.softmax(0).max(0)
    inside = (slice(_MARGIN, -_MARGIN),) * 2
    np.testing.assert_array_equal(found.numpy()[inside], classes[window.slices_in(scene.grid.window)][inside])
    expected = percent[window.slices_in(scene.grid.window)][inside]
    np.testing.assert_array_equal((100 * sure.numpy() + 0.5).astype(int)[inside], expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "aguasclaras/aguasclaras_20150916",
        "aguasclaras/aguasclaras_20171015",
        "bercy/bercy_20161130",  # of an odd size, as all of bercy and rennes
        "bercy/bercy_20170829",
        "bordeaux/bordeaux_20160504",
        "bordeaux/bordeaux_20171026",
        "hongkong/hongkong_20160927",
        "hongkong/hongkong_20180323",
        "paris/paris_20161130",
        "paris/paris_20171107",
        "rennes/rennes_20150821",
        "rennes/rennes_20170621",
    ],
)
def test_a_whole_scene_has_the_published_classes(cities, bundle, name):
    scene, (classes, _) = opened(cities, name), published(cities, name)
    pixels, _ = scene.read(scene.grid.window)
    with torch.inference_mode():
        logits = load_network(bundle)(torch.tensor(pixels[None].astype(np.float32) * 1e-4))[0]
    assert (logits.argmax(0).numpy() == classes).mean() > 0.9999


@pytest.mark.slow
def test_a_map_has_the_published_classes(cities, bundle, tmp_path):
    name = "paris/paris_20171107"
    files = [cities / f"{name}_{size}m.tif" for size in (10, 20)]
    done = predict(files, model=bundle.path, bands=BANDS, out=tmp_path / "out", tile=192, engine="torch")
    with rasterio.open(done.classes) as file:
        same = file.read(1) == published(cities, name)[0]
    assert same[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].mean() > 0.9999
    assert same.mean() > 0.99  # at its edge the original saw zeros, and here the scene is mirrored
