"""What test-time augmentation and ensembles bring, and what they cost, on labelled images.

    GEOSEG_DATA=runs/forest python -m benchmarks.tta --model forest-s2-rgb --image 'images/{id}.tiff' \\
        --labels 'masks/{id}.png' --only Amazon_181.tiff_34,Amazon_122.tiff_33

    python -m benchmarks.tta --model urban-rgb --model runs/other --job configs/train_urban.yaml

Images are taken whole, with reflected margins; labels are rasters of class ids, on the images' grid or of
their size. A job of `geoseg train` names scenes and labels in its own ways: those for validation are taken,
in squares of at most 1024 px. Paths are below GEOSEG_DATA. CPU time is that of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.calibration import reliability
from geoseg.accuracy.matrix import ConfusionMatrix, count
from geoseg.accuracy.metrics import iou, mean_iou, overall_accuracy
from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.views import Tta
from geoseg.legend import NODATA
from geoseg.raster.opening import open_scene
from geoseg.training.collection import expand
from geoseg.training.job import LabelledScene, TrainJob
from geoseg.training.prepare import open_labels

_MARGIN = 32

_SQUARE = 1024

Pairs = list[tuple[NDArray[Any], NDArray[np.uint8]]]


def read_pairs(
    scenes: list[LabelledScene],
    ensemble: Ensemble,
    only: set[str],
    crosswalk: Path | Mapping[Any, Any] | None = None,
) -> Pairs:
    """Pixels (B, h, w) and class ids (h, w) of each scene, or of squares of it."""
    root = Path(os.environ.get("GEOSEG_DATA", "../shared/data"))
    pairs = []
    for entry in expand(scenes, root):
        if only and Path(str(entry.image)).stem not in only:
            continue
        given = entry.model_dump(include={"nodata", "assume_crs", "assume_transform", "allow_vrt"})
        scene = open_scene(entry.image, **given)
        found = open_labels(entry, scene.grid, ensemble.legend, crosswalk)
        for window in scene.grid.window.blocks(_SQUARE, _SQUARE):
            truth = found.read(window)
            if (truth != NODATA).any():
                pairs.append((scene.read(window)[0], truth))
    return pairs


def measure(ensemble: Ensemble, pairs: Pairs, precision: Any) -> dict[str, Any]:
    """Scores of an ensemble on all pairs, and its pixels per CPU second."""
    engine = ensemble.open(EngineChoice(device="cpu", precision=precision, threads=1))
    multiple = ensemble.size_multiple
    matrices, confidences, hits, seconds, pixels = [], [], [], 0.0, 0
    for raw, truth in pairs:
        height, width = truth.shape
        pads = [(_MARGIN, _MARGIN + -(size + 2 * _MARGIN) % multiple) for size in (height, width)]
        tile = np.pad(raw, [(0, 0), *pads], mode="reflect")[None]
        started = time.thread_time()
        labels, confidence = engine.classify(tile)
        seconds += time.thread_time() - started
        pixels += tile[0, 0].size
        inside = np.s_[0, _MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width]
        matrices.append(count(truth, labels[inside], ensemble.legend))
        known = truth != NODATA
        confidences.append(confidence[inside][known] / 100)
        hits.append((labels[inside] == truth)[known])
    counts = ConfusionMatrix.sum(matrices, ensemble.legend).counts
    return {
        "mean_iou": mean_iou(counts),
        "accuracy": overall_accuracy(counts),
        "iou": dict(zip(ensemble.legend.names, iou(counts).tolist(), strict=True)),
        "calibration_error": reliability(np.concatenate(confidences), np.concatenate(hits))[0],
        "mpx_per_cpu_second": pixels / seconds / 1e6,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", required=True, help="Several are one ensemble.")
    parser.add_argument("--image", help="Path with {id}, below GEOSEG_DATA.")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--job", type=Path, help="Instead of both: a job whose validation scenes are taken.")
    parser.add_argument("--only", default="", help="Stems of images, separated by commas.")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, help="Write the numbers there too.")
    options = parser.parse_args()
    only = {name for name in options.only.split(",") if name}
    ensemble = Ensemble.load(options.model)
    if options.job is not None:
        job = TrainJob.load(options.job)
        scenes = [scene for scene in job.scenes if scene.use == "validation"]
        pairs = read_pairs(scenes, ensemble, only, job.crosswalk)
    elif options.image and options.labels:
        pairs = read_pairs([LabelledScene(image=options.image, labels=options.labels)], ensemble, only)
    else:
        parser.error("--image and --labels, or --job")
    rows: dict[str, Any] = {}
    for index, tta in enumerate(get_args(Tta)):
        ensemble = Ensemble.load(options.model, tta=tta)
        rows[tta] = found = measure(ensemble, pairs, options.precision)
        if not index:
            names = " | ".join(f"IoU {n}" for n in found["iou"])
            print(f"| {ensemble.name} | mean IoU | accuracy | {names} | ECE | Mpx per CPU s |")
            print(f"|{'---|' * (5 + len(found['iou']))}")
        own = " | ".join(f"{v:.4f}" for v in found["iou"].values())
        print(
            f"| `--tta {tta}` | {found['mean_iou']:.4f} | {found['accuracy']:.4f} | {own} "
            f"| {found['calibration_error']:.4f} | {found['mpx_per_cpu_second']:.2f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
