from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.engines.average import AverageEngine
from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.fake_engine import FakeEngine
from geoseg.engines.views import VIEWS, View
from geoseg.errors import UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band

from ..models import bundles as made

UNET = Architecture(name="unet", encoder="mobilenet_v2", arguments={"decoder_channels": [32, 16, 16, 8, 8]})


_SWAPPED = replace(made.contract(), bands=tuple(Band(name=b) for b in ("b2", "b1", "b3")))


class Answers:
    """An engine with a given function of the raw tile: ``f(raw, valid) -> (N, K, T, T) uint16``."""

    legend = made.LEGEND

    def __init__(self, answer: Any) -> None:
        self.probabilities = answer
        self.identity = {"engine": "answers"}

    def classify(self, raw: Any, valid: Any = None) -> Any:
        raise AssertionError("an average asks for probabilities")


def own_pixels(raw: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Pixels are their own answers: what comes back elsewhere than it came from is seen."""
    return raw.astype(np.uint16)


def places(raw: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """The answer is a function of the place alone, without any symmetry."""
    rows, cols = np.mgrid[: raw.shape[2], : raw.shape[3]]
    return np.broadcast_to((rows * 97 + cols * 3).astype(np.uint16), raw.shape).copy()


def test_the_eight_views_are_the_symmetries_of_the_square():
    tile = np.arange(25).reshape(5, 5)
    turns = {np.rot90(t, k).tobytes() for t in (tile, tile.T) for k in range(4)}
    assert {v.of(tile).copy().tobytes() for v in VIEWS["d4"]} == turns
    mirrored = (tile, tile[::-1], tile[:, ::-1], tile[::-1, ::-1])
    assert [v.of(tile).tolist() for v in VIEWS["flips"]] == [mirrored[i].tolist() for i in (0, 2, 1, 3)]
    assert VIEWS["none"] == (View(),)


@given(st.sampled_from(VIEWS["d4"]), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_every_view_is_undone(view: View, shape: tuple[int, int]):
    array = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    np.testing.assert_array_equal(view.undo(view.of(array)), array)


@pytest.mark.parametrize("tta", list(VIEWS))
def test_answers_come_back_to_their_pixels(tta):
    raw = np.random.default_rng(0).integers(0, 65536, (2, 3, 8, 8)).astype(np.uint16)
    np.testing.assert_array_equal(AverageEngine([Answers(own_pixels)], tta=tta).probabilities(raw), raw)


@pytest.mark.parametrize("tta", list(VIEWS))
def test_the_mask_is_turned_with_the_pixels(tta):
    rng = np.random.default_rng(1)
    valid = rng.random((2, 8, 8)) < 0.6
    raw = np.where(valid[:, None], rng.integers(1, 60000, (2, 3, 8, 8)), 0).astype(np.uint16)

    def agrees(seen: np.ndarray, mask: np.ndarray) -> np.ndarray:
        np.testing.assert_array_equal((seen != 0).all(axis=1), mask)
        return seen

    labels, confidence = AverageEngine([Answers(agrees)], tta=tta).classify(raw, valid)
    np.testing.assert_array_equal(labels == 255, ~valid)
    np.testing.assert_array_equal(confidence == 255, ~valid)


@pytest.mark.parametrize("tta", ["flips", "d4"])
def test_a_turned_tile_gets_the_turned_answer(tta):
    """Whatever the engine does: an average over a group of views is equivariant under that group, bitwise."""
    raw = np.random.default_rng(2).integers(0, 60000, (1, 3, 8, 8)).astype(np.uint16)

    def uneven(seen: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        return (places(seen) + seen // 2 + np.roll(seen, 3, axis=3) // 3).astype(np.uint16)

    engine = AverageEngine([Answers(uneven), Answers(places)], tta=tta)
    whole = engine.probabilities(raw)
    for view in VIEWS[tta]:
        np.testing.assert_array_equal(engine.probabilities(view.of(raw)), view.of(whole))
    plain = AverageEngine([Answers(uneven)])
    assert not np.array_equal(plain.probabilities(raw[..., ::-1]), plain.probabilities(raw)[..., ::-1])


@given(st.lists(arrays(np.uint16, (1, 3, 2, 2)), min_size=1, max_size=5))
def test_the_mean_is_rounded_once_and_has_no_order(answers: list[np.ndarray]):
    raw = np.zeros((1, 3, 2, 2), np.uint8)
    engines = [Answers(lambda *_, a=a: a) for a in answers]
    found = AverageEngine(engines).probabilities(raw)
    exact = np.floor(np.mean([a.astype(object) for a in answers], axis=0) + 0.5).astype(np.int64)
    np.testing.assert_array_equal(found, exact)
    for order in itertools.islice(itertools.permutations(engines), 6):
        np.testing.assert_array_equal(AverageEngine(order).probabilities(raw), found)


def test_ties_go_to_the_legends_first_class_and_confidence_is_rounded():
    answer = np.array([[0, 32768, 327], [30000, 32767, 983], [30000, 0, 64225]], np.uint16).reshape(
        1, 3, 1, 3
    )
    labels, confidence = AverageEngine([Answers(lambda *_: answer)]).classify(np.zeros((1, 1, 1, 3)))
    assert labels.tolist() == [[[7, 3, 9]]]
    assert confidence.tolist() == [[[46, 50, 98]]]


def test_an_ensemble_of_a_bundle_with_itself_is_that_bundle(tmp_path):
    bundle = made.bundle(tmp_path, UNET)
    raw = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)
    alone = Ensemble(bundles=(bundle,)).open(EngineChoice(device="cpu", precision="fp32", threads=1))
    twice = Ensemble(bundles=(bundle,) * 3).open(EngineChoice(device="cpu", precision="fp32", threads=1))
    np.testing.assert_array_equal(twice.probabilities(raw), alone.probabilities(raw))
    labels, confidence = alone.classify(raw)
    again, confidence_again = twice.classify(raw)
    assert (labels == again).mean() > 0.999  # equal after quantisation, not before it
    assert np.abs(confidence.astype(int) - confidence_again).max() <= 1
    assert twice.identity["members"] == [alone.identity] * 3
    assert "members" not in alone.identity


def test_every_member_normalises_by_its_own_contract(tmp_path):
    raw = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    dark = made.bundle(tmp_path / "a", contract=made.contract(mean=(20.0,) * 3), name="dark")
    bright = made.bundle(tmp_path / "b", contract=made.contract(mean=(200.0,) * 3), name="bright")
    options = EngineChoice(device="cpu", precision="fp32", threads=1)
    parts = [Ensemble(bundles=(b,)).open(options).probabilities(raw).astype(int) for b in (dark, bright)]
    both = Ensemble(bundles=(dark, bright)).open(options).probabilities(raw)
    assert not np.array_equal(*parts)
    np.testing.assert_array_equal(both, (parts[0] + parts[1] + 1) // 2)


def test_margin_and_stride_fit_every_member(tmp_path):
    fine = made.bundle(tmp_path / "a", margin=40, size_multiple=8)
    coarse = made.bundle(tmp_path / "b", margin=24, size_multiple=12)
    both = Ensemble(bundles=(fine, coarse), tta="d4")
    assert (both.size_multiple, both.margin, both.forwards) == (24, 48, 16)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"contract": made.contract(2)},
            "one and other take different bands.*b2, b3; other: b1, b2",
        ),
        ({"contract": _SWAPPED}, "different bands.*one: b1, b2, b3; other: b2, b1, b3"),
        (
            {"contract": made.contract(dtype="float32")},
            "types of pixels.*one: whole numbers; other: floating-point numbers",
        ),
        (
            {"legend": Legend.of({3: "water", 7: "forest", 9: "grass"})},
            "different classes.*one: 9 pasture; other: 9 grass",
        ),
        (
            {"legend": Legend.of({3: "water", 7: "forest", 9: "pasture", 11: "town"})},
            "different classes.*one: no others; other: 11 town",
        ),
    ],
)
def test_bundles_that_cannot_be_averaged_are_named_with_the_difference(tmp_path, changes, says):
    one = made.bundle(tmp_path / "a", name="one")
    other = made.bundle(tmp_path / "b", name="other", **changes)
    with pytest.raises(UsageError, match=says):
        Ensemble(bundles=(one, other))


def test_colours_may_differ_and_are_the_firsts(tmp_path):
    one = made.bundle(tmp_path / "a")
    colours = dict.fromkeys(made.LEGEND.ids, "#123456")
    names = dict(zip(made.LEGEND.ids, made.LEGEND.names, strict=True))
    other = made.bundle(tmp_path / "b", legend=Legend.of(names, colours))
    assert Ensemble(bundles=(one, other)).legend == one.legend


def test_nothing_and_other_classes_are_refused():
    with pytest.raises(UsageError, match="at least one engine"):
        AverageEngine([])
    with pytest.raises(UsageError, match="different classes"):
        AverageEngine([FakeEngine(made.LEGEND, bands=1), FakeEngine(Legend.of({1: "a", 2: "b"}), bands=1)])
    with pytest.raises(UsageError, match="no model"):
        Ensemble(bundles=())
