"""Which of a scene's files, bands and tags count when it is opened."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.raster.opening import open_scene
from tests.raster.makers import TRANSFORM, write


def _landsat(folder: Path) -> Path:
    """A product's folder: four bands of 10 m, one of 5 m, one of a type that no model takes."""
    folder.mkdir()
    for number in (2, 3, 4, 5):
        write(folder / f"LC08_B{number}.TIF", np.full((40, 50), number, np.uint16))
    write(folder / "LC08_B8.TIF", np.ones((80, 100), np.uint16), transform=TRANSFORM @ Affine.scale(0.5))
    write(folder / "LC08_BQA.TIF", np.ones((40, 50), np.complex64))
    return folder


def test_only_files_of_chosen_bands_count(tmp_path: Path) -> None:
    folder = _landsat(tmp_path / "LC08")
    scene = open_scene(folder, bands=["B5", "B4"])
    pixels, valid = scene.read(scene.grid.window)
    assert pixels[:, 0, 0].tolist() == [5, 4]
    assert valid.all()
    assert [p.name for p in scene.paths] == ["LC08_B4.TIF", "LC08_B5.TIF"]
    assert open_scene(folder, bands=["B8"]).grid.shape == (80, 100)
    assert open_scene(folder, bands=[1, 4]).band_names == ("B2", "B5")
    assert open_scene(folder, bands=["B5", "B8"]).grid.shape == (80, 100)  # the sharper band's
    with pytest.raises(InputError, match="pixel type"):
        open_scene(folder, bands=["B5", "LC08_BQA"])


def _four_bands(path: Path, fourth: np.ndarray) -> Path:
    pixels = np.concatenate([np.full((3, *fourth.shape), 90, np.uint8), fourth[None].astype(np.uint8)])
    write(path, pixels, photometric="RGB", alpha="unspecified")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    return path


def test_a_band_of_many_values_is_no_alpha(tmp_path: Path) -> None:
    infrared = np.random.default_rng(1).integers(0, 256, (300, 400))
    infrared[:100] = 0
    scene = open_scene(_four_bands(tmp_path / "naip.tif", infrared))
    _, valid = scene.read(scene.grid.window)
    assert valid.all()
    assert scene.count == 3
    assert [n for n in scene.notes if "band 4 is tagged alpha but holds many values" in n]
    named = open_scene(tmp_path / "naip.tif", bands=[1, 2, 3, 4])
    pixels, valid = named.read(named.grid.window)
    assert valid.all()
    np.testing.assert_array_equal(pixels[3], infrared)
    assert not [n for n in named.notes if "alpha" in n]


def test_an_alpha_band_with_soft_edges_masks(tmp_path: Path) -> None:
    alpha = np.full((300, 400), 255)
    alpha[:, :40] = np.linspace(0, 254, 40)
    alpha[:100] = 0
    scene = open_scene(_four_bands(tmp_path / "rgba.tif", alpha))
    _, valid = scene.read(scene.grid.window)
    np.testing.assert_array_equal(valid, alpha != 0)


def test_scale_and_offset_of_the_file_are_told_and_pixels_stay_as_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.full((2, 20, 20), 10_000, np.uint16))
    plain = open_scene(path)
    assert plain.scaling == (1.0, 0.0)
    assert "scaling" not in plain.fingerprint()
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (2.75e-5, 2.75e-5), (-0.2, -0.2)
    scene = open_scene(path)
    assert scene.scaling == (2.75e-5, -0.2)
    assert scene.fingerprint()["scaling"] == [[2.75e-5, -0.2]] * 2
    assert (scene.read(scene.grid.window)[0] == 10_000).all()
    with rasterio.open(path, "r+") as file:
        file.scales = (1e-4, 2.75e-5)
    assert open_scene(path).scaling is None
    assert open_scene(path, bands=[2]).scaling == (2.75e-5, -0.2)
    for nothing in (0.0, float("nan")):
        with rasterio.open(path, "r+") as file:
            file.scales = (nothing, nothing)
        scene = open_scene(path)
        assert scene.scaling == (1.0, 0.0)
        assert any("mean nothing; ignored" in note for note in scene.notes)


def test_a_mask_beside_the_file_masks_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.ones((30, 40), np.uint8))
    before = open_scene(path).fingerprint()
    mask = np.full((30, 40), 255, np.uint8)
    mask[:10] = 0
    write(tmp_path / "mask.tif", mask, crs=None, transform=None).rename(tmp_path / "a.tif.msk")
    scene = open_scene(path)
    np.testing.assert_array_equal(scene.read(scene.grid.window)[1], mask != 0)
    assert scene.fingerprint()["files"][:1] == before["files"]
    assert scene.fingerprint()["files"][1]["name"] == "a.tif.msk"
    assert "a.tif: masked by a.tif.msk" in scene.notes
    write(tmp_path / "mask.tif", mask[:20], crs=None, transform=None).rename(tmp_path / "a.tif.msk")
    other = open_scene(path)  # of another size: not its mask
    assert other.read(other.grid.window)[1].all()
    assert [n for n in other.notes if "a.tif.msk beside the scene ignored" in n]


def test_the_same_note_on_many_files_is_said_once(tmp_path: Path) -> None:
    for number in range(1, 6):
        path = write(tmp_path / f"B{number}.tif", np.ones((20, 20), np.uint8))
        path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    notes = open_scene(tmp_path).notes
    assert [n for n in notes if "tfw" in n] == ["5 files .tfw, such as B1.tfw, beside the scene ignored"]


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_the_way_into_a_sentinel_product_exists(tmp_path: Path, level: str) -> None:
    product = tmp_path / "S2A.SAFE"
    data = product / "GRANULE" / "L" / "IMG_DATA"
    names = [f"T_B0{n}.jp2" for n in (2, 3, 4, 8)]
    if level == "2A":
        data, names = data / "R10m", [n.replace(".jp2", "_10m.jp2") for n in names]
    data.mkdir(parents=True)
    for name in names:
        (data / name).write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        open_scene(product)
    pattern = str(caught.value.hint).split("'")[1]
    assert len(list(tmp_path.glob(pattern))) == 4


def test_warnings_of_gdal_do_not_reach_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("rasterio._env").warning("CPLE_AppDefined in something")
    assert "CPLE" not in capfd.readouterr().err


def test_what_gdal_thinks_of_a_file_does_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A tag for the bands beyond three colours under another number: libtiff warns whenever it reads it."""
    path = write(tmp_path / "a.tif", np.ones((5, 20, 20), np.uint8), photometric="RGB")
    content = path.read_bytes()
    assert content.count(b"\x52\x01\x03\x00") == 1
    path.write_bytes(content.replace(b"\x52\x01\x03\x00", b"\x51\x01\x03\x00"))
    scene = open_scene(path, bands=[1, 2, 3])
    scene.read(scene.grid.window)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("verb", ["predict", "plan", "fit"])
def test_pixels_in_memory_are_told_to_be_written_first(tmp_path: Path, verb: str) -> None:
    array = open_scene(write(tmp_path / "a.tif", np.ones((20, 20), np.uint8))).to_xarray()
    call = partial(geoseg.fit, "ndvi") if verb == "fit" else partial(getattr(geoseg, verb), model="m")
    with pytest.raises(UsageError, match="DataArray is not a path") as caught:
        call(scene=array, out=tmp_path / "out")
    assert "to_raster" in str(caught.value)
