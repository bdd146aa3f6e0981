"""What was seen is near, what was not is far, and the words say in which way."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis

from geoseg.errors import InputError
from geoseg.models.contract import Band, InputContract
from geoseg.models.experience import Experience, doubt_of, look, sureness_of

CONTRACT = InputContract(
    bands=(Band(name="red"), Band(name="green")),
    dtype="uint8",
    value_range=(0, 255),
    mean=(60.0, 80.0),
    std=(20.0, 10.0),
    pixel_size=(5, 20),
)


def window(light: float, contrast: float, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    level = np.array([60, 80])[:, None, None] * light
    noise = rng.normal(0, 1, (2, 64, 64)) * np.array([20, 10])[:, None, None] * contrast
    return np.clip((level + noise).round(), 0, 255).astype(np.uint8)


def looks(lights: NDArray[np.float64], contrasts: NDArray[np.float64]) -> NDArray[np.float64]:
    valid = np.ones((64, 64), np.bool_)
    pairs = zip(lights, contrasts, strict=True)
    return np.stack([look(window(a, c, i), valid, CONTRACT) for i, (a, c) in enumerate(pairs)])


@pytest.fixture(scope="module")
def seen() -> Experience:
    rng = np.random.default_rng(0)
    return Experience.of(looks(rng.uniform(0.8, 1.2, 200), rng.uniform(0.7, 1.3, 200)), 64)


@given(shift=st.floats(-50, 50), factor=st.floats(0.1, 10))
def test_a_look_does_not_depend_on_the_units_of_the_file(shift: float, factor: float) -> None:
    pixels, valid = window(1.0, 1.0, 1).astype(np.float64), np.ones((64, 64), np.bool_)
    valid[:20] = False
    other = InputContract(
        bands=CONTRACT.bands,
        dtype="float64",
        value_range=(-1e6, 1e6),
        scale=1 / factor,
        offset=-shift / factor,
        mean=CONTRACT.mean,
        std=CONTRACT.std,
        pixel_size=(5, 20),
    )
    assert look(pixels * factor + shift, valid, other) == pytest.approx(
        look(pixels, valid, CONTRACT), abs=1e-6
    )


def test_a_look_is_of_valid_pixels_only() -> None:
    pixels, valid = window(1.0, 1.0, 1), np.zeros((64, 64), np.bool_)
    assert np.isnan(look(pixels, valid, CONTRACT)).all()
    valid[:32] = True
    spoilt = pixels.copy()
    spoilt[:, 32:] = 255
    assert np.array_equal(look(spoilt, valid, CONTRACT), look(pixels[:, :32], valid[:32], CONTRACT))


def test_distances_are_those_of_scipy(seen: Experience) -> None:
    others = looks(np.array([1.0, 0.5]), np.array([1.0, 2.0]))
    inverse = np.linalg.inv(seen.spread)
    expected = [mahalanobis(one, seen.center, inverse) for one in others]
    assert seen.distance(others) == pytest.approx(expected)


def test_novelty_is_spread_evenly_over_what_was_seen_and_full_beyond(seen: Experience) -> None:
    rng = np.random.default_rng(1)
    fresh = seen.novelty(looks(rng.uniform(0.8, 1.2, 200), rng.uniform(0.7, 1.3, 200)))
    assert 0.35 < np.median(fresh) < 0.65
    far = seen.novelty(looks(np.array([0.3, 1.0, 2.0]), np.array([0.3, 4.0, 1.0])))
    assert (far == 1).all()


@pytest.mark.parametrize(
    ("light", "contrast", "words"),
    [
        (1.0, 1.0, ["looks like what the model has seen"]),
        (0.6, 1.0, ["unlike most", "darker than all"]),
        (1.6, 1.0, ["unlike most", "brighter than all"]),
        (1.0, 0.2, ["unlike most", "of less contrast than all"]),
        (1.0, 2.5, ["unlike most", "of more contrast than all"]),
    ],
)
def test_the_remark_says_in_which_way(
    seen: Experience, light: float, contrast: float, words: list[str]
) -> None:
    said = seen.remark(looks(np.full(9, light), np.full(9, contrast)))
    assert said is not None and all(word in said for word in words)
    assert (contrast != 1) == ("contrast" in said) and "\n" not in said


def test_no_valid_window_no_remark(seen: Experience) -> None:
    assert seen.remark(np.full((3, 4), np.nan)) is None


@given(st.lists(st.floats(0.2, 1), min_size=10, max_size=60), st.floats(0, 1))
def test_doubt_is_about_the_share_of_windows_that_were_surer(known: list[float], here: float) -> None:
    """Quantiles are interpolated between windows: a window's neighbours in rank may be taken for it."""
    values = np.array(known)
    sureness = sureness_of(values)
    assert sureness is not None
    found = doubt_of(np.array([here, np.nan]), sureness)
    slack = 2 / len(values) + 1 / 40
    assert (values > here).mean() - slack <= found[0] <= (values >= here).mean() + slack
    assert np.isnan(found[1])
    assert (doubt_of(np.array([0.0, 1.0]), sureness) == [1, 0]).all()


def test_of_a_handful_of_windows_there_is_no_doubt(seen: Experience) -> None:
    assert sureness_of(np.full(9, 0.5)) is None
    assert (doubt_of(np.array([0.1, 0.9]), None) == 0).all()
    assert seen.misgiving(np.array([0.1])) is None


def test_a_misgiving_is_said_where_the_model_is_seldom_so_unsure(seen: Experience) -> None:
    knowing = replace(seen, sureness=sureness_of(np.linspace(0.8, 1, 101)))
    assert knowing.misgiving(np.array([0.85, 0.9, 0.2])) is None, "half of the squares are as usual"
    assert knowing.misgiving(np.array([np.nan])) is None
    said = knowing.misgiving(np.array([0.6, 0.7, np.nan, 0.95]))
    assert said is not None and "less sure than on all" in said and "75% in the mean, there 90%" in said
    again = Experience.from_json(json.loads(json.dumps(knowing.to_json())))
    assert again.misgiving(np.array([0.6])) == knowing.misgiving(np.array([0.6]))


def test_json_and_back(seen: Experience) -> None:
    again = Experience.from_json(json.loads(json.dumps(seen.to_json())))
    others = looks(np.array([1.0, 0.5]), np.array([1.0, 2.0]))
    assert again.distance(others) == pytest.approx(seen.distance(others), rel=1e-3)
    assert again.to_json() == seen.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"side": 0},
        {"center": [0.0]},
        {"distances": [float("nan")] * 41},
        {"sureness": [0.5]},
        {"sureness": [1.0, *[0.5] * 40]},
    ],
)
def test_nonsense_is_refused(seen: Experience, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"seen|sure"):
        Experience.from_json({**seen.to_json(), **change})
