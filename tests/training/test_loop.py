"""What the loop does with a network: its second head, and what it starts from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from geoseg.errors import GeosegError, ResourceError
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import load_bundle
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


PRETRAINED = {
    "model": "unet",
    "encoder": "mobilenetv3_small_050",
    "arguments": {"decoder_channels": [16, 8, 8, 8, 8]},
    "steps": 1,
    "batch": 2,
    "validation_windows": 1,
    "learning_rate": 1e-12,
    "weight_decay": 0,
}


def weights_file(path: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    weights = timm.create_model("mobilenetv3_small_050", pretrained=False).state_dict()
    save_file(weights, path)
    return weights


def test_training_starts_from_pretrained_weights_in_a_file(tmp_path: Path) -> None:
    """With next to no learning rate the encoder stays what the file says, but for the spread first layer."""
    weights = weights_file(tmp_path / "w.safetensors")
    fields = job(tmp_path, **PRETRAINED, encoder_weights=str(tmp_path / "w.safetensors"))
    bundle = run_train(TrainJob.parse(fields), device="cpu", threads=1).bundle
    found = load_network(bundle).state_dict()
    first = weights["conv_stem.weight"]
    expected = torch.cat((first[:, :1], first[:, 1:2]), dim=1) * (3 / 2)
    assert torch.allclose(found["encoder.model.conv_stem.weight"], expected, atol=1e-3)
    deep = weights["blocks.3.0.conv_pw.weight"]
    assert torch.allclose(found["encoder.model.blocks.3.0.conv_pw.weight"], deep, atol=1e-3)
    assert "encoder from" in (tmp_path / "model" / "README.md").read_text()

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "w.safetensors").rename(tmp_path / "elsewhere" / "v.safetensors")
    moved = {**fields, "encoder_weights": str(tmp_path / "elsewhere" / "v.safetensors")}
    assert not run_train(TrainJob.parse(moved), device="cpu").fresh  # the same weights, the same training


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050"])
def test_weights_that_cannot_be_downloaded_stop_the_training(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    fields = TrainJob.parse(job(tmp_path, **{**PRETRAINED, "encoder": encoder}, encoder_weights="hub"))
    with pytest.raises(ResourceError, match=f"pretrained weights of encoder '{encoder}' cannot be had"):
        run_train(fields, device="cpu", threads=1)
    assert not fields.out.exists() and not list(fields.work.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoder_weights": "nowhere.pth"}, "encoder weights cannot be read"),
        (
            {"encoder_weights": "hub", "start": "x", "model": None, "encoder": None, "arguments": None},
            "leave out",
        ),
        ({"augment": {"dates": 3}}, "2 bands are not those of 3 dates"),
    ],
)
def test_what_cannot_be_started_from_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(GeosegError, match=says):
        run_train(TrainJob.parse(job(tmp_path, **{**PRETRAINED, **change})), device="cpu", threads=1)


def together(folder: Path, fields: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Weights after the job in two processes."""
    path = folder / "job.yaml"
    path.write_text(TrainJob.parse(fields).dump())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "geoseg", "train", str(path), "--threads", "1", "--device", "cpu"]
    run = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return load_network(load_bundle(fields["out"])).state_dict()


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one_without_batch_norms(tmp_path: Path) -> None:
    """Layer norms (ConvNeXt) and group norms (FPN) see no batch: only sums are rounded otherwise."""
    fields = job(
        tmp_path,
        model="fpn",
        encoder="convnext_atto",
        arguments={"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32, "decoder_dropout": 0},
        steps=4,
        batch=4,
        crop=64,
        validate_every=4,
        validation_windows=1,
        loss={"cross_entropy": 1},
        sampling="natural",
        learning_rate=1e-3,
        precision="fp32",
    )
    one = load_network(
        run_train(TrainJob.parse({**fields, "out": tmp_path / "one"}), device="cpu", threads=1).bundle
    ).state_dict()
    two = together(tmp_path, fields)
    differences = torch.cat([(value - two[key]).abs().flatten() for key, value in one.items()])
    # AdamW moves every weight by about the rate, however small its gradient: a few have lost their sign
    assert differences.mean() < 0.02 * 4 * 1e-3, differences.mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [{k: OCR[k] for k in ("model", "encoder", "arguments")}, {"model": "pspnet", "encoder": "convnext_atto"}],
    ids=lambda value: value["model"],
)
def test_two_processes_train_networks_with_a_second_head_or_unused_parts(
    network: dict[str, Any], tmp_path: Path
) -> None:
    sizes = {"batch": 4, "crop": 64, "steps": 3, "validate_every": 3, "validation_windows": 1}
    weights = together(tmp_path, job(tmp_path, **network, **sizes))
    assert all(value.isfinite().all() for value in weights.values() if value.is_floating_point())


def test_synchronised_batch_norms_are_the_same_parameters_and_buffers() -> None:
    """The optimiser and the running average hold on to them from before."""
    network = build(Architecture(name="unet", encoder="resnet18"), bands=2, classes=2)
    before = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    after = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert after is network and any(isinstance(m, torch.nn.SyncBatchNorm) for m in network.modules())
    now = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    assert now.keys() == before.keys() and all(now[k] is before[k] for k in now)
