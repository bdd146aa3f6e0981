"""Losses against independent implementations and their definitions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss, JaccardLoss
from torch.nn.functional import cross_entropy

from geoseg.training.job import LabelledScene, TrainJob
from geoseg.training.losses import build_loss
from tests.training.makers import CLASSES

NAMES = ("cross_entropy", "dice", "jaccard", "focal", "tversky", "lovasz")


def make(weights: torch.Tensor | None = None, **fields: object) -> object:
    scene = LabelledScene(image="a.tif", labels=Path("b.tif"))
    return build_loss(TrainJob(scenes=[scene], out=Path("o"), classes=CLASSES, **fields), weights)


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 12, 12, generator=g, requires_grad=True)
    return logits, torch.randint(0, 3, (2, 12, 12), generator=g)


@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_do_not_count(name: str) -> None:
    """Logits under label 255 change neither the loss nor get a gradient."""
    logits, labels = case()
    labels[:, :5] = 255
    loss = make(loss={name: 1})
    value = loss(logits, labels)
    value.backward()
    assert value > 0
    assert torch.all(logits.grad[:, :, :5] == 0) and torch.any(logits.grad[:, :, 5:] != 0)
    other = logits.detach().clone()
    other[:, :, :5] = 50 * torch.randn_like(other[:, :, :5])
    assert loss(other, labels).item() == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_right_is_near_zero_and_wrong_is_not(name: str) -> None:
    _, labels = case()
    right = 40 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    loss = make(loss={name: 1})
    assert loss(right, labels).item() < 1e-4
    assert loss(-right, labels).item() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_teaches_nothing(name: str) -> None:
    logits, labels = case()
    value = make(loss={name: 1})(logits, torch.full_like(labels, 255))
    value.backward()
    assert value.item() == 0 and torch.all(logits.grad == 0)


def test_against_other_implementations() -> None:
    logits, labels = case()
    assert make(loss={"dice": 1})(logits, labels).item() == pytest.approx(
        DiceLoss("multiclass")(logits, labels).item(), rel=1e-4
    )
    assert make(loss={"jaccard": 1})(logits, labels).item() == pytest.approx(
        JaccardLoss("multiclass")(logits, labels).item(), rel=1e-4
    )
    plain = cross_entropy(logits, labels).item()
    assert make(loss={"cross_entropy": 1})(logits, labels).item() == pytest.approx(plain)
    assert make(loss={"focal": 1}, focal_gamma=0)(logits, labels).item() == pytest.approx(plain, rel=1e-5)
    weights = torch.tensor([0.2, 1.0, 3.0])
    weighted = cross_entropy(logits, labels, weights).item()
    assert make(weights, loss={"cross_entropy": 1})(logits, labels).item() == pytest.approx(weighted)
    assert make(weights, loss={"focal": 1}, focal_gamma=0)(logits, labels).item() == pytest.approx(
        weighted, rel=1e-5
    )


def test_sums_are_weighted() -> None:
    logits, labels = case()
    one, other = (make(loss={n: 1})(logits, labels).item() for n in ("lovasz", "tversky"))
    both = make(loss={"lovasz": 0.5, "tversky": 2})(logits, labels).item()
    assert both == pytest.approx(0.5 * one + 2 * other, rel=1e-6)
