"""Train the shipped model `forest-s2-rgb`: forest and non-forest in Sentinel-2 true colour.

    GEOSEG_DATA=/path/to/data python workflows/train_forest.py configs/train_forest.yaml

The data are the 30 labelled images of Zenodo record 3233081 (Bragagnolo, da Silva & Grzybowski 2019), in the
folder ``amazon_s2_forest/training`` of GEOSEG_DATA. Six of them are held out before anything else is done and
are seen only by the final scoring. The same configuration gives the same split and much the same scores; a
run that was stopped continues from its last checkpoint.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import rasterio
import torch
from forest_card import LICENCE, NAME, Sample, describe, score  # beside this file
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, one_hot

from geoseg.job import Job
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle, save_bundle
from geoseg.models.contract import Band, InputContract

LEGEND = Legend.of({1: "forest", 2: "non-forest"}, {1: "#1b7837", 2: "#d9c27e"})
BANDS = (
    Band(name="red", wavelength_nm=665, description="Sentinel-2 B04, stretched to 8 bits"),
    Band(name="green", wavelength_nm=560, description="Sentinel-2 B03, stretched to 8 bits"),
    Band(name="blue", wavelength_nm=490, description="Sentinel-2 B02, stretched to 8 bits"),
)


class TrainForest(Job):
    """One training run."""

    data: Path = Path("amazon_s2_forest/training")
    out: Path = Path("geoseg/models/pretrained/forest-s2-rgb")
    checkpoints: Path = Path("runs/forest-s2-rgb")
    version: str = "1.0"
    encoder: str = "mobilenet_v2"
    decoder_channels: tuple[int, ...] = (128, 64, 48, 32, 16)
    steps: int = 500
    batch: int = 8
    crop: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.995
    precision: Literal["fp32", "bf16"] = "bf16"
    threads: int = 1
    seed: int = 20190607


@click.command()
@click.argument("config", type=click.Path(exists=True), required=False)
@click.option("--steps", type=int, help="Optimiser steps, instead of the configuration's.")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle directory to write.")
@click.option("--checkpoints", type=click.Path(path_type=Path), help="Folder of the checkpoints.")
def main(config: str | None, **options: Any) -> None:
    """Train, score on the held-out images, and write the bundle with its card."""
    job = TrainForest.load(config) if config else TrainForest()
    job = job.model_copy(update={key: value for key, value in options.items() if value is not None})
    train(job)


def train(job: TrainForest) -> Bundle:
    """Bundle of a finished training."""
    torch.set_num_threads(job.threads)
    samples = read_samples(Path(os.environ.get("GEOSEG_DATA", "../shared/data")) / job.data)
    training, held_out = split(samples, job.seed)
    click.echo(f"{len(training)} images to train on; held out: {', '.join(s.name for s in held_out)}")
    mean, std = band_statistics(training)
    network, minutes = fit(job, training, mean, std)
    contract = InputContract(
        bands=BANDS,
        dtype="uint8",
        value_range=(0, 255),
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        pixel_size=(5, 20),
    )
    parts = {"architecture": architecture(job), "contract": contract, "legend": LEGEND, "half": True}
    identity: dict[str, Any] = {"name": NAME, "version": job.version, "licence": LICENCE, **parts}
    with tempfile.TemporaryDirectory() as folder:  # scored are the weights as they are stored, in float16
        draft = save_bundle(Path(folder) / NAME, network, **identity)
        scored = score(draft, held_out)
    card = describe(scored, job=job, training=[s.name for s in training], minutes=minutes)
    return save_bundle(job.out, network, overwrite=True, **identity, **card)


def architecture(job: TrainForest) -> Architecture:
    """U-Net of the configured size."""
    return Architecture(
        name="unet", encoder=job.encoder, arguments={"decoder_channels": list(job.decoder_channels)}
    )


def read_samples(folder: Path) -> list[Sample]:
    """Every image of the folder with its mask, in the order of names."""
    files = sorted((folder / "images").glob("*.tiff"))
    if not files:
        raise click.ClickException(f"no images in {folder / 'images'} (set GEOSEG_DATA)")
    return [read_sample(file, folder / "masks" / f"{file.stem}.png") for file in files]


def read_sample(image: Path, mask: Path) -> Sample:
    """Image and mask; palette index 1 is forest and 2 is not.

    One mask (Amazon_181.tiff_34) is 515 columns wide; its columns 2 to 513 lie on the image.
    """
    with rasterio.open(image) as file:
        pixels = file.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # the image has the place
        with rasterio.open(mask) as file:
            labels = file.read(1)
    if labels.shape == (512, 515):
        labels = labels[:, 2:514]
    if labels.shape != pixels.shape[1:] or not np.isin(labels, LEGEND.ids).all():
        raise click.ClickException(f"{mask}: shape {labels.shape} or values {np.unique(labels)} unexpected")
    return Sample(name=image.stem, pixels=pixels, labels=labels)


def split(samples: list[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Images to train on and held-out images: one at random of each five with a similar share of forest."""
    rng = np.random.default_rng(seed)
    ordered = sorted(samples, key=lambda s: float((s.labels == 1).mean()))
    chosen = {start + int(rng.integers(5)) for start in range(0, len(ordered), 5)}
    training = [s for i, s in enumerate(ordered) if i not in chosen]
    return training, [s for i, s in enumerate(ordered) if i in chosen]


