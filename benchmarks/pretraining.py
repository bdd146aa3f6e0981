"""What pretraining without labels brings with five labelled images: python -m benchmarks.pretraining.

Forest and non-forest in the images of Zenodo record 3233081 (GEOSEG_DATA). An encoder is pretrained on the 25
images that are not held out; a U-Net over it learns from five of them, and so do one whose encoder starts at
random and, with --imagenet, one that starts from ImageNet's weights. All are scored on the five that are held
out: every sixth by the deviation of red. What is there already is kept: the same command goes on.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.pretraining.job import PretrainJob
from geoseg.pretraining.verb import run_pretrain
from geoseg.strict_yaml import read_yaml
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train

CONFIG = Path("configs/train_forest.yaml")
LABELLED = 5
HELD_OUT = ("Amazon_170", "Amazon_425", "Amazon_511", "Amazon_640", "Amazon_822")
WIDER = "masks/Amazon_181.tiff_34.png"  # than its image, which it does not lie on


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("runs/pretraining"))
    parser.add_argument("--encoder", default="tu-efficientnet_lite0")
    parser.add_argument("--imagenet", type=Path, help="see workflows/encoder_weights.py")
    parser.add_argument("--steps", type=int, default=300, help="of pretraining")
    parser.add_argument("--tuning", type=int, default=60, help="steps with labels")
    parser.add_argument("--draws", type=int, default=2, help="of five labelled images")
    options = parser.parse_args()
    scenes = labelled(read_yaml(CONFIG)["scenes"])
    weights = {"random": None, "pretrained": pretrained(scenes, options)}
    weights |= {"ImageNet": options.imagenet.absolute()} if options.imagenet is not None else {}
    print("| encoder from | " + " | ".join(f"draw {d + 1}" for d in range(options.draws)) + " | mean |")
    print("|---" * (options.draws + 2) + "|")
    for name, file in weights.items():
        found = [tuned(scenes, name, file, draw, options) for draw in range(options.draws)]
        cells = [f"{value:.3f}" for value in (*found, float(np.mean(found)))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def labelled(scenes: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The images with labels of people, and what each is for here."""
    images = [scene for scene in scenes if scene["image"].startswith("images/")]
    held_out = [
        Path(scene["image"]).name.startswith(tuple(f"{name}." for name in HELD_OUT)) for scene in images
    ]
    uses = ("validation" if held else "training" for held in held_out)
    return [{**scene, "use": use} for scene, use in zip(images, uses, strict=True)]


def data() -> Path:
    """Folder of the images and masks."""
    return Path(os.environ.get("GEOSEG_DATA", "../shared/data")) / "amazon_s2_forest" / "training"


def pretrained(scenes: list[Mapping[str, Any]], options: argparse.Namespace) -> Path:
    """Weights learnt from the images that are for training, without their labels."""
    job = PretrainJob.parse(
        {
            "scenes": [scene["image"] for scene in scenes if scene["use"] == "training"],
            "out": options.work.absolute() / "encoder.safetensors",
            "encoder": options.encoder,
            "steps": options.steps,
            "batch": 8,
            "validate_every": 50,
        }
    )
    before = time.process_time()
    made = run_pretrain(job, root=data(), threads=1, device="cpu", progress=_say)
    print(
        f"pretrained in {time.process_time() - before:.0f} CPU s: {dict(made.card['figures'])}\n", flush=True
    )
    return made.path.absolute()


def tuned(
    scenes: list[Mapping[str, Any]], name: str, weights: Path | None, draw: int, options: argparse.Namespace
) -> float:
    """Mean IoU on the held-out images after a training on five others."""
    training = [s for s in scenes if s["use"] == "training" and s["labels"] != WIDER]
    chosen = np.random.default_rng(draw).choice(len(training), LABELLED, replace=False).tolist()
    held_out = [scene for scene in scenes if scene["use"] == "validation"]
    job = TrainJob.parse(
        {
            "scenes": [*(training[i] for i in chosen), *held_out],
            "out": options.work / f"{name}-{draw}",
            "classes": {1: "forest", 2: "non-forest"},
            "split": {"by": "file"},
            "model": "unet",
            "encoder": options.encoder,
            "arguments": {"decoder_channels": [64, 48, 32, 24, 16]},
            "encoder_weights": weights,
            "steps": options.tuning,
            "batch": 8,
            "crop": 128,
            "sampling": "natural",
            "average": 0.95,
            "validate_every": options.tuning,
            "light_windows": 1,
            "keep": "last",
            "seed": draw,
        }
    )
    made = run_train(job, root=data(), threads=1, device="cpu", progress=_say)
    assert made.bundle is not None
    return float(made.bundle.scores["mean_iou"])


def _say(row: Mapping[str, Any]) -> None:
    figures = {k: v if v is None else round(v, 3) for k, v in row["figures"].items()}
    print(f"  step {row['step']}/{row['steps']}  loss {row['loss']:.4f}  {figures}", flush=True)


if __name__ == "__main__":
    main()
