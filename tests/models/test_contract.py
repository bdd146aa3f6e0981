from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import InputError, UsageError
from geoseg.models.contract import Band, InputContract, SceneProfile, Sensor

RGB = InputContract(
    bands=(Band(name="red", wavelength_nm=665), Band(name="green"), Band(name="blue")),
    dtype="uint8",
    value_range=(0, 255),
    mean=(50, 60, 70),
    std=(10, 10, 10),
    pixel_size=(5, 20),
)
REFLECTANCE = InputContract(
    bands=(Band(name="red"), Band(name="nir")),
    dtype="uint16",
    value_range=(0, 10000),
    scale=1e-4,
    mean=(0.1, 0.3),
    std=(0.1, 0.1),
    pixel_size=(5, 20),
)


def fits(
    contract: InputContract = RGB, *, override: bool = False, where: object = None, **changes: object
) -> tuple[str, ...]:
    given_scene = {"count": len(contract.bands), "dtype": contract.dtype, "pixel_size_m": 10.0} | changes
    return contract.check(SceneProfile(**given_scene), override=override, where=where)


def test_a_scene_as_described_gives_no_notes():
    assert fits(value_sample=np.arange(256, dtype=np.uint8)) == ()


def test_too_many_bands_names_found_needed_and_the_option():
    with pytest.raises(InputError) as caught:
        fits(count=4, where="scene.tif")
    text = str(caught.value)
    assert text.startswith("scene.tif: ")
    assert "found 4, the model needs 3: red, green, blue" in text
    assert "`bands=3,2,1`" in text


def test_named_bands_give_the_exact_option():
    with pytest.raises(InputError, match=r"`bands=4,3,2`"):
        fits(count=5, band_names=("B01", "B02", "B03", "B04", "B08"))
    with pytest.raises(InputError, match=r"`bands=3,2,1`"):
        fits(band_names=("Blue", "Green", "Red"))
    assert fits(band_names=("B04", "B03", "B02")) == ()
    assert fits(band_names=(None, None, None)) == ()
    assert fits(band_names=("Band 1", "Band 2", "Band 3")) == ()


def test_force_cannot_change_the_number_of_bands():
    with pytest.raises(InputError, match="too few bands"):
        fits(count=1, override=True)


@pytest.mark.parametrize(
    ("contract", "dtype", "values"),
    [
        (RGB, "uint16", [0, 300, 2500, 9800]),  # reflectance x 10000 against 8 bits
        (RGB, "float32", [0.0, 0.2, 0.9]),  # reflectance against 8 bits
        (RGB, "int16", [-9999, -9999, 10, 20]),  # untagged nodata
        (REFLECTANCE, "uint8", [0, 17, 255]),  # 8 bits against reflectance x 10000
        (REFLECTANCE, "float32", [0.0, 0.2, 0.9]),
    ],
)
def test_another_scaling_is_refused_with_both_ranges(contract, dtype, values):
    sample = np.array(values, dtype)
    with pytest.raises(InputError, match="scaled differently") as caught:
        fits(contract, dtype=dtype, value_sample=sample)
    assert f"{max(values):g}" in str(caught.value)
    assert f"{contract.value_range[1]:g}" in str(caught.value)
    notes = fits(contract, dtype=dtype, value_sample=sample, override=True)
    assert len(notes) == 1
    assert "`force`" in notes[0]


def test_eight_bits_in_a_wider_type_pass_by_their_values():
    for dtype in ("uint16", "int16", "float32"):
        assert fits(dtype=dtype, value_sample=np.arange(256, dtype=dtype)) == ()


def test_few_values_outside_are_clouds():
    sample = np.concatenate([np.full(2000, 1200), [15000]]).astype(np.uint16)
    assert fits(REFLECTANCE, value_sample=sample) == ()


def test_scale_and_offset_of_a_file_must_not_contradict_the_models():
    assert fits(REFLECTANCE, scaling=(1e-4, 0.0)) == fits(REFLECTANCE)
    with pytest.raises(InputError) as caught:
        fits(REFLECTANCE, scaling=(2.75e-5, -0.2), where="scene.tif")
    assert "value * 2.75e-05 + -0.2, the model takes value * 0.0001 + 0" in str(caught.value)
    with pytest.raises(InputError, match="differing between bands"):
        fits(REFLECTANCE, scaling=None)
    (note,) = (n for n in fits(RGB, scaling=(2.75e-5, -0.2)) if "scale" in n)
    assert "not applied" in note


def test_nan_is_not_judged_and_nothing_valid_is_said():
    sample = np.array([np.nan, 12.0, 200.0], np.float32)
    assert fits(dtype="float32", value_sample=sample) == ()
    assert fits(dtype="float32", value_sample=np.full(3, np.nan, np.float32)) == (
        "no valid value to look at",
    )


def test_complex_data_are_refused():
    with pytest.raises(InputError, match="complex64"):
        fits(dtype="complex64")