def band_statistics(samples: list[Sample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per band over all training pixels, rounded to what matters."""
    pixels = np.stack([s.pixels for s in samples]).astype(np.float64)
    return pixels.mean(axis=(0, 2, 3)).round(3), pixels.std(axis=(0, 2, 3)).round(3)


def fit(
    job: TrainForest, samples: list[Sample], mean: NDArray[Any], std: NDArray[Any]
) -> tuple[nn.Module, float]:
    """Network after all steps (the running average of its weights) and minutes that it took."""
    torch.manual_seed(job.seed)
    network = build(architecture(job), bands=3, classes=len(LEGEND)).to(memory_format=torch.channels_last)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=running_average(job.average), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=job.learning_rate, weight_decay=job.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=job.learning_rate, total_steps=job.steps, pct_start=0.15
    )
    checkpoint = job.checkpoints / "last.safetensors"
    done, before = restore(checkpoint, network, averaged, total=job.steps)
    minutes = before
    gain = torch.as_tensor(std).float().view(1, -1, 1, 1)
    shift = torch.as_tensor(mean).float().view(1, -1, 1, 1)
    network.train()
    started = time.monotonic()
    for step, (pixels, labels) in enumerate(batches(job, samples), start=1):
        if step <= done:  # replays draws and schedule, so that the rest is what it would have been
            optimizer.step()
            schedule.step()
            continue
        x = ((pixels - shift) / gain).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bf16"):
            logits = network(x)
        value = loss(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        if step % 50 == 0 or step == job.steps:
            pace = (time.monotonic() - started) / (step - done)
            click.echo(f"step {step}/{job.steps}  loss {value.item():.4f}  {pace:.2f} s/step")
        if step % 200 == 0 or step == job.steps:
            minutes = before + (time.monotonic() - started) / 60
            store(checkpoint, network, averaged, {"step": step, "steps": job.steps, "minutes": minutes})
    return averaged.module.eval(), minutes


def running_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """Update of an exponential running average that forgets faster in its first steps.

    Without that, the weights of the first step would still weigh half after 140 steps of decay 0.995.
    """

    def update(averages: list[Tensor], values: list[Tensor], number: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + float(number)) / (10 + float(number)))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)

    return update


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice (Milletari et al. 2016) of logits (N, K, H, W) and positions (N, H, W)."""
    truth = one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
    guess = logits.softmax(dim=1)
    overlap = (truth * guess).sum(dim=(0, 2, 3))
    dice = (2 * overlap + 1) / (truth.sum(dim=(0, 2, 3)) + guess.sum(dim=(0, 2, 3)) + 1)
    return cross_entropy(logits, labels) + 1 - dice.mean()


def batches(job: TrainForest, samples: list[Sample]) -> Iterator[tuple[Tensor, Tensor]]:
    """Every step's pixels (N, 3, crop, crop) float and class positions (N, crop, crop) int64."""
    rng = np.random.default_rng([job.seed, 1])
    for _ in range(job.steps):
        drawn = [draw(samples[rng.integers(len(samples))], job.crop, rng) for _ in range(job.batch)]
        pixels, labels = (torch.stack(part) for part in zip(*drawn, strict=True))
        yield pixels, labels.long() - 1


def draw(sample: Sample, crop: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """One random crop: position, resolution (one in four), the eight flips, light."""
    side = crop if rng.random() < 0.75 else int(crop * rng.uniform(0.6, 1.7))
    row, col = (int(rng.integers(512 - side + 1)) for _ in range(2))
    pixels = torch.from_numpy(sample.pixels[:, row : row + side, col : col + side]).float()
    labels = torch.from_numpy(sample.labels[row : row + side, col : col + side])
    if side != crop:
        pixels = interpolate(pixels[None], (crop, crop), mode="bilinear", antialias=True)[0]
        labels = interpolate(labels[None, None], (crop, crop), mode="nearest-exact")[0, 0]
    turns, mirror = int(rng.integers(4)), rng.random() < 0.5
    pixels, labels = torch.rot90(pixels, turns, (1, 2)), torch.rot90(labels, turns, (0, 1))
    if mirror:
        pixels, labels = pixels.flip(2), labels.flip(1)
    light = torch.as_tensor(rng.uniform(0.88, 1.12) * rng.uniform(0.96, 1.04, (3, 1, 1))).float()
    haze = torch.as_tensor(rng.normal(0, 3) + rng.normal(0, 1, (3, 1, 1))).float()
    return (pixels * light + haze).clamp(0, 255).contiguous(), labels.contiguous()


def store(path: Path, network: nn.Module, averaged: nn.Module, state: dict[str, float]) -> None:
    """Write both networks' weights to a checkpoint, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    weights |= {f"averaged.{k}": v.clone().contiguous() for k, v in averaged.state_dict().items()}
    partial = path.with_suffix(".partial")
    save_file(weights, partial, metadata={key: str(value) for key, value in state.items()})
    partial.replace(path)


def restore(path: Path, network: nn.Module, averaged: nn.Module, *, total: int) -> tuple[int, float]:
    """Steps done and minutes spent, with both networks' weights read back; zeros without a checkpoint.

    The optimiser's moments are not stored; they build up again within some ten steps.
    """
    if not path.is_file():
        return 0, 0.0
    with safe_open(path, framework="pt") as file:
        meta = file.metadata()
        if int(meta["steps"]) != total:
            raise click.ClickException(
                f"{path} is of a run of {meta['steps']} steps; remove it to start anew"
            )
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    for prefix, module in (("network.", network), ("averaged.", averaged)):
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        )
    click.echo(f"step {meta['step']} of {path}")
    return int(meta["step"]), float(meta["minutes"])


if __name__ == "__main__":
    main()
