"""Products of Sentinel-2 and Landsat: their own scale, offset and nodata, folder and archive alike."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest

from geoseg.errors import InputError
from geoseg.raster.opening import open_scene

from . import products as made

SIZES = {10: 120, 20: 60, 60: 20}
L1C = {name: made.noise(SIZES[made.METRES[name]], seed=i) for i, name in enumerate(made.ORDER)}
L2A = {name: pixels for name, pixels in L1C.items() if name != "B10"}
QA = np.full((60, 60), 21824, np.uint16)
LANDSAT = {**{str(n): made.noise(60, low=7000, high=40_000, seed=n) for n in range(1, 8)}, "QA_PIXEL": QA}


def whole(scene):
    return scene.read(scene.grid.window)


@pytest.mark.parametrize("level", ["1C", "2A"])
def test_reflectance_of_sentinel_2(tmp_path, level):
    bands = {name: pixels.copy() for name, pixels in (L1C if level == "1C" else L2A).items()}
    bands["B04"][:5, :7] = 0
    scene = open_scene(made.sentinel2(tmp_path, bands, level=level))
    assert scene.band_names == tuple(n for n in made.ORDER if n in bands)
    assert scene.grid.shape == (120, 120)
    assert (scene.product, scene.dtype, scene.scaling) == (f"Sentinel-2 Level-{level}", np.uint16, (1.0, 0.0))
    assert scene.level == {"1C": "top of atmosphere", "2A": "surface"}[level]
    pixels, valid = whole(open_scene(next(tmp_path.iterdir()), bands=["B04", "b3"]))
    expected = np.zeros((120, 120), bool)
    expected[:5, :7] = True
    np.testing.assert_array_equal(~valid, expected)
    np.testing.assert_array_equal(pixels[0][valid], np.maximum(bands["B04"][valid].astype(int) - 1000, 0))
    assert (pixels[0, ~valid] == scene.nodata).all()


def test_no_offset_before_baseline_04(tmp_path):
    scene = open_scene(made.sentinel2(tmp_path, L1C, baseline="02.09", offset=None), bands=["B02"])
    pixels, valid = whole(scene)
    assert valid.all()
    np.testing.assert_array_equal(pixels[0], L1C["B02"])
    assert scene.dtype == np.uint16


def test_larger_pixels_are_interpolated_before_the_offset(tmp_path):
    product = made.sentinel2(tmp_path, L1C)
    (flat,), _ = whole(open_scene(product, bands=["B11"]))
    (fine, _), _ = whole(open_scene(product, bands=["B11", "B02"]))
    np.testing.assert_array_equal(flat, np.maximum(L1C["B11"].astype(int) - 1000, 0))
    assert fine.shape == (120, 120)
    assert fine[0, 0] == flat[0, 0]
    mean = np.average(L1C["B11"][:2, :2], weights=np.array([[9, 3], [3, 1]]))
    assert fine[1, 1] == max(np.floor(mean + 0.5) - 1000, 0)


def test_every_band_of_level_2a_in_its_smallest_pixels(tmp_path):
    product = made.sentinel2(tmp_path, {"B02": L2A["B02"], "B01": L2A["B01"]}, level="2A")
    description = product / "MTD_MSIL2A.xml"
    text, sharp = description.read_text(), next(product.glob("GRANULE/*/IMG_DATA/R10m/*_B02_10m.jp2"))
    coarse = sharp.parent.parent / "R20m" / sharp.name.replace("10m", "20m")
    made.jpeg2000(coarse, L2A["B02"][::2, ::2].copy(), made.CORNER * made.Affine.scale(2))
    entry = f"<IMAGE_FILE>{coarse.relative_to(product).with_suffix('').as_posix()}</IMAGE_FILE>"
    description.write_text(text.replace("<IMAGE_FILE>", f"{entry}<IMAGE_FILE>", 1))
    assert open_scene(product).paths[1] == sharp


@pytest.mark.parametrize("kind", ["sentinel2", "landsat"])
def test_an_archive_is_read_as_its_folder(tmp_path, kind):
    if kind == "sentinel2":
        folder = made.sentinel2(tmp_path, L1C)
        archive, bands = made.zipped(folder), ["B02", "B05", "B12"]
    else:
        folder = made.landsat(tmp_path, LANDSAT)
        archive, bands = made.tarred(folder), ["red", "nir"]
    expected, valid = whole(open_scene(folder, bands=bands))
    shutil.rmtree(folder)
    scene = open_scene(archive, bands=bands)
    pixels, held = whole(scene)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(held, valid)
    (file,) = scene.fingerprint()["files"]
    assert file["name"] == archive.name


@pytest.mark.parametrize(
    ("level", "mult", "add"), [("L2SP", 2.75e-5, -0.2), ("L1TP", 2e-5 / 0.5, -0.1 / 0.5)]
)
def test_reflectance_of_landsat(tmp_path, level, mult, add):
    bands = {**LANDSAT, "4": LANDSAT["4"].copy()}
    bands["4"][3, 4] = 0
    scene = open_scene(made.landsat(tmp_path, bands, level=level), bands=["red", "blue", "swir2"])
    pixels, valid = whole(scene)
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1
    for found, number in zip(pixels, "427", strict=True):
        expected = np.maximum((bands[number] * mult + add) * 10_000, 0)
        assert np.abs(found - expected)[valid].max() <= 0.51
    assert scene.level == {"2": "surface", "1": "top of atmosphere"}[level[1]]
    assert any("reflectance x 10000" in note for note in scene.notes)


def test_bands_of_older_landsats_by_colour(tmp_path):
    bands = {n: LANDSAT[n] for n in "123457"}
    scene = open_scene(made.landsat(tmp_path, bands, spacecraft="LANDSAT_7"))
    assert scene.band_names == ("blue", "green", "red", "nir", "swir1", "swir2")


def test_what_is_no_whole_product(tmp_path):
    product = made.sentinel2(tmp_path, {"B02": L1C["B02"]})
    next(product.rglob("*.jp2")).unlink()
    with pytest.raises(InputError, match=r"files of the product are missing.*B02\.jp2"):
        open_scene(product)
    description = product / "MTD_MSIL1C.xml"
    description.write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + description.read_text())
    with pytest.raises(InputError, match="document type"):
        open_scene(product)
    description.write_text("<n1:Level-1C")
    with pytest.raises(InputError, match="damaged description"):
        open_scene(product)


def test_archives_without_a_product_or_with_two(tmp_path):
    empty = tmp_path / "some.zip"
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("a.txt", "a")
    with pytest.raises(InputError, match="no product in the archive"):
        open_scene(empty)
    for _ in range(2):
        with zipfile.ZipFile(empty, "a") as file:
            file.writestr(f"S2_{len(file.namelist())}.SAFE/MTD_MSIL1C.xml", "<a/>")
    with pytest.raises(InputError, match="2 products"):
        open_scene(empty)
    empty.write_bytes(empty.read_bytes()[:-30])
    with pytest.raises(InputError, match="archive"):
        open_scene(empty)


def test_another_collection_is_told(tmp_path):
    product = made.landsat(tmp_path, {"4": LANDSAT["4"]})
    description = next(product.glob("*_MTL.txt"))
    description.write_text(
        description.read_text().replace("COLLECTION_NUMBER = 02", "COLLECTION_NUMBER = 01")
    )
    with pytest.raises(InputError, match="collection 01"):
        open_scene(product)