@pytest.mark.parametrize("size", [30.0, 1.0, (30.0, 28.0)])
def test_pixel_size_outside_the_range_is_refused(size):
    with pytest.raises(InputError, match="the model expects 5 to 20 m"):
        fits(pixel_size_m=size)


def test_pixel_size_is_judged_by_area():
    assert fits(pixel_size_m=(24.0, 9.0)) == ()
    assert "not known" in fits(pixel_size_m=None)[0]


def test_every_refusal_becomes_a_note_with_force():
    notes = fits(
        band_names=("blue", "green", "red"),
        dtype="uint16",
        value_sample=np.array([0, 9000], np.uint16),
        pixel_size_m=100.0,
        override=True,
    )
    assert len(notes) == 3


@given(
    mean=st.tuples(*[st.floats(-1e4, 1e4)] * 2),
    scale=st.floats(1e-4, 10),
    offset=st.floats(-1000, 1000),
)
def test_the_fill_value_normalises_to_zero(mean, scale, offset):
    contract = InputContract(
        bands=(Band(name="a"), Band(name="b")),
        dtype="float32",
        value_range=(0, 1),
        scale=scale,
        offset=offset,
        mean=mean,
        std=(1, 2),
        pixel_size=(1, 2),
    )
    normalised = (np.array(contract.fill) * scale + offset - mean) / contract.std
    assert np.allclose(normalised, 0, atol=1e-9 * max(1, *np.abs(mean), abs(offset)))
    assert InputContract.from_json(json.loads(json.dumps(contract.to_json()))) == contract


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (1, 2)},
        {"std": (1, 0, 1)},
        {"pixel_size": (20, 5)},
        {"dtype": "int3"},
        {"mean": (1, np.nan, 1)},
    ],
)
def test_a_contract_that_cannot_be_is_refused(change):
    fields = {
        "bands": RGB.bands,
        "dtype": "uint8",
        "value_range": (0, 255),
        "mean": RGB.mean,
        "std": RGB.std,
        "pixel_size": (5, 20),
    }
    with pytest.raises(InputError, match="input contract"):
        InputContract(**fields | change)


def test_bands_of_two_dates_are_told_apart_by_name():
    names = ("red@1", "nir@1", "red@2", "nir@2")
    two = InputContract(
        bands=tuple(Band(name=n) for n in names),
        dtype="uint8",
        value_range=(0, 255),
        mean=(90.0,) * 4,
        std=(40.0,) * 4,
        pixel_size=(5, 20),
    )
    seen = np.arange(256)
    assert fits(two, value_sample=seen, band_names=("B04@1", "B08@1", "B04@2", "B08@2")) == ()
    with pytest.raises(InputError, match=r"another order.*`bands=3,4,1,2`"):
        fits(two, value_sample=seen, band_names=("B04@2", "B08@2", "B04@1", "B08@1"))


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (("B2", "B3", "B4"), (3, 2, 1)),  # Sentinel-2 and Landsat 8: no satellite has red first there
        (("B4", "B3", "B2"), (1, 2, 3)),
        (("B3", "B2", "B1"), (1, 2, 3)),  # Landsat 5: elsewhere there is no red among them
        (("SR_B4", "SR_B3", "SR_B2"), (1, 2, 3)),
        (("B1", "B2", "B3", "B4"), None),  # red is the fourth or the third
        (("B2", "B3", "B5"), None),
    ],
)
def test_bands_that_are_only_numbered_are_told_where_satellites_agree(
    names: tuple[str, ...], order: tuple[int, ...] | None
) -> None:
    assert RGB.order_among(names) == order


def test_a_sensor_that_is_missing_is_not_looked_for():
    bands = tuple(
        Band(name=n, value_range=r) for n, r in (("red", (0, 9000)), ("vv", (-30, 5)), ("dem", (0, 400)))
    )
    own = InputContract(
        bands=bands,
        dtype="int16",
        value_range=(-30, 9000),
        mean=(800.0, -12.0, 200.0),
        std=(300.0, 4.0, 90.0),
        pixel_size=(5, 20),
        sensors=(Sensor(name="optical", bands=("red",)), Sensor(name="radar", bands=("vv",))),
    )
    assert InputContract.from_json(json.loads(json.dumps(own.to_json()))) == own
    assert own.without([]) is own
    left = own.without(["optical"])
    assert (left.band_names, left.mean, left.value_range) == (("vv", "dem"), (-12.0, 200.0), (-30, 400))
    dark = SceneProfile(count=2, dtype="int16", pixel_size_m=10, value_sample=np.array([-20, 150]))
    left.check(dark)  # against the range of all bands, it would be another scaling
    with pytest.raises(UsageError, match=r"cannot do without 'dem'.*optical \(red\); radar \(vv\)"):
        own.positions(["dem"])
    with pytest.raises(InputError, match=r"or `without=optical` if .*, or `without=radar` if"):
        own.check(dark)
