"""Train the bundle ``demo-frontier``: a light U-Net on synthetic frontier scenes, none of them the demo's.

    python workflows/train_demo.py --out demo-frontier

A few minutes on two cores, no data needed. The scores in the card come from scenes of seeds that the
training never saw. The network is plain convolutions (no squeeze-and-excite, whose mean over the tile would
make a pixel's class depend on the tile it lies in).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.demo.frontier import DEMO_SEED, make_frontier
from geoseg.demo.landscape import BARE, BUILT_UP, CROPLAND, FRONTIER_LEGEND, ROAD, WATER
from geoseg.evaluation import metrics
from geoseg.evaluation.matrix import ConfusionMatrix, count
from geoseg.legend import NODATA
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle, save_bundle
from geoseg.models.contract import Band, InputContract

TRAIN_SEEDS = range(100, 116)
CALIBRATION_SEEDS = range(200, 202)
TEST_SEEDS = range(300, 304)
SHAPE = (1024, 1152)
CROP, BATCH = 256, 8
STRIDE = 32

ARCHITECTURE = Architecture(
    name="unet",
    encoder="mobilenetv4_conv_small_050",
    arguments={"encoder_depth": 4, "decoder_channels": [96, 64, 48, 24]},
)
BANDS = (
    Band(name="blue", wavelength_nm=492.4, description="Sentinel-2 B02"),
    Band(name="green", wavelength_nm=559.8, description="Sentinel-2 B03"),
    Band(name="red", wavelength_nm=664.6, description="Sentinel-2 B04"),
    Band(name="nir", wavelength_nm=832.8, description="Sentinel-2 B08"),
)

Pair = tuple[NDArray[np.uint16], NDArray[np.int64]]  # pixels (4, H, W), positions in the legend or -1


def scenes(seeds: range) -> list[Pair]:
    """Both dates of the scene of every seed."""
    if DEMO_SEED in seeds:
        raise ValueError("the demo's own scene is not for training")
    index = FRONTIER_LEGEND.index_of().astype(np.int64)
    pairs: list[Pair] = []
    for seed in seeds:
        f = make_frontier(seed, SHAPE)
        pairs += [(f.before, index[f.reference_before]), (f.after, index[f.reference_after])]
    return pairs


def contract_of(pairs: list[Pair]) -> InputContract:
    """Input contract with the mean and deviation of the valid pixels."""
    valid = [pixels[:, labels >= 0].astype(np.float64) for pixels, labels in pairs]
    count = sum(v.shape[1] for v in valid)
    mean = np.sum([v.sum(1) for v in valid], 0) / count
    std = np.sqrt(np.sum([((v - mean[:, None]) ** 2).sum(1) for v in valid], 0) / count)
    return InputContract(
        bands=BANDS,
        dtype="uint16",
        value_range=(0, 10_000),
        mean=tuple(np.round(mean, 2).tolist()),
        std=tuple(np.round(std, 2).tolist()),
        pixel_size=(9, 11),
    )


class Normalise:
    """Raw pixels (N, 4, H, W) to network input, as the engine does it; invalid pixels become zero."""

    def __init__(self, contract: InputContract) -> None:
        self.mean = torch.tensor(contract.mean)[:, None, None]
        self.std = torch.tensor(contract.std)[:, None, None]

    def __call__(  # noqa: D102 (the class says it)
        self, raw: NDArray[np.uint16], valid: NDArray[np.bool_]
    ) -> Tensor:
        x = (torch.from_numpy(raw.astype(np.float32)) - self.mean) / self.std
        x = torch.where(torch.from_numpy(valid)[:, None], x, torch.zeros(()))
        return x.contiguous(memory_format=torch.channels_last)


def batches(
    pairs: list[Pair], rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.int64]]]:
    """Endless batches of crops, half of them around a rare class, turned and flipped, with jittered light."""
    rare = [FRONTIER_LEGEND.ids.index(c) for c in (ROAD, BUILT_UP, WATER, BARE, CROPLAND)]
    places = [[np.argwhere(labels == c) for c in rare] for _, labels in pairs]
    while True:
        pixels = np.empty((BATCH, len(BANDS), CROP, CROP), np.uint16)
        labels = np.empty((BATCH, CROP, CROP), np.int64)
        for k in range(BATCH):
            i = int(rng.integers(len(pairs)))
            image, truth = pairs[i]
            centre = rng.integers(0, truth.shape)
            wanted = places[i][int(rng.integers(len(rare)))]
            if k % 2 and len(wanted):
                centre = wanted[int(rng.integers(len(wanted)))] + rng.integers(-CROP // 3, CROP // 3, 2)
            row, col = (
                int(np.clip(c - CROP // 2, 0, n - CROP)) for c, n in zip(centre, truth.shape, strict=True)
            )
            window = (slice(row, row + CROP), slice(col, col + CROP))
            turns, flip = int(rng.integers(4)), rng.random() < 0.5
            crop, classes = (np.rot90(a[..., *window], turns, (-2, -1)) for a in (image, truth))
            if flip:
                crop, classes = crop[..., ::-1], classes[..., ::-1]
            light = rng.normal(1, 0.04) * rng.normal(1, 0.015, (len(BANDS), 1, 1))
            haze = abs(rng.normal(0, 25)) * np.array([1.5, 1.0, 0.7, 0.3])[:, None, None]
            pixels[k] = np.clip(crop * light + haze, 1, 65_535)
            labels[k] = classes
        yield pixels, labels


def class_weights(pairs: list[Pair]) -> Tensor:
    """Weight per class: the inverse of its share to the power 0.4, mean 1."""
    counts = np.sum([np.bincount(x[x >= 0], minlength=len(FRONTIER_LEGEND)) for _, x in pairs], 0)
    weights = (counts / counts.sum()) ** -0.4
    return torch.tensor(weights / weights.mean(), dtype=torch.float32)


def fit(pairs: list[Pair], normalise: Normalise, *, steps: int, seed: int) -> nn.Module:
    """Network after `steps` steps of AdamW on a one-cycle schedule."""
    torch.manual_seed(seed)
    network = build(ARCHITECTURE, bands=len(BANDS), classes=len(FRONTIER_LEGEND))
    network = network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps, pct_start=0.15)
    loss_of = nn.CrossEntropyLoss(weight=class_weights(pairs), ignore_index=-1)
    start, recent = time.monotonic(), []
    for step, (raw, labels) in zip(
        range(1, steps + 1), batches(pairs, np.random.default_rng(seed)), strict=False
    ):
        loss = loss_of(network(normalise(raw, labels >= 0)), torch.from_numpy(labels))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent.append(float(loss.detach()))
        if step % 50 == 0 or step == steps:
            print(
                f"step {step}/{steps}  loss {np.mean(recent[-50:]):.4f}  {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return network.eval()


@torch.inference_mode()
def logits_of(
    network: nn.Module, normalise: Normalise, pixels: NDArray[np.uint16], valid: NDArray[np.bool_]
) -> Tensor:
    """Logits (K, H, W) of a whole scene, whose sides are multiples of the network's stride."""
    return network(normalise(pixels[None], valid[None]))[0]


