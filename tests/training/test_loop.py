"""What the loop does with a network: its second head, and what it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from geoseg.models.hrnet import HRNetV2OCR
from geoseg.models.network import load_network
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train
from tests.training.makers import job

RATE = 0.01
OCR = {
    "model": "hrnetv2_ocr",
    "encoder": "hrnet_w18_small",
    "arguments": {"mid_channels": 16, "key_channels": 8},
    "batch": 2,
    "crop": 64,
    "validation_windows": 2,
    "validate_every": 1,
    "sampling": "natural",
    "augment": {"flips": False, "scale": 0, "gain": 0, "offset": 0},
    "learning_rate": RATE,
    "weight_decay": 0,
    "schedule": "constant",
    "warmup": 0,
    "average": 0,
    "precision": "fp32",
}


def first_step(folder: Path) -> tuple[float, torch.Tensor, dict[str, torch.Tensor]]:
    """Loss of one step on seeded crops, how far the region logits' bias moved, and the weights after it."""
    start: list[torch.Tensor] = []
    made = HRNetV2OCR.__init__

    def remember(self: HRNetV2OCR, **arguments: Any) -> None:
        made(self, **arguments)
        start.append(self.regions[1].bias.detach().clone())

    rows: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HRNetV2OCR, "__init__", remember)
        fields = TrainJob.parse(job(folder, **OCR, steps=1))
        bundle = run_train(fields, device="cpu", threads=1, progress=rows.append).bundle
    weights = load_network(bundle).state_dict()
    return rows[0]["loss"], (weights["regions.1.bias"] - start[0]).abs(), weights


def test_the_second_head_has_a_loss_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bias of the region logits cancels in their softmax: only a loss of their own can move it."""
    for name in ("both", "one"):
        (tmp_path / name).mkdir()
    loss, moved, weights = first_step(tmp_path / "both")
    # AdamW's first step is the learning rate for any gradient but a tiny one; weights are kept as float16
    assert moved.min() > 0.5 * RATE and moved.max() < 1.1 * RATE, moved

    monkeypatch.setattr(HRNetV2OCR, "auxiliary_weight", 0.0)
    alone, unmoved, others = first_step(tmp_path / "one")
    assert unmoved.max() < 0.1 * RATE, unmoved
    assert 1.2 < loss / alone < 1.6  # 0.4 times a loss like the first's
    assert any(not torch.equal(v, others[k]) for k, v in weights.items() if k.startswith("encoder."))
