"""Do labels depend on chunks, batches or processes? One scene predicted in many ways, digests side by side.

With GEOSEG_DATA the 28.6 Mpx aerial mosaic and `forest-s2-rgb`; without, a frontier scene and its model.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import geoseg
from geoseg.demo.frontier import make_frontier
from geoseg.raster.write import write_geotiff

WAYS: dict[str, dict[str, Any]] = {
    "chunk 1024": {"chunk": 1024},
    "chunk 2048": {"chunk": 2048},
    "chunk 4096": {"chunk": 4096},
    "chunk 8192": {"chunk": 8192},
    "chunk 8192, batch 4": {"chunk": 8192, "batch": 4},
    "chunk 2048, 2 processes": {"chunk": 2048, "workers": 2},
}


def request(folder: Path) -> dict[str, Any]:
    """Scene and model to predict with."""
    data = os.environ.get("GEOSEG_DATA")
    mosaic = Path(data or "") / "dubai_hitl_aerial" / "tile_8_images.vrt"
    if data and mosaic.exists():
        return {
            "scene": mosaic,
            "model": "forest-s2-rgb",
            "allow_vrt": True,
            "assume_crs": "EPSG:32640",
            "assume_transform": "10,0,300000,0,-10,2800000",
        }
    frontier = make_frontier(4242)
    names = ("blue", "green", "red", "nir")
    scene = write_geotiff(folder / "scene.tif", frontier.grid, frontier.before, nodata=0, band_names=names)
    return {"scene": scene, "model": "demo-frontier"}


def digest(path: Path) -> str:
    """First half of the SHA-256 of a class map's pixels."""
    raster = geoseg.open_class_map(path)
    return hashlib.sha256(raster.read(raster.grid.window).tobytes()).hexdigest()[:16]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = request(folder)
        print(f"{options['model']} on {Path(options['scene']).name}, one thread per forward\n")
        print("| stitch | way | labels | s |\n|---|---|---|---|")
        for stitch in ("crop", "blend"):
            for way, more in WAYS.items():
                started = time.perf_counter()
                out = folder / f"{stitch} {way}"
                made = geoseg.predict(out=out, stitch=stitch, threads=1, **options, **more)
                seconds = time.perf_counter() - started
                print(f"| {stitch} | {way} | `{digest(made.classes)}` | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
