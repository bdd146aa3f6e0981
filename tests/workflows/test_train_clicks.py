"""How workflows/train_clicks.py draws and scores: on a place whose objects are known."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy import ndimage

from tests.workflows.scripts import load_script


@pytest.fixture(scope="module")
def parts() -> dict[str, ModuleType]:
    load_script("train_clicks")
    return {
        n: sys.modules[f"click_network.{n}"] for n in ("clicks", "places", "scoring", "windows", "learning")
    }


@pytest.fixture
def place(parts: dict[str, ModuleType]) -> Any:
    """Two boxes and a ring of one code, on ground of another."""
    codes = np.full((200, 220), 7, np.int32)
    codes[20:60, 30:50], codes[90:110, 100:160], codes[130:170, 30:70] = 3, 3, 3
    codes[140:160, 40:60] = 0
    image = np.stack([codes * 20] * 3).astype(np.uint8)
    return parts["places"].place_of("drawn", image, parts["places"].areas_of(codes))


def test_areas_are_numbered_and_what_is_unknown_is_none(place: Any, parts: dict[str, ModuleType]) -> None:
    sizes = np.bincount(place.numbers[0].numpy().ravel())
    assert sorted(sizes.tolist()) == [400, 800, 1200, 1200, 200 * 220 - 3600]
    assert len(place.targets) == 4
    assert place.numbers[1].shape == (100, 110) and place.images[1].shape == (3, 100, 110)


def test_windows_show_the_object_at_its_scale(place: Any, parts: dict[str, ModuleType]) -> None:
    target = next(t for t in place.targets if t.box == (20, 30, 60, 50))
    for scale, turn in ((1.0, 0.0), (2.0, 0.5 * np.pi), (0.8, 0.3)):
        _, mask = parts["windows"].window_of(
            place, target, centre=(40, 40), scale=scale, side=128, turn=(turn, False)
        )
        assert int(mask.sum()) == pytest.approx(800 / scale**2, rel=0.05)
        assert mask[64, 64]


def test_what_answers_rightly_scores_one_and_clicks_go_where_it_is_wrong(
    place: Any, parts: dict[str, ModuleType]
) -> None:
    scoring, next_click = parts["scoring"], parts["clicks"].next_click
    objects = list(scoring.chosen([place], 1.0, 10))
    assert len(objects) == 3  # all but the ground

    def same(image: torch.Tensor, prompt: Any) -> np.ndarray:
        """The area of the grey under the first point, or in the middle of the box."""
        row, col = prompt.points[0] if len(prompt.points) else prompt.centre
        areas = ndimage.label((image[0] - image[0, row, col]).abs().numpy() < 1e-3)[0]
        return areas == areas[row, col]

    perfect = scoring.score(same, objects, 1.0)
    assert min(perfect[key] for key in ("1", "2", "3")) > 0.99
    assert scoring.score(scoring.by_regions(100), objects, 1.0)["box"] > 0.8  # it is filled
    assert scoring.score(scoring.by_disc(3), objects, 1.0)["1"] < 0.2
    mask, answer = np.zeros((2, 40, 40), np.bool_)
    mask[5:25, 5:25], answer[5:25, 5:35] = True, True
    assert next_click(mask, answer, None)[2] is False and next_click(mask, mask & False, None)[2] is True


def test_samples_hold_their_clicks(place: Any, parts: dict[str, ModuleType]) -> None:
    kinds = {kind: [place] for kind in parts["clicks"].SHARE}
    boxes = 0
    for seed in range(30):
        sample = parts["clicks"].draw(kinds, np.random.default_rng(seed), 64)
        assert sample.image.shape == (3, 64, 64) and sample.mask.sum() >= 16
        inside = [sample.mask[row, col] for row, col, positive in sample.points if positive]
        assert all(inside) and all(not sample.mask[r, c] for r, c, positive in sample.points if not positive)
        boxes += sample.box is not None
        assert sample.box is not None or inside
    assert 2 < boxes < 15


def test_the_loss_falls_with_the_right_answer(parts: dict[str, ModuleType]) -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    losses = [float(parts["learning"].loss_of(sign * (mask * 2 - 1) * 6, mask)) for sign in (1, 0.2, -1)]
    assert losses == sorted(losses) and losses[0] < 0.1


@pytest.mark.parametrize("name", ["train_buildings", "train_forest", "train_demo", "train_model"])
def test_commands_that_train_have_the_same_options(name: str) -> None:
    shown = CliRunner().invoke(load_script(name).main, ["--help"]).output
    assert all(
        option in shown
        for option in ("--out", "--steps", "--threads", "Train" if "demo" not in name else "Draw")
    )
    assert ("--work" in shown) == (name != "train_model")


def test_objects_in_other_light_keep_their_places_and_order(place: Any, parts: dict[str, ModuleType]) -> None:
    card, scoring = sys.modules["click_network.card"], parts["scoring"]
    for light in scoring.LIGHTS:
        lit = scoring.relit(place, light, card.CONTRACT)
        assert lit.targets == place.targets and lit.images[1].dtype == torch.uint8
        before, after = (p.images[0][0].int().numpy() for p in (place, lit))
        found = [np.unique(after[before == value]) for value in np.unique(before)]
        assert all(len(one) == 1 for one in found) and (np.diff(found, axis=0) >= 0).all()
    assert torch.equal(scoring.relit(place, scoring.Light(), card.CONTRACT).images[0], place.images[0])
    brighter = scoring.relit(place, scoring.Light(gain=1.4), card.CONTRACT).images[0]
    assert torch.equal(brighter, (place.images[0] * 1.4).round().to(torch.uint8))