def temperature_of(network: nn.Module, normalise: Normalise, pairs: list[Pair]) -> float:
    """Temperature with the lowest log loss (Guo et al. 2017, "On calibration of modern neural networks")."""
    candidates = np.round(np.geomspace(0.5, 3.0, 37), 3)
    losses = np.zeros(len(candidates))
    for pixels, labels in pairs:
        logits = logits_of(network, normalise, pixels, labels >= 0)[None]
        truth = torch.from_numpy(labels)[None]
        losses += [float(nn.functional.cross_entropy(logits / t, truth, ignore_index=-1)) for t in candidates]
    return float(candidates[int(losses.argmin())])


def score(network: nn.Module, normalise: Normalise, pairs: list[Pair]) -> ConfusionMatrix:
    """Confusion matrix over whole scenes."""
    ids = np.array([*FRONTIER_LEGEND.ids, NODATA], np.uint8)  # position -1 is the last
    total = ConfusionMatrix.zero(FRONTIER_LEGEND)
    for pixels, labels in pairs:
        found = logits_of(network, normalise, pixels, labels >= 0).argmax(0).numpy()
        total += count(ids[labels], ids[found], FRONTIER_LEGEND)
    return total


def card_of(matrix: ConfusionMatrix, command: str, minutes: float, temperature: float) -> str:
    """Text of the model card."""
    counts = matrix.counts
    columns = (metrics.iou(counts), metrics.precision(counts), metrics.recall(counts))
    rows = "\n".join(
        f"| {c.id} | {c.name} | {share:.2%} | " + " | ".join(f"{column[k]:.3f}" for column in columns) + " |"
        for k, (c, share) in enumerate(
            zip(FRONTIER_LEGEND.classes, metrics.support(counts) / matrix.scored, strict=True)
        )
    )
    return f"""# demo-frontier

**Synthetic: not for real imagery.** This model exists so that `geoseg demo` can show the whole chain
offline. It has seen nothing but scenes drawn by `geoseg.demo.frontier`; what it makes of a real scene means
nothing.

- Network: U-Net, encoder `{ARCHITECTURE.encoder}` (timm), random initialisation, {len(BANDS)} bands
  ({", ".join(b.name for b in BANDS)}), uint16 reflectance x 10 000, 10 m.
- Training data: both dates of the synthetic scenes of seeds {TRAIN_SEEDS[0]} to {TRAIN_SEEDS[-1]},
  {SHAPE[0]} x {SHAPE[1]} pixels each. The demo's own seed ({DEMO_SEED}) is not among them.
- Confidence: logits divided by {temperature:g}, fitted on seeds {CALIBRATION_SEEDS[0]} and
  {CALIBRATION_SEEDS[-1]}.
- Made by: `{command}` ({minutes:.0f} minutes on a processor).
- Licence: Apache-2.0.

## Scores on unseen scenes

Seeds {TEST_SEEDS[0]} to {TEST_SEEDS[-1]}, both dates, all {matrix.scored:,} valid pixels.
Mean IoU {metrics.mean(metrics.iou(counts)):.3f}, overall accuracy {metrics.overall_accuracy(counts):.3f}.

| id | class | share of reference | IoU | precision | recall |
|---|---|---|---|---|---|
{rows}

Limits: roads are one to three pixels wide and lose most at their edges; farmsteads of a few pixels are often
missed.
"""


