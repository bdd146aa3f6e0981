"""The engine of short scenes: taken only where it gave the reference's labels, looked at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geoseg.engines import short, timing
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.network_file import cached_file
from geoseg.engines.short import light_choice, recall_short, settle_short
from geoseg.errors import ResourceError

from ..models import bundles as made

TORCH = EngineChoice(name="torch", precision="fp32", device="cpu", threads=2)
ONNX = replace(TORCH, name="onnx")
DEFAULT = Decision(choice=TORCH, reason="default")
SIDES = (64, 96)
TILES = np.zeros((2, 3, *SIDES), np.uint8), np.ones((2, *SIDES), bool)


class Labels:
    """An engine that gives every `wrong`-th pixel another label."""

    def __init__(self, wrong: int = 0) -> None:
        self.wrong = wrong

    def classify(self, raw, valid=None):
        labels = np.full((len(raw), *raw.shape[2:]), 3, np.uint8)
        if self.wrong:
            labels.ravel()[:: self.wrong] = 7
        return labels, labels


@pytest.fixture
def ensemble(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (short, timing):
        monkeypatch.setattr(module, "seconds_for", lambda engine, tiles, _: 0.1)
    return Ensemble(bundles=(made.bundle(tmp_path),))


@pytest.fixture
def opened(monkeypatch):
    """Names of engines in the order of opening, networks that were written among them."""
    opened = []

    def write(bundle, height, width):
        opened.append("written")
        file = cached_file(bundle, height, width)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return file

    monkeypatch.setattr(short, "network_file", write)
    monkeypatch.setattr(Ensemble, "open", lambda _, choice: opened.append(choice.name) or Labels())
    return opened


def settled(ensemble, *, sides=SIDES, tiles=TILES, light=ONNX):
    return settle_short(DEFAULT, light, ensemble, sides, lambda: tiles)


def test_the_first_short_scene_compares_and_the_next_opens_nothing(ensemble, opened):
    first = settled(ensemble)
    assert (first.choice, first.reason, opened) == (ONNX, "measured", ["torch", "written", "onnx"])
    assert str(first).endswith("100.00% of the labels as in fp32 [torch fp32, 2 threads 0.12 Mpx/s]")
    assert settled(ensemble) == replace(first, reason="remembered")
    other = replace(ONNX, threads=1)
    assert settled(ensemble, light=other).choice == other
    assert len(opened) == 3


def test_other_labels_are_never_taken(ensemble, opened, monkeypatch):
    wrong = {"torch": Labels(), "onnx": Labels(wrong=500)}  # 99.8 % equal
    monkeypatch.setattr(Ensemble, "open", lambda _, choice: wrong[choice.name])
    first = settled(ensemble)
    assert (first.choice, first.trials[1].agreement) == (TORCH, pytest.approx(0.998, abs=1e-4))
    assert "only 99.8" in str(first)
    assert settled(ensemble) == replace(first, reason="remembered")
    assert opened == ["written"]


def test_a_network_that_cannot_be_written_is_tried_once(ensemble, opened, monkeypatch):
    def refuse(*_):
        opened.append("tried")
        raise ResourceError("ONNX lacks an operation")

    monkeypatch.setattr(short, "network_file", refuse)
    assert settled(ensemble).choice == settled(ensemble).choice == TORCH
    assert opened == ["torch", "tried"]
    assert settled(ensemble).trials[1].problem.startswith("ONNX lacks")


def test_other_sides_are_looked_at_when_they_are_met_again(ensemble, opened):
    settled(ensemble)
    opened.clear()
    assert settled(ensemble, sides=(96, 64)) == DEFAULT
    assert opened == []
    assert settled(ensemble, sides=(96, 64)).choice == ONNX


def test_no_network_is_written_for_large_tiles_but_one_that_is_there_is_compared(ensemble, opened):
    sides = (1024, 1024)
    assert settled(ensemble, sides=sides) == settled(ensemble, sides=sides) == DEFAULT
    assert opened == []
    there = cached_file(ensemble.bundles[0], *sides)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.touch()
    assert settled(ensemble, sides=sides).choice == ONNX


def test_without_a_place_to_remember_nothing_is_written(ensemble, opened, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert settled(ensemble) == DEFAULT
    assert opened == []


def test_a_network_that_is_gone_is_written_and_compared_again(ensemble, opened):
    settled(ensemble)
    cached_file(ensemble.bundles[0], *SIDES).unlink()
    assert recall_short(ONNX, ensemble, SIDES) is None
    assert settled(ensemble).reason == "measured"
    assert opened.count("written") == 2


def test_what_stopped_while_it_looked_looks_again(ensemble, opened, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(short, "network_file", stop)
        with pytest.raises(KeyboardInterrupt):
            settled(ensemble)
    assert settled(ensemble).choice == ONNX


def test_a_scene_without_data_is_not_compared(ensemble, opened):
    assert settled(ensemble, tiles=None) == DEFAULT
    assert opened == []


@pytest.mark.parametrize(
    ("asked", "light"),
    [
        (EngineChoice(), True),
        (EngineChoice(precision="fp32"), True),
        (EngineChoice(precision="bf16"), False),
        (EngineChoice(name="torch"), False),
        (EngineChoice(name="openvino"), False),
    ],
)
def test_only_what_was_left_open_is_decided(asked, light):
    pytest.importorskip("onnxruntime")
    assert (light_choice(asked, TORCH) is not None) == light
