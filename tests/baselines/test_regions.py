"""Regions: one class each, the mean of the inner engine's answers, cut as scikit-image cuts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.segmentation import felzenszwalb, slic

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.fake_engine import FakeEngine
from geoseg.engines.opening import open_engine
from geoseg.engines.region_engine import RegionEngine, cut_regions
from geoseg.errors import InputError, UsageError
from geoseg.legend import Legend
from geoseg.models.bundle import load_bundle
from geoseg.models.region_rule import REGION_METHODS, RegionRule

LEGEND = Legend.of({1: "a", 4: "b", 7: "c"})


def rule(method: str, **parameters: float) -> RegionRule:
    return RegionRule(method=method, parameters=parameters, mean=(100.0, 100.0), std=(30.0, 30.0))


def tiles(seed: int, number: int = 1, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 230, (number, 2, side // 16, side // 16))
    return (np.kron(blocks, np.ones((16, 16), int)) + rng.integers(0, 9, (number, 2, side, side))).astype(
        np.uint8
    )


@pytest.mark.parametrize("method", REGION_METHODS)
@settings(max_examples=20)  # of four ways
@given(seed=st.integers(0, 1000))
def test_every_region_has_the_mean_of_its_pixels(method, seed):
    raw = tiles(seed)
    valid = np.random.default_rng(seed).random((1, 64, 64)) > 0.1
    inner = FakeEngine(LEGEND, bands=2)
    engine = RegionEngine(inner, rule(method))
    before, after = inner.probabilities(raw, valid)[0], engine.probabilities(raw, valid)[0]
    labels, confidence = engine.classify(raw, valid)
    regions = cut_regions(raw[0], valid[0], rule(method))
    for number in np.unique(regions[valid[0]]):
        inside = (regions == number) & valid[0]
        mean = before[:, inside].astype(float).mean(axis=1)
        assert np.abs(after[:, inside] - mean[:, None]).max() <= 0.5
        assert len(np.unique(labels[0][inside])) == 1
    np.testing.assert_array_equal(after[:, ~valid[0]], before[:, ~valid[0]])
    assert (labels[0][~valid[0]] == 255).all() and (confidence[~valid] == 255).all()


@pytest.mark.parametrize("method", REGION_METHODS)
def test_blocks_of_one_colour_are_not_mixed(method):
    raw = tiles(3)
    place = np.arange(64) // 16
    block = place[:, None] * 4 + place
    regions = cut_regions(raw[0], np.ones((64, 64), bool), rule(method))
    numbers, regions = np.unique(regions, return_inverse=True)
    shared = np.zeros((len(numbers), 16), int)
    np.add.at(shared, (regions.ravel(), block.ravel()), 1)
    strangers = 1 - shared.max(axis=1).sum() / 64**2
    assert strangers < 0.04, "share of pixels in a region of another block"
    assert 16 <= len(numbers) < 64**2 / 4


def test_felzenszwalb_and_slic_are_scikit_images():
    raw = tiles(5)
    colours = np.moveaxis((raw[0].astype(np.float32) - 100) / 30, 0, -1)
    inside = np.ones((64, 64), bool)
    np.testing.assert_array_equal(
        cut_regions(raw[0], inside, rule("felzenszwalb", scale=90, sigma=0.4, min_size=11)),
        felzenszwalb(colours, scale=90, sigma=0.4, min_size=11, channel_axis=-1),
    )
    stretched = (colours - colours.min()) / (colours.max() - colours.min())
    reach = float(colours.max() - colours.min())
    np.testing.assert_array_equal(
        cut_regions(raw[0], inside, rule("slic", spacing=8, compactness=0.7, sigma=0)),
        slic(
            stretched,
            n_segments=64,
            compactness=0.7 / reach,
            sigma=0,
            convert2lab=False,
            start_label=0,
            channel_axis=-1,
        ),
    )


@pytest.mark.parametrize("method", REGION_METHODS)
def test_a_tile_of_one_colour_is_no_error(method):
    raw = np.full((1, 2, 64, 64), 77, np.uint8)
    labels, _ = RegionEngine(FakeEngine(LEGEND, bands=2), rule(method)).classify(raw)
    assert len(np.unique(labels)) == 1


def test_identity_and_digest_know_the_regions(tmp_path):
    first, second = (
        geoseg.fit(
            "model", "unused.tif", model="demo-frontier", regions="slic", region_parameters={"spacing": s},
            out=tmp_path / str(s),
        )
        for s in (8, 16)
    )  # fmt: skip
    assert first.digest != second.digest and first.weights_sha256 == second.weights_sha256
    one, two = (open_engine(b, EngineChoice(threads=1)).identity for b in (first, second))
    assert one["regions"]["parameters"]["spacing"] == 8 and one != two
    assert "scikit-image" in one
    assert first.margin >= load_bundle("demo-frontier").margin and first.scores == {}


def test_a_rule_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="unknown way to make regions 'quickshift'"):
        rule("quickshift")
    with pytest.raises(UsageError, match=r"same pixels in every tile.*found a spacing of 12"):
        rule("slic", spacing=12)
    made = geoseg.fit("model", "x", model="demo-frontier", regions="slic", out=tmp_path / "m")
    text = (made.path / "bundle.json").read_text()
    (made.path / "bundle.json").write_text(text.replace('"method": "slic"', '"method": "magic"'))
    with pytest.raises(InputError, match="unknown way to make regions"):
        load_bundle(made.path)


@pytest.mark.parametrize("method", REGION_METHODS)
def test_what_is_far_away_seldom_matters(method):
    """The same ground in the middle of two tiles, one of them 64 pixels on: the means hardly differ."""
    wide = tiles(8, side=384)
    inner = FakeEngine(LEGEND, bands=2)
    engine = RegionEngine(inner, rule(method))
    first, _ = engine.classify(np.ascontiguousarray(wide[:, :, :320, :320]))
    second, _ = engine.classify(np.ascontiguousarray(wide[:, :, 64:, 64:]))
    core = slice(128, 256)
    assert (first[0][core, core] != second[0][64:192, 64:192]).mean() < 0.02
