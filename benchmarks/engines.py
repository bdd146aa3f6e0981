"""Speed and agreement of every engine on real tiles: python -m benchmarks.engines SCENE --model NAME.

CPU seconds of the whole process, the fastest of a few rounds, so that other programs disturb little.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.opening import ENGINES
from geoseg.errors import GeosegError
from geoseg.geometry import plan_tiles
from geoseg.prediction.engine import sample_tiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ensemble = Ensemble.load([options.model])
    scene = geoseg.open_scene(options.scene if len(options.scene) > 1 else options.scene[0])
    tiles = sample_tiles(
        scene, plan_tiles(*scene.grid.shape, tile=options.tile, margin=0, chunk=options.tile)
    )
    assert tiles is not None
    raw, valid = tiles
    expected: np.ndarray | None = None
    print("| engine | open, CPU s | Mpx per CPU s | labels as torch fp32 |\n|---|---|---|---|")
    for name, entry in ENGINES.items():
        for precision in entry.precisions:
            if precision == "fp16":
                continue  # of GPUs
            choice = EngineChoice(name=name, device="cpu", precision=precision, threads=options.threads)
            before = time.process_time()
            try:
                engine = ensemble.open(choice)
                labels, _ = engine.classify(raw, valid)
            except GeosegError as error:
                print(f"| {choice} | {error} | | |")
                continue
            opened = time.process_time() - before
            expected = labels if expected is None else expected
            seconds = []
            for _ in range(options.rounds):
                before = time.process_time()
                engine.classify(raw[:1], valid[:1])
                seconds.append(time.process_time() - before)
            speed = raw[0, 0].size / min(seconds) / 1e6
            agreement = (labels == expected)[valid].mean()
            print(f"| {choice} | {opened:.1f} | {speed:.2f} | {agreement:.3%} |", flush=True)


if __name__ == "__main__":
    main()
