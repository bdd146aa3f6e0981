"""Architectures on the same data with the same budget: scores on the held-out part, size, and cost.

    python -m benchmarks.architectures JOB.yaml --out FOLDER [MODEL:ENCODER[:{"argument": value}] ...]
    GEOSEG_DATA=/path/to/data python -m benchmarks.architectures configs/train_landcover_l7.yaml --steps 300

JOB is a job of `geoseg train`; its paths are below GEOSEG_DATA where that is set. Each network is trained
with its data, split, steps, batch, crop and seed, from random weights, into FOLDER/NAME; one that is there
already is not trained again, and one that was interrupted goes on. The scores are those of the bundle: all
held-out pixels, with the weights as they are stored; the last row is that of the ensemble of them all.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from geoseg.accuracy import metrics
from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_engine
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network
from geoseg.training.batches import Batches
from geoseg.training.job import TrainJob
from geoseg.training.loop import LAST
from geoseg.training.measure import answers, counted
from geoseg.training.prepare import prepare
from geoseg.training.verb import run_train

NETWORKS = (
    'hrnetv2_ocr:hrnet_w18:{"mid_channels": 256, "key_channels": 128}',
    "unet:resnet18",
    "deeplabv3plus:resnet18",
)
TILE = 512


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", nargs="?", type=Path)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="MODEL:ENCODER[:ARGUMENTS]")
    parser.add_argument("--out", type=Path, default=Path("architectures-out"))
    parser.add_argument("--steps", type=int, help="instead of the job's")
    parser.add_argument("--device", default="auto", help="for training; speed is measured on the CPU")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tiles", type=int, default=4, help="tiles that the speed is measured on")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    if options.job is None:
        print("needs a job of geoseg train: python -m benchmarks.architectures JOB.yaml")
        return
    job = TrainJob.load(options.job)
    if options.steps is not None:
        job = TrainJob.parse({**job.model_dump(), "steps": options.steps})
    rows: list[dict[str, Any]] = []
    bundles: list[Bundle] = []
    for text in options.networks or NETWORKS:
        bundle, minutes = trained(job, text, options)
        rows.append({"network": text, **figures(bundle, options.tiles), "training_minutes": minutes})
        bundles.append(bundle)
        print(f"{text}: mean IoU {rows[-1]['mean_iou']:.3f}", flush=True)
    if len(bundles) > 1:
        rows.append({"network": "all, averaged", **together(job, bundles, rows), "training_minutes": None})
    print(f"\n{job.steps} steps of {job.batch} crops of {job.crop} px, seed {job.seed}\n")
    print(table(rows))
    if options.json is not None:
        settings = {"job": job.model_dump(mode="json", exclude_none=True), "tile": TILE}
        options.json.write_text(json.dumps({**settings, "networks": rows}, indent=2) + "\n", encoding="utf-8")


def trained(job: TrainJob, text: str, options: argparse.Namespace) -> tuple[Bundle, float | None]:
    """Bundle of that network, trained or found, and the minutes that its training took."""
    name, _, rest = text.partition(":")
    encoder, _, arguments = rest.partition(":")
    fields = job.model_dump(exclude={"start", "encoder_weights"})
    fields |= {"model": name, "encoder": encoder, "arguments": json.loads(arguments or "{}")}
    fields |= {"out": options.out / text.partition(":{")[0].replace(":", "-"), "name": None}
    fields |= {"tta": False}
    mine = TrainJob.parse(fields)

    def report(row: Any) -> None:
        print(f"  {name} {row['step']}/{row['steps']}: {row['loss']:.3f}, {row['mean_iou']:.3f}", flush=True)

    made = run_train(mine, root=data(), device=options.device, threads=options.threads, progress=report)
    assert made.bundle is not None
    return made.bundle, minutes_of(mine.work)


def data() -> Path | None:
    """Folder that the job's paths are below."""
    return Path(os.environ["GEOSEG_DATA"]) if "GEOSEG_DATA" in os.environ else None