def train(out: Path, *, steps: int, seed: int, threads: int, overwrite: bool) -> Bundle:
    """Bundle trained, calibrated, scored on unseen scenes and saved."""
    torch.set_num_threads(threads)
    start = time.monotonic()
    pairs = scenes(TRAIN_SEEDS)
    contract = contract_of(pairs)
    normalise = Normalise(contract)
    network = fit(pairs, normalise, steps=steps, seed=seed)
    minutes = (time.monotonic() - start) / 60
    network.half().float()  # scored as it is stored
    temperature = temperature_of(network, normalise, scenes(CALIBRATION_SEEDS))
    matrix = score(network, normalise, scenes(TEST_SEEDS))
    command = f"python workflows/train_demo.py --steps {steps} --seed {seed} --threads {threads}"
    iou = metrics.iou(matrix.counts)
    return save_bundle(
        out,
        network,
        name="demo-frontier",
        version="1",
        architecture=ARCHITECTURE,
        contract=contract,
        legend=FRONTIER_LEGEND,
        licence="Apache-2.0",
        margin=STRIDE,
        size_multiple=STRIDE,
        temperature=temperature,
        description="Synthetic frontier scenes, seven classes. For the demo only: not for real imagery.",
        provenance={
            "data": f"synthetic scenes of seeds {TRAIN_SEEDS[0]} to {TRAIN_SEEDS[-1]}, both dates",
            "credit": "generated by geoseg.demo.frontier",
            "command": command,
        },
        scores={
            "data": f"synthetic scenes of seeds {TEST_SEEDS[0]} to {TEST_SEEDS[-1]}, both dates",
            "mean_iou": round(metrics.mean(iou), 4),
            "overall_accuracy": round(metrics.overall_accuracy(matrix.counts), 4),
            "classes": {
                c.name: {"iou": round(float(v), 4)} for c, v in zip(FRONTIER_LEGEND.classes, iou, strict=True)
            },
        },
        half=True,
        overwrite=overwrite,
        card=card_of(matrix, command, minutes, temperature),
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("demo-frontier"), help="bundle directory to write")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the weights and of the crops")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args()
    bundle = train(options.out, **{k: v for k, v in vars(options).items() if k != "out"})
    print((bundle.path / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
