"""Which stitcher and margin: labels that differ from one forward pass over the whole scene, against the cost.

With GEOSEG_DATA, `forest-s2-rgb` on a real mosaic; without, the demo's model on an unseen frontier scene.
Both models are trained: random weights see further than trained ones do, and make margins look too small.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import geoseg
from geoseg.demo.frontier import make_frontier
from geoseg.geometry import Window
from geoseg.raster.write import write_geotiff

TILE, SEED = 512, 4242


def real_scene(folder: Path, side: int) -> Path | None:
    """A square of the aerial mosaic, given a 10 m grid; None without the imagery."""
    source = Path(os.environ.get("GEOSEG_DATA", "")) / "dubai_hitl_aerial" / "tile_8_images.vrt"
    if not os.environ.get("GEOSEG_DATA") or not source.exists():
        return None
    scene = geoseg.open_scene(
        source, allow_vrt=True, assume_crs="EPSG:32640", assume_transform="10,0,300000,0,-10,2800000"
    )
    window = Window(0, 0, side, side)
    return write_geotiff(folder / "scene.tif", scene.grid.crop(window), scene.read(window)[0])


def frontier_scene(folder: Path, side: int) -> Path:
    """A synthetic scene that the demo's model has not seen."""
    frontier = make_frontier(SEED, (side, side))
    return write_geotiff(
        folder / "scene.tif",
        frontier.grid,
        frontier.before,
        nodata=0,
        band_names=("blue", "green", "red", "nir"),
    )


def labels(scene: Path, model: str, out: Path, **options: object) -> tuple[NDArray[np.uint8], float, float]:
    """(labels, seconds, forward-pixels per scene-pixel) of one way to tile."""
    started = time.perf_counter()
    made = geoseg.predict(scene, model=model, out=out, chunk=16384, precision="fp32", **options)
    seconds = time.perf_counter() - started
    cost = geoseg.plan(scene, model=model, probe=False, chunk=16384, **options)
    classes = geoseg.open_class_map(made.classes)
    return classes.read(classes.grid.window), seconds, cost.request.tiling.forward_ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1536)
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = real_scene(folder, side)
        model = "demo-frontier" if scene is None else "forest-s2-rgb"
        scene = scene or frontier_scene(folder, side)
        whole = -(-side // 32) * 32 + 64
        truth, seconds, _ = labels(scene, model, folder / "one-shot", tile=whole, margin=32)
        print(f"{model}, {side} x {side} pixels, tile {TILE}, fp32; one forward: {seconds:.1f} s\n")
        print(
            "| stitch | margin | labels that differ | forward-pixels per pixel | s |\n|---|---|---|---|---|"
        )
        for stitch in ("crop", "blend"):
            for margin in (0, 32, 64, 96, 128):
                options = {"tile": TILE, "margin": margin, "stitch": stitch}
                got, seconds, ratio = labels(scene, model, folder / f"{stitch}{margin}", **options)
                known = truth != 255
                share = np.mean(got[known] != truth[known])
                print(f"| {stitch} | {margin} | {share:.3%} | {ratio:.2f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
