"""Objects of ever longer scenes: seconds and peak memory by rows, at one width.

    python -m benchmarks.objects_memory                          # 2048 columns; 2048, 4096, 8192 rows
    python -m benchmarks.objects_memory --width 4096 --rows 4096 65536 --folder /var/tmp

Blocks of drawn objects are repeated in both directions, and written block by block. The network has no
weights: pixels of one value are an object, so that what is measured is all but the network. The prediction is
a process of its own; peak resident memory and CPU seconds are those of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from tests.objects.blobs import save_blobs
from tests.objects.scenes import draw

_BLOCK = 512
_PLAN = "tile=512, margin=64, chunk=768, threads=1, device='cpu'"
_RUN = f"""
import resource, sys
import geoseg
made = geoseg.predict(sys.argv[1], model=sys.argv[2], out=sys.argv[3], {_PLAN})
used = resource.getrusage(resource.RUSAGE_SELF)
print(sum(made.objects_found.values()), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def write_scene(path: Path, height: int, width: int) -> Path:
    """Path of a scene with some 140 objects in every block, none of which meets another of its value."""
    ids = draw(_BLOCK, [(k % 40 + 8, k % 17 + 6) for k in range(160)], 1)
    ground = np.random.default_rng(0).integers(1, 60_000, ids.shape)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 2, "height": height, "width": width}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(0.3, 0, 500_000, 0, -0.3, 5_000_000)}
    tiling = {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **place, **tiling, bigtiff="if_safer") as sink:
        for row in range(0, height, _BLOCK):
            for col in range(0, width, _BLOCK):
                turn = row // _BLOCK % 2 * 2 + col // _BLOCK % 2
                shown = np.where(ids > 0, ids + turn * int(ids.max()), 0)
                block = np.stack([shown, np.roll(ground, row + col)]).astype(np.uint16)
                window = Window(col, row, min(_BLOCK, width - col), min(_BLOCK, height - row))
                sink.write(block[:, : window.height, : window.width], window=window)
    return path


def measured(folder: Path, height: int, width: int) -> Iterator[str]:
    """Cells of the table: objects, CPU seconds, peak memory in MiB."""
    scene, model = write_scene(folder / "scene.tif", height, width), save_blobs(folder / "blobs", margin=64)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(scene), str(model), str(folder / "out")],
        check=True,
        capture_output=True,
        text=True,
    )
    objects, cpu, kilobytes = done.stdout.split()
    yield from (f"{int(objects):,}", f"{float(cpu):.0f}", f"{int(kilobytes) / 1024:.0f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--rows", type=int, nargs="+", default=[2048, 4096, 8192])
    parser.add_argument("--folder", type=Path, help="Where the files lie while they are needed.")
    options = parser.parse_args()
    os.environ["GEOSEG_ARCHITECTURES"] = "tests"  # where the network comes from, here and in the process
    print("| rows x columns | objects | CPU s | peak MiB |\n|---|---|---|---|")
    for height in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            cells = " | ".join(measured(Path(name), height, options.width))
            print(f"| {height:,} x {options.width:,} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