class Averaged(nn.Module):
    """Log of the mean probability of several networks that take the same input."""

    def __init__(self, bundles: Sequence[Bundle]) -> None:
        super().__init__()
        self.networks = nn.ModuleList([load_network(bundle).float() for bundle in bundles])
        self.temperatures = [bundle.temperature for bundle in bundles]

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K, H, W)."""
        pairs = zip(self.networks, self.temperatures, strict=True)
        return torch.stack([(network(x) / t).softmax(dim=1) for network, t in pairs]).mean(dim=0).log()


def together(job: TrainJob, bundles: Sequence[Bundle], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of all networks as one ensemble, on the same pixels; its speed follows from theirs."""
    preparation = prepare(job, root=data())
    with torch.inference_mode():
        said = answers(Batches(preparation), Averaged(bundles), preparation.cores, torch.device("cpu"))
        counts = counted(said, preparation)
    speeds = [row["megapixels_per_cpu_second"] for row in rows]
    return {
        "mean_iou": metrics.mean_iou(counts),
        "overall_accuracy": metrics.overall_accuracy(counts),
        "iou": dict(zip(job.legend.names, metrics.iou(counts).tolist(), strict=True)),
        "parameters_millions": sum(row["parameters_millions"] for row in rows),
        "megapixels_per_cpu_second": {p: 1 / sum(1 / speed[p] for speed in speeds) for p in speeds[0]},
    }


def minutes_of(work: Path) -> float | None:
    """Minutes that the checkpoint of a training counts, pauses left out; None where it is gone."""
    if not (work / LAST).is_file():
        return None
    with safe_open(work / LAST, framework="np") as file:
        return float(json.loads(file.metadata()["geoseg"])["seconds"]) / 60


def figures(bundle: Bundle, tiles: int) -> dict[str, Any]:
    """Scores of a bundle on its held-out pixels, millions of parameters, and speed."""
    classes = {name: found.get("iou") for name, found in bundle.scores["classes"].items()}
    parameters = sum(p.numel() for p in load_network(bundle).parameters()) / 1e6
    speed = {p: speed_of(bundle, p, tiles) for p in ("bf16", "fp32")}
    return {
        "mean_iou": bundle.scores["mean_iou"],
        "overall_accuracy": bundle.scores["overall_accuracy"],
        "iou": classes,
        "parameters_millions": parameters,
        "megapixels_per_cpu_second": speed,
    }


def speed_of(bundle: Bundle, precision: str, tiles: int) -> float:
    """Million pixels per CPU second of one thread, tiles of 512 px; the first one warms up."""
    engine = open_engine(bundle, EngineChoice(device="cpu", precision=precision, threads=1))
    low, high = bundle.contract.value_range
    rng = np.random.default_rng(0)
    shape = (1, len(bundle.contract.bands), TILE, TILE)
    raw = rng.uniform(low, high, shape).astype(bundle.contract.dtype)
    engine.classify(raw)
    started = time.process_time()
    for _ in range(tiles):
        engine.classify(raw)
    return tiles * TILE**2 / 1e6 / (time.process_time() - started)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The figures in Markdown, one network per row."""
    names = list(rows[0]["iou"])
    heads = ["network", "mean IoU", "accuracy", *names, "parameters (M)", "training (min)"]
    heads += ["Mpx per CPU s, bf16", "fp32"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for row in rows:
        scores = [row["mean_iou"], row["overall_accuracy"], *(row["iou"].get(n) for n in names)]
        cells = [f"`{row['network']}`", *("-" if s is None else f"{s:.3f}" for s in scores)]
        minutes = row["training_minutes"]
        cells += [f"{row['parameters_millions']:.1f}", "-" if minutes is None else f"{minutes:.1f}"]
        cells += [f"{row['megapixels_per_cpu_second'][p]:.2f}" for p in ("bf16", "fp32")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
