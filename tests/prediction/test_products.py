"""A Sentinel-2 product and the name of a model: one command, the bands found by name, the level checked."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from geoseg.cli.predict import command
from geoseg.errors import InputError
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band
from geoseg.models.known.get import get_model
from geoseg.prediction.job import PredictJob
from geoseg.prediction.plan import open_job
from geoseg.prediction.verb import predict

from ..models import bundles
from ..raster import makers, products

LOOKS_AROUND = Architecture(name="fpn", encoder="mobilenetv3_small_050")
SIZES = {10: 96, 20: 48, 60: 16}


def bundle(folder, level, architecture=None, names=("red", "swir1", "green")):
    contract = replace(
        bundles.contract(3),
        bands=tuple(Band(name=name) for name in names),
        dtype="uint16",
        value_range=(0, 20000),
        mean=(2000.0,) * 3,
        std=(1000.0,) * 3,
        level=level,
    )
    return bundles.bundle(folder, architecture, contract=contract).path


@pytest.fixture
def product(tmp_path):
    bands = {n: products.noise(SIZES[products.METRES[n]], seed=i) for i, n in enumerate(products.ORDER)}
    return products.sentinel2(tmp_path, bands)


def test_the_bands_of_the_model_by_name(product, tmp_path):
    opened = open_job(
        PredictJob(scene=str(product), model=str(bundle(tmp_path, "top of atmosphere")), out=tmp_path)
    )
    assert opened.scene.band_names == ("B04", "B11", "B03")
    assert not any("level" in note.casefold() and "does not say" in note for note in opened.notes)


def test_chosen_bands_stay_as_chosen(product, tmp_path):
    model = str(bundle(tmp_path, "top of atmosphere"))
    job = PredictJob(scene=str(product), model=model, out=tmp_path, bands=["B04", "B11", "B02"])
    assert open_job(job).scene.band_names == ("B04", "B11", "B02")


def test_another_level_is_refused_or_noted(product, tmp_path):
    model = str(bundle(tmp_path, "surface"))
    with pytest.raises(InputError, match=r"another level.*Level-1.*Level-2.*force"):
        open_job(PredictJob(scene=str(product), model=model, out=tmp_path))
    opened = open_job(PredictJob(scene=str(product), model=model, out=tmp_path, force=True))
    assert any("another level" in note for note in opened.notes)


def test_a_map_does_not_depend_on_chunks_and_says_how_it_was_read(product, tmp_path):
    model = bundle(tmp_path, "top of atmosphere")
    maps = []
    for chunk in (32, 96):
        done = predict(
            product, model=model, out=tmp_path / str(chunk), tile=32, margin=0, chunk=chunk, engine="torch"
        )
        with rasterio.open(done.classes) as file:
            maps.append(file.read(1))
    np.testing.assert_array_equal(*maps)
    scene = json.loads(done.manifest.read_text())["identity"]["scene"]
    assert list(scene["bilinear"].values()) == [
        {"size": [48, 48], "transform": ["20.0", "0.0", "600000.0", "0.0", "-20.0", "4900020.0"]}
    ]
    assert scene["conversion"] == [["1.0", "-1000.0"]] * 3


@pytest.mark.slow
def test_a_mask_changes_no_label_that_it_leaves(product, tmp_path):
    model = bundle(tmp_path, "top of atmosphere", LOOKS_AROUND)
    hidden = np.zeros((96, 96), np.uint8)
    hidden[10:70, 20:41] = 1
    mask = makers.write(tmp_path / "mask.tif", hidden, crs=products.UTM, transform=products.CORNER)
    maps = {}
    for name, options in {"bare": {}, "masked": {"mask": str(mask)}}.items():
        done = predict(product, model=model, out=tmp_path / name, tile=96, engine="torch", **options)
        with rasterio.open(done.classes) as file:
            maps[name] = file.read(1)
    assert len(np.unique(maps["bare"])) > 1
    np.testing.assert_array_equal(maps["masked"], np.where(hidden, 255, maps["bare"]))
    assert (
        json.loads(done.manifest.read_text())["identity"]["scene"]["mask"]["files"][0]["name"] == "mask.tif"
    )


@pytest.mark.slow
def test_land_cover_of_a_product_by_one_command(shared_data, tmp_path, monkeypatch):
    """The published classes, from real pixels in the agency's own layout."""
    city, variables = shared_data / "oscd_s2_pairs" / "paris", shared_data / "dynamicworld_forward"
    if not (city.is_dir() and variables.is_dir()):
        pytest.skip("Dynamic World's variables or its answers are not there")
    monkeypatch.setenv("GEOSEG_MODELS", str(tmp_path / "models"))
    get_model("dynamic-world", source=variables, accept_licence=True)
    side = {10: slice(100, 292), 20: slice(50, 146)}
    bands = {}
    for metres, cut in side.items():
        with rasterio.open(city / f"paris_20171107_{metres}m.tif") as file:
            bands |= {n: p[cut, cut] + 1000 for n, p in zip(file.descriptions, file.read(), strict=True)}
    product = products.sentinel2(tmp_path, {n: bands[n] for n in products.ORDER if n in bands})
    run = CliRunner().invoke(
        command,
        [str(product), "--model", "dynamic-world", "--out", str(tmp_path / "out"), "--engine", "torch"],
    )
    assert run.exit_code == 0, run.output
    with rasterio.open(tmp_path / "out" / "classes.tif") as file:
        found = file.read(1)
    with rasterio.open(city / "paris_20171107_dw.tif") as file:
        expected = file.read(1)[side[10], side[10]]
    assert (found == expected)[32:-32, 32:-32].mean() > 0.9999
