"""What every engine promises, for each one that is installed; a new line in `ENGINES` is tested at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import ENGINES, open_engine
from geoseg.engines.quantised_file import calibration_of, write_quantised
from geoseg.errors import ResourceError
from geoseg.models.architectures import Architecture

from ..models import bundles as made

UNET = Architecture(name="unet", encoder="mobilenet_v2", arguments={"decoder_channels": [32, 16, 16, 8, 8]})
CHOICES = [
    EngineChoice(name=name, device="cpu", precision=precision, threads=threads)
    for name, entry in ENGINES.items()
    for precision in entry.precisions
    if precision != "fp16"
    for threads in ((1, 2) if precision == "fp32" else (1,))
]
SIDE = 64


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return made.bundle(tmp_path_factory.mktemp("unet"), UNET, temperature=1.7)


@pytest.fixture(scope="module", params=CHOICES, ids=str)
def engine(bundle, request):
    choice = request.param
    try:
        if choice.precision == "int8":
            shown = tiles(4, seed=9), np.ones((4, SIDE, SIDE), bool)
            choice = replace(choice, calibration=calibration_of(shown))
            write_quantised(bundle, shown, choice.calibration)
        opened = open_engine(bundle, choice)
        opened.classify(tiles(1))  # what is not installed shows now
    except ResourceError as error:
        pytest.skip(str(error))
    return opened


@pytest.fixture(scope="module")
def reference(bundle):
    return open_engine(bundle, EngineChoice(name="torch", device="cpu", precision="fp32", threads=1))


def tiles(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, SIDE, SIDE)).astype(np.uint8)


@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(4)), cut=st.integers(1, 3), seed=st.integers(0, 9))
def test_a_tile_is_bitwise_the_same_anywhere_in_any_batch(engine, order, cut, seed):
    raw = tiles(4, seed)
    whole = engine.probabilities(raw)
    np.testing.assert_array_equal(engine.probabilities(raw[list(order)]), whole[list(order)])
    parts = [engine.probabilities(part) for part in (raw[:cut], raw[cut:])]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    padded = np.concatenate([raw[:cut], np.zeros_like(raw[:cut])])
    for found, expected in zip(engine.classify(padded), engine.classify(raw), strict=True):
        np.testing.assert_array_equal(found[:cut], expected[:cut])


def test_the_answers_are_those_of_the_reference(engine, reference):
    raw = tiles(3)
    found, expected = (e.probabilities(raw).astype(int) for e in (engine, reference))
    difference, share = {"fp32": (100, 0.999), "bf16": (7000, 0.97), "int8": (7000, 0.95)}[
        engine.identity["precision"]
    ]
    assert np.abs(found - expected).max() <= difference
    agreement = (engine.classify(raw)[0] == reference.classify(raw)[0]).mean()
    assert agreement >= share


def test_confidence_is_the_labels_own_probability_rounded_once(engine):
    raw, valid = tiles(2), np.ones((2, SIDE, SIDE), bool)
    valid[:, :9] = False
    labels, confidence = engine.classify(raw, valid)
    shares = np.moveaxis(engine.probabilities(raw, valid), 1, 0).astype(np.int64)
    position = np.searchsorted(made.LEGEND.ids, np.where(valid, labels, made.LEGEND.ids[0]))
    own = np.take_along_axis(shares, position[None], axis=0)[0]
    percent = (own * 100 + 32767) // 65535
    assert np.abs(percent - confidence.astype(int))[valid].max() <= 1  # softmax is summed in another order
    assert (percent == confidence)[valid].mean() > 0.999
    assert (labels[~valid] == 255).all()
    assert (confidence[~valid] == 255).all()


def test_what_is_not_valid_cannot_be_seen(engine):
    raw, valid = tiles(1), np.ones((1, SIDE, SIDE), bool)
    valid[:, 20:40, 10:] = False
    other = np.where(valid[:, None], raw, 255 - raw)
    np.testing.assert_array_equal(engine.probabilities(other, valid), engine.probabilities(raw, valid))


def test_identity_names_library_precision_threads_and_bundle(engine, bundle):
    identity = engine.identity
    assert identity["engine"] in ENGINES
    assert identity["bundle"] == bundle.digest
    assert {"device", "precision", "threads"} <= identity.keys()
