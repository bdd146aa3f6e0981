"""Which engine is taken: from stop-watches of our own, so that nothing here depends on the machine."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from geoseg.engines import probing, timing
from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.probing import settle
from geoseg.errors import ResourceError

from ..models import bundles as made

ASKED = EngineChoice(device="cpu", threads=4)
RAW, VALID = np.zeros((2, 3, 32, 32), np.uint8), np.ones((2, 32, 32), bool)


class Stub:
    """An engine that takes milliseconds for a tile and gives every `wrong`-th pixel another label."""

    def __init__(self, milliseconds, wrong=0):
        self.seconds, self.wrong, self.calls, self.timed = milliseconds / 1000, wrong, 0, 0
        self.shapes = set()

    def time(self, tiles):
        self.timed += 1
        return self.seconds * len(tiles[0])

    def classify(self, raw, valid=None):
        self.calls += 1
        self.shapes.add(raw.shape[2:])
        labels = np.full((len(raw), *raw.shape[2:]), 3, np.uint8)
        if self.wrong:
            labels.ravel()[:: self.wrong] = 7
        return labels, labels


@pytest.fixture
def ensemble(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (probing, timing):
        monkeypatch.setattr(module, "seconds_for", lambda engine, tiles, _: engine.time(tiles))
    monkeypatch.setattr(probing, "settle_short", lambda default, *_: default)
    return Ensemble(bundles=(made.bundle(tmp_path),))


def run(monkeypatch, ensemble, stubs, *, asked=ASKED, forwards=100_000, tiles=(RAW, VALID)):
    """(decision, choices that were opened); `stubs` are by engine, precision and threads."""
    opened = []

    def open_(self, choice):
        opened.append(choice)
        stub = stubs.get((choice.name, choice.precision, choice.threads))
        if stub is None:
            raise ResourceError("not installed")
        return stub

    monkeypatch.setattr(Ensemble, "open", open_)
    return settle(asked, ensemble, (512, 512), forwards, lambda: tiles), opened


SLOW = {("torch", "fp32", 4): Stub(1.0)}


def test_the_fastest_that_agrees_is_taken(monkeypatch, ensemble):
    stubs = SLOW | {
        ("torch", "bf16", 4): Stub(2.0),
        ("onnx", "fp32", 4): Stub(0.5),
        ("openvino", "fp32", 4): Stub(0.4),
        ("openvino", "bf16", 4): Stub(0.1, wrong=500),  # 99.8 % equal
        ("openvino", "fp32", 2): Stub(0.7),
    }
    decision, opened = run(monkeypatch, ensemble, stubs)
    assert decision.choice == replace(ASKED, name="openvino", precision="fp32")
    assert decision.reason == "measured"
    assert len(opened) == 6
    assert str(decision).startswith("engine: openvino fp32, 4 threads (measured): 2.56 Mpx/s, 100.00% of")
    assert "openvino bf16, 4 threads 10.24 Mpx/s, only 99.76% equal" in str(decision)


def test_a_hopeless_candidate_is_left_early(monkeypatch, ensemble):
    hopeless, slow = Stub(20.0), Stub(1.9)
    stubs = SLOW | {("torch", "bf16", 4): hopeless, ("onnx", "fp32", 4): slow}
    decision, _ = run(monkeypatch, ensemble, stubs)
    left = next(t for t in decision.trials if t.choice.precision == "bf16" and t.speed)
    assert (left.agreement, left.problem) == (None, "too slow to be looked at further")
    assert hopeless.calls < slow.calls


def test_a_first_call_that_nobody_waits_for_is_the_only_one(monkeypatch, ensemble):
    forever = Stub(50_000.0)
    run(monkeypatch, ensemble, SLOW | {("torch", "bf16", 4): forever})
    assert forever.timed == 1


def test_only_the_middle_of_wide_tiles_is_timed(monkeypatch, ensemble):
    seen = Stub(1.0)
    wide = np.zeros((2, 3, 1536, 1536), np.uint8), np.ones((2, 1536, 1536), bool)
    wide[1][:, :600] = False
    run(monkeypatch, ensemble, {("torch", "fp32", 4): seen}, tiles=wide)
    assert seen.shapes == {(512, 512)}
    wide[1][:, 500:1100] = False
    wide[1][:, 1200:] = True
    assert probing._centres(wide, ensemble)[1].shape == (2, 1536, 1536)


def test_half_the_threads_are_taken_where_they_are_as_fast(monkeypatch, ensemble):
    decision, _ = run(monkeypatch, ensemble, SLOW | {("torch", "fp32", 2): Stub(1.01)})
    assert decision.choice == replace(ASKED, name="torch", precision="fp32", threads=2)


def test_engines_that_are_not_there_are_said_and_the_rest_is_measured(monkeypatch, ensemble):
    decision, _ = run(monkeypatch, ensemble, SLOW)
    assert decision.choice == replace(ASKED, name="torch", precision="fp32")
    missing = [t for t in decision.trials if t.speed is None]
    assert len(missing) == 5  # four candidates, and the reference with half its threads
    assert all("not installed" in t.problem for t in missing)


@pytest.mark.parametrize(("forwards", "opens"), [(1, 0), (40, 1)])
def test_a_short_scene_is_not_measured(monkeypatch, ensemble, forwards, opens):
    """A scene of one tile opens nothing; one that the reference does in less than a minute, only that."""
    decision, opened = run(monkeypatch, ensemble, SLOW, forwards=forwards)
    assert (decision.choice, decision.reason) == (replace(ASKED, name="torch", precision="fp32"), "default")
    assert len(opened) == opens


def test_a_short_scene_is_left_to_the_engine_that_opens_quickly(monkeypatch, ensemble):
    """Of a longer one it tells how long it takes, where an earlier scene found it."""
    pytest.importorskip("onnxruntime")
    light = Decision(choice=replace(ASKED, name="onnx", precision="fp32"), reason="remembered")
    monkeypatch.setattr(probing, "settle_short", lambda *_: light)
    assert run(monkeypatch, ensemble, {}, forwards=1)[0] == light
    monkeypatch.setattr(probing, "recall_short", lambda *_: light)
    fast = {("onnx", "fp32", 4): Stub(0.001)}
    decision, opened = run(monkeypatch, ensemble, fast, forwards=40)
    assert (decision, [choice.name for choice in opened]) == (light, ["onnx"])
    assert run(monkeypatch, ensemble, {}, forwards=0)[0].choice.name == "torch"
    exact = replace(ASKED, name="torch")
    assert run(monkeypatch, ensemble, {}, asked=exact, forwards=1)[0].choice.name == "torch"


def test_what_was_measured_is_remembered_also_for_short_scenes(monkeypatch, ensemble):
    stubs = SLOW | {("onnx", "fp32", 4): Stub(0.5)}
    first, _ = run(monkeypatch, ensemble, stubs)
    again, opened = run(monkeypatch, ensemble, {}, forwards=1)
    assert (again, opened) == (replace(first, reason="remembered"), [])
    assert Decision.from_json(json.loads(json.dumps(first.to_json()))) == first
    other = replace(ASKED, threads=1)
    assert run(monkeypatch, ensemble, {}, asked=other, forwards=1)[0].reason == "default"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"choice": {"name": "torch"}, "reason": "x", "trials": []}']
)
def test_a_damaged_memory_is_measured_anew(monkeypatch, ensemble, tmp_path, damage):
    first, _ = run(monkeypatch, ensemble, SLOW)
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_text(damage)
    assert run(monkeypatch, ensemble, SLOW)[0] == first
    assert json.loads(file.read_text())["reason"] == "measured"


def test_without_a_place_to_remember_it_still_decides(monkeypatch, ensemble, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert run(monkeypatch, ensemble, SLOW)[0].reason == "measured"


def test_what_is_asked_for_in_full_is_obeyed(monkeypatch, ensemble):
    asked = EngineChoice(name="onnx", precision="fp32", device="cpu", threads=3)
    decision, opened = run(monkeypatch, ensemble, {}, asked=asked)
    assert (decision, opened) == (Decision(choice=asked, reason="asked for"), [])
    named = replace(ASKED, name="openvino")
    stubs = {("openvino", "fp32", 4): Stub(1.0), ("openvino", "bf16", 4): Stub(0.5)}
    assert run(monkeypatch, ensemble, stubs, asked=named)[0].choice == replace(named, precision="bf16")


def test_a_scene_without_data_opens_nothing(monkeypatch, ensemble):
    decision, opened = run(monkeypatch, ensemble, SLOW, tiles=None)
    assert (decision.reason, opened) == ("default", [])
