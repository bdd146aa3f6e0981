"""Masks: what another raster, or a layer of the product, hides of a scene."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import InputError, UsageError
from geoseg.job import Job
from geoseg.raster.classmap import open_class_map
from geoseg.raster.opening import open_scene
from geoseg.raster.reading import Reading

from . import makers
from . import products as made

SIZES = {10: 96, 20: 48, 60: 16}


@pytest.fixture
def scene(tmp_path):
    return makers.write(tmp_path / "scene.tif", np.full((40, 50), 7, np.uint8))


def valid_of(path, **options):
    opened = open_scene(path, **options)
    return opened.read(opened.grid.window)[1]


def test_every_value_but_0_hides(scene, tmp_path):
    pixels = np.zeros((40, 50), np.uint8)
    pixels[3:9, 4:20], pixels[20, 20] = 1, 255
    mask = makers.write(tmp_path / "mask.tif", pixels, nodata=255)
    np.testing.assert_array_equal(valid_of(scene, mask=str(mask)), pixels == 0)
    untagged = makers.write(tmp_path / "zero.tif", pixels, nodata=0)  # 0 is clear, whatever a tag calls it
    np.testing.assert_array_equal(valid_of(scene, mask=untagged), pixels == 0)


def test_only_some_values_hide(scene, tmp_path):
    pixels = np.arange(2000).reshape(40, 50).astype(np.uint16) % 7
    mask = makers.write(tmp_path / "mask.tif", pixels, nodata=6)
    np.testing.assert_array_equal(
        valid_of(scene, mask=str(mask), mask_values=[2, 3]), ~np.isin(pixels, (2, 3, 6))
    )


def test_a_mask_on_another_grid_hides_by_the_pixel_under_the_centre(scene, tmp_path):
    pixels = np.zeros((9, 26), np.uint8)
    pixels[2, 5] = 1
    mask = makers.write(tmp_path / "mask.tif", pixels, transform=makers.TRANSFORM * Affine.scale(2, 2))
    expected = np.ones((40, 50), bool)
    expected[4:6, 10:12] = False
    expected[18:] = False  # beyond the mask nobody looked
    np.testing.assert_array_equal(valid_of(scene, mask=str(mask)), expected)
    opened = open_scene(scene, mask=str(mask))
    for window in opened.grid.window.blocks(7, 11):
        np.testing.assert_array_equal(opened.read(window)[1], expected[window.slices_in(opened.grid.window)])


def test_class_maps_are_hidden_alike_and_it_is_said(scene, tmp_path):
    pixels = np.zeros((40, 50), np.uint8)
    pixels[:10] = 1
    mask = str(makers.write(tmp_path / "mask.tif", pixels))
    classes = open_class_map(scene, mask=mask)
    np.testing.assert_array_equal(classes.read(classes.grid.window) == 255, pixels == 1)
    assert any("mask.tif" in note for note in classes.scene.notes)
    said = classes.scene.fingerprint()["mask"]
    assert said["hides"] == {"values": "all but 0"}
    assert said["files"][0]["name"] == "mask.tif"
    assert "mask" not in open_scene(scene).fingerprint()


def test_masks_that_cannot_be(scene, tmp_path):
    away = makers.write(
        tmp_path / "away.tif",
        np.zeros((8, 8), np.uint8),
        transform=makers.TRANSFORM * Affine.translation(900, 0),
    )
    with pytest.raises(InputError, match="lies elsewhere"):
        open_scene(scene, mask=str(away))
    two = makers.write(tmp_path / "two.tif", np.zeros((2, 40, 50), np.uint8))
    with pytest.raises(InputError, match="one band"):
        open_scene(scene, mask=str(two))
    with pytest.raises(UsageError, match="layer that the scene has not"):
        open_scene(scene, mask="scl")
    with pytest.raises(InputError, match="not found"):
        open_scene(scene, mask="nowhere.tif")
    with pytest.raises(UsageError, match="none is named"):
        Reading.parse({"mask_values": "1,2"})
    assert Reading.parse({"mask": "m.tif", "mask_values": "1, 2"}).mask_values == [1, 2]
    assert issubclass(Reading, Job)


def test_the_scene_classification_of_sentinel_2(tmp_path):
    bands = {n: made.noise(SIZES[made.METRES[n]], low=2000) for n in made.ORDER if n != "B10"}
    classes = np.arange(48 * 48).reshape(48, 48) % 12
    product = made.sentinel2(tmp_path, {**bands, "SCL": classes.astype(np.uint8)}, level="2A")
    hidden = np.isin(classes.repeat(2, 0).repeat(2, 1), (0, 1, 3, 8, 9, 10))
    np.testing.assert_array_equal(valid_of(product, bands=["B02"], mask="scl"), ~hidden)
    only = classes.repeat(2, 0).repeat(2, 1) == 9
    np.testing.assert_array_equal(valid_of(product, bands=["B02"], mask="SCL", mask_values=[9]), ~only)
    with pytest.raises(UsageError, match=r"qa_pixel.*Sentinel-2 Level-2A, with scl"):
        open_scene(product, mask="qa_pixel")


def test_the_quality_bits_of_landsat(tmp_path):
    bits = np.full((60, 60), 1 << 6, np.uint16)  # clear
    for bit in range(6):
        bits[bit, 10:20] |= 1 << bit
    product = made.landsat(tmp_path, {"4": made.noise(60, low=8000, high=20_000), "QA_PIXEL": bits})
    expected = np.ones((60, 60), bool)
    expected[:5, 10:20] = False  # not snow, bit 5
    np.testing.assert_array_equal(valid_of(product, mask="qa_pixel"), expected)
    with pytest.raises(UsageError, match="made of bits"):
        open_scene(product, mask="qa_pixel", mask_values=[1])
