"""An encoder learns from scenes without labels, goes on where it was, and says when it collapses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from torch.nn.functional import grid_sample

import geoseg
from geoseg.errors import GeosegError, InputError, OutputConflictError
from geoseg.models.architectures import Architecture, build
from geoseg.models.encoder_weights import load_encoder
from geoseg.pretraining import consistency
from geoseg.pretraining.job import PretrainJob
from geoseg.pretraining.pairs import Pairs
from geoseg.pretraining.prepare import prepare
from tests.training.makers import write

ENCODER = "mobilenetv3_small_050"
SMALL: dict[str, Any] = {"encoder": ENCODER, "crop": 32, "batch": 3, "steps": 4, "validate_every": 2}
STILL = {"flips": True, "scale": 0.5, "gain": 0, "offset": 0}


def texture(seed: int, bands: int = 5, side: int = 64) -> NDArray[np.uint16]:
    """Ground of several scales, another in each band."""
    rng = np.random.default_rng(seed)
    layers = [
        sum(s * gaussian_filter(rng.standard_normal((side, side)), s) for s in (1, 3, 8))
        for _ in range(bands)
    ]
    return np.clip(2000 + 600 * np.stack(layers), 1, 9999).astype(np.uint16)


@pytest.fixture(autouse=True)
def no_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes longer than the steps here."""
    monkeypatch.setattr("geoseg.training.log.learning_curve", lambda *_: b"")


@pytest.fixture
def scenes(tmp_path: Path) -> list[str]:
    return [str(write(tmp_path / f"{seed}.tif", texture(seed))) for seed in range(2)]


def pretrain(scenes: list[str], out: Path, **fields: Any) -> Any:
    return geoseg.pretrain(scenes, out=out, threads=1, device="cpu", **{**SMALL, **fields})


def test_points_are_the_same_place_in_both_crops(tmp_path: Path) -> None:
    """Bands that hold row and column say where a point is, whatever was turned and scaled."""
    rows, cols = np.mgrid[:90, :120].astype(np.float32)
    scene = write(tmp_path / "scene.tif", np.stack([rows, cols, rows + cols, rows - cols, cols / 2]))
    job = PretrainJob.parse(
        {**SMALL, "scenes": [str(scene)], "out": tmp_path / "e.safetensors", "augment": STILL}
    )
    preparation = prepare(job)
    x, points = Pairs(preparation).at(3)
    found = grid_sample(x, points[:, None], align_corners=False, padding_mode="border")[:, :2, 0]
    one, other = (found * torch.tensor(preparation.contract.std)[:2, None]).chunk(2)
    inside = (points.abs() < 0.9).all(dim=2)
    inside = (inside[:3] & inside[3:])[:, None].expand_as(one)
    assert (one - other)[inside].abs().max() < 0.3  # of a pixel; antialiasing bends a ramp at the crop's rim
    assert (points[:3] - points[3:]).abs().mean() > 0.2
    assert torch.equal(x, Pairs(preparation).at(3)[0]) and not torch.equal(x, Pairs(preparation).at(4)[0])


def test_steps_lower_the_loss_and_find_places_again(scenes: list[str], tmp_path: Path) -> None:
    job = PretrainJob.parse({**SMALL, "scenes": scenes, "out": tmp_path / "e.safetensors"})
    pairs = Pairs(prepare(job))
    x, points = pairs.at(0)
    torch.manual_seed(0)
    network = consistency.Described(ENCODER, 5).train()
    task = consistency.Consistency((x, points), torch.device("cpu"), autocast=False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    before, losses = task.figures(network), []
    for _ in range(8):
        optimiser.zero_grad()
        loss = task.loss(network, x, points)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    after = task.figures(network)
    assert losses[-1] < losses[0] - 0.3, losses
    assert after["matched"] > 1.5 * before["matched"] and after["spread"] > 0.3, (before, after)


def test_it_goes_on_where_it_was(scenes: list[str], tmp_path: Path) -> None:
    whole = pretrain(scenes, tmp_path / "whole.safetensors")
    assert whole.history[-1]["figures"]["spread"] > 0.3

    class Stopped(Exception):
        pass

    def stop(row: Any) -> None:
        if row["step"] == 2:
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(scenes, tmp_path / "again.safetensors", progress=stop)
    rows: list[Any] = []
    resumed = pretrain(scenes, tmp_path / "again.safetensors", progress=rows.append)
    assert [row["step"] for row in rows] == [4]
    assert resumed.path.read_bytes() == whole.path.read_bytes()

    card = json.loads((tmp_path / "again.json").read_text())
    assert card["sha256"] == resumed.card["sha256"] and card["encoder"] == ENCODER
    assert len(card["input"]["bands"]) == 5 and card["scenes"] == [s.rsplit("/", 1)[1] for s in scenes]
    assert not pretrain(scenes, resumed.path).fresh
    with pytest.raises(OutputConflictError, match="not of this job"):
        pretrain(scenes, resumed.path, seed=1)

    network = build(
        Architecture(name="unet", encoder=ENCODER, arguments={"decoder_channels": [16, 8, 8, 8, 8]}),
        bands=5,
        classes=2,
    )
    before = network.encoder.model.conv_stem.weight.detach().clone()
    taken = load_encoder(network, resumed.path)
    assert taken.adapted is None and not taken.left_out
    assert torch.equal(
        network.encoder.model.conv_stem.weight, load_file(resumed.path)["model.conv_stem.weight"]
    )
    assert not torch.allclose(before, network.encoder.model.conv_stem.weight, atol=1e-3)


class Blind(torch.nn.Module):
    """An encoder to which every place looks the same, but for the last bits."""

    out_channels = (5, 8, 8)

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(8))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        wide = self.one[None, :, None, None] + 1e-4 * x.mean(dim=1, keepdim=True)
        return [x, wide[..., ::2, ::2], wide[..., ::4, ::4]]


def test_a_collapse_is_said(scenes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "new_encoder", Blind)
    with pytest.raises(InputError, match=r"collapsed.*0\.0% of its features differ"):
        pretrain(scenes, tmp_path / "e.safetensors", steps=1)
    assert not (tmp_path / "e.safetensors").exists() and not (tmp_path / "e.json").exists()


def test_what_cannot_teach_is_refused_before_any_work(scenes: list[str], tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.tif", np.zeros((5, 64, 64), np.uint16), nodata=0)
    fewer = write(tmp_path / "fewer.tif", texture(3, bands=3))
    narrow = write(tmp_path / "narrow.tif", texture(3)[:, :40])
    for others, fields, says in (
        ([empty], {}, "has no data to learn from"),
        ([fewer], {}, "do not go together"),
        ([narrow], {"crop": 64}, r"smaller than a crop of 64 px.*40 x 64.*crop=32"),
        ([], {"encoder": "mobilenet_v22"}, "cannot be built.*near are mobilenet"),
        ([], {"encoder_weights": "nowhere.safetensors"}, "cannot be read"),
        ([], {"out": tmp_path / "e.pth"}, "ends in .safetensors"),
        ([], {"augment": {"paste": 0.5}}, "labelled scenes"),
    ):
        given = {"out": tmp_path / "e.safetensors", **fields}
        with pytest.raises(GeosegError, match=says):
            pretrain([*scenes, *map(str, others)], **given)
    assert not list(tmp_path.glob("e.*"))
