"""int8 beside fp32 on a scene, by engine: python -m benchmarks.int8 SCENE --model NAME [--reference LABELS].

Calibrated as a prediction does it, compared on every other tile; CPU seconds of the whole process. With a
reference, class numbers on the scene's grid, also the share of its pixels that are right.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.int8 import settle_int8, tiles_wanted
from geoseg.engines.opening import ENGINES
from geoseg.geometry import plan_tiles
from geoseg.prediction.engine import sample_tiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("--model", required=True)
    parser.add_argument("--reference")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    ensemble = Ensemble.load([options.model])
    scene = geoseg.open_scene(options.scene)
    tiling = plan_tiles(
        *scene.grid.shape, tile=options.tile, margin=0, chunk=options.tile, multiple=ensemble.size_multiple
    )
    labels = None
    if options.reference is not None:
        reference = geoseg.open_scene(options.reference, categorical=True)
        labels = reference.read(reference.grid.window)[0][0]
    count = tiles_wanted(tiling.tile)
    print(f"{count // 2} tiles of {tiling.tile} calibrated on\n")
    print("| engine | CPU ms a tile | labels as its fp32, on other tiles | right |\n|---|---|---|---|")
    for name, entry in ENGINES.items():
        if "int8" not in entry.precisions:
            continue
        asked = EngineChoice(name=name, device="cpu", precision="int8", threads=options.threads)
        before = time.process_time()
        decision = settle_int8(
            asked, ensemble, tiling.tile, lambda: sample_tiles(scene, tiling, tiles_wanted(tiling.tile))
        )
        spent, facts = time.process_time() - before, decision.quantised
        assert facts is not None
        exact = replace(decision.choice, precision="fp32", calibration="")
        for choice, ms, equal in (
            (exact, facts.exact_cpu_ms, None),
            (decision.choice, facts.cpu_ms, decision.trials[0].agreement),
        ):
            right = "" if labels is None else f"{_right(ensemble, choice, scene, tiling, labels):.2%}"
            print(
                f"| {choice} | {ms:.0f} | {'' if equal is None else f'{equal:.3%}'} | {right} |", flush=True
            )
        print(f"calibrated and compared in {spent:.0f} CPU s; {facts}", flush=True)


def _right(ensemble, choice, scene, tiling, labels) -> float:  # type: ignore[no-untyped-def]
    """Share of the reference's pixels whose class is right, over all whole tiles."""
    engine, right, scored = ensemble.open(choice), 0, 0
    rows, cols = tiling.lattice
    for place in range(rows * cols):
        window = tiling.tile_at(*divmod(place, cols)).window
        if window.clip(*scene.grid.shape) != window:
            continue
        pixels, valid = scene.read(window)
        known = labels[window.row : window.row_end, window.col : window.col_end]
        mine = engine.classify(pixels[None], valid[None])[0][0]
        seen = np.isin(known, ensemble.legend.ids) & valid
        right, scored = right + int((mine == known)[seen].sum()), scored + int(seen.sum())
    return right / max(scored, 1)


if __name__ == "__main__":
    main()
