"""The engine of prompts: equal answers whatever else is asked, and windows without data stay empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.engines.opening import open_engine, open_prompt_engine
from geoseg.errors import GeosegError, UsageError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle
from geoseg.models.clicks import guides_of
from geoseg.models.prompt import Prompt
from tests.models.bundles import bundle

SIDE = 64
ANY = Legend.of({1: "object"})


@pytest.fixture(scope="module")
def clicking(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Click network with seeded weights, whose masks are neither empty nor full."""
    torch.manual_seed(1)
    architecture = Architecture(
        name="clicks",
        encoder="mobilenetv3_small_050",
        arguments={"side": SIDE, "decoder_channels": [16, 16, 16, 8]},
    )
    network = build(architecture, bands=3, classes=1)
    return bundle(
        tmp_path_factory.mktemp("made"), architecture, network=network, legend=ANY, tasks=("promptable",)
    )


def clicked(*points: tuple[int, int], box: Any = None) -> Prompt:
    return Prompt(
        points=np.array(points, np.int64).reshape(-1, 2), inside=np.ones(len(points), np.bool_), box=box
    )


def windows(count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(2)
    return rng.integers(0, 255, (count, 3, SIDE, SIDE), np.uint8), np.ones((count, SIDE, SIDE), np.bool_)


def test_an_answer_does_not_depend_on_what_is_asked_with_it(clicking: Bundle) -> None:
    engine = open_prompt_engine(clicking)
    raw, valid = windows(4)
    prompts = [
        [clicked((32, 32))],
        [clicked((10, 50), (12, 50))],
        [clicked(box=(5, 5, 40, 60))],
        [clicked((1, 1))],
    ]
    together = engine.answer(raw, valid, prompts)
    for i in range(4):
        ((alone,),) = engine.answer(raw[i : i + 1], valid[i : i + 1], prompts[i : i + 1])
        assert np.array_equal(alone.mask, together[i][0].mask)
        assert alone.score == together[i][0].score
        assert 50 <= alone.score <= 100 or not alone.mask.any()


def test_nothing_is_found_where_there_is_no_data(clicking: Bundle) -> None:
    engine = open_prompt_engine(clicking)
    raw, valid = windows(1)
    valid[:, :, :20] = False
    ((found,),) = engine.answer(raw, valid, [[clicked((32, 32))]])
    assert not found.mask[:, :20].any()


def test_guides_are_discs_and_boxes() -> None:
    prompt = Prompt(points=np.array([[10, 12], [40, 3]]), inside=np.array([True, False]), box=(-3, 5, 20, 30))
    planes = guides_of(prompt, SIDE).numpy()
    assert planes[0].sum() == 81  # pixels within five of a pixel
    assert planes[0, 10, 12] == planes[0, 10, 17] == 1
    assert planes[0, 10, 18] == 0
    assert planes[1, 40, 0] == 1
    assert planes[2].sum() == 20 * 25


def test_the_mask_before_matters_and_every_weight_learns(clicking: Bundle) -> None:
    network = build(clicking.architecture, bands=3, classes=1).train()
    x, guides = torch.randn(2, 3, SIDE, SIDE), torch.rand(2, 3, SIDE, SIDE)
    logits = network(x, guides)
    assert logits.shape == (2, 1, SIDE, SIDE)
    logits.square().mean().backward()
    assert [key for key, value in network.named_parameters() if value.grad is None] == []


def test_a_model_is_opened_for_its_own_task(clicking: Bundle, tmp_path: Path) -> None:
    with pytest.raises(GeosegError, match="promptable"):
        open_engine(clicking)
    with pytest.raises(UsageError, match="answers no prompts"):
        open_prompt_engine(bundle(tmp_path))
    with pytest.raises(UsageError, match="one mask, found 3 classes"):
        build(Architecture(name="clicks", encoder="resnet18"), bands=3, classes=3)
