from __future__ import annotations

import numpy as np
import pytest

from geoseg.engines.choice import EngineChoice
from geoseg.engines.engine import Engine
from geoseg.engines.fake_engine import FakeEngine
from geoseg.engines.opening import open_engine
from geoseg.errors import UsageError
from geoseg.legend import Legend

from ..models import bundles as made


def test_labels_are_the_pixels_own_values():
    engine: Engine = FakeEngine(Legend.of({2: "a", 5: "b", 7: "c"}), bands=2)
    raw = np.random.default_rng(0).integers(0, 1000, (3, 2, 64, 64), dtype=np.uint16)
    labels, confidence = engine.classify(raw)
    for n, row, col in ((0, 0, 0), (2, 63, 1), (1, 30, 30)):
        assert labels[n, row, col] == (2, 5, 7)[(int(raw[n, 0, row, col]) + int(raw[n, 1, row, col])) % 3]
    assert (confidence == 100).all()
    probabilities = engine.probabilities(raw)
    assert (probabilities.sum(axis=1) == 65535).all()
    assert np.array_equal(np.array([2, 5, 7])[probabilities.argmax(axis=1)], labels)


def test_invalid_pixels_are_marked():
    engine = FakeEngine(made.LEGEND, bands=1)
    valid = np.random.default_rng(0).random((1, 32, 32)) < 0.5
    labels, confidence = engine.classify(np.full((1, 1, 32, 32), np.nan), valid)
    assert ((labels == 255) == ~valid).all()
    assert ((confidence == 255) == ~valid).all()


def test_it_says_that_it_is_no_network_and_cannot_be_opened_by_name(tmp_path):
    assert FakeEngine(made.LEGEND, bands=1).identity["engine"] == "fake"
    with pytest.raises(UsageError, match="unknown engine 'fake'"):
        open_engine(made.bundle(tmp_path), EngineChoice(name="fake"))
