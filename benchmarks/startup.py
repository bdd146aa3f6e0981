"""CPU seconds of whole commands on small inputs: python -m benchmarks.startup --scene SMALL.tif --model NAME.

Every command is a process of its own, in turns, and the least of a few rounds counts, so that other programs
disturb little. The first round fills caches. `rasterio + geopandas` is the yardstick: how long it takes tells
how busy the machine is.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.polygons import MAPS, make_map, write_map

_SIDES = 512, 2048
_LIBRARIES = "rasterio, pyproj, shapely, pyarrow, pydantic, click, rich.table, llvmlite.binding, filelock"
_GEOSEG = "from geoseg.cli.main import main; main()"
_PEER = (
    "import sys; from pathlib import Path; from benchmarks.polygons import peers; "
    "peers(Path(sys.argv[1]), Path(sys.argv[2]))"
)


def commands(folder: Path, scene: Path | None, model: str) -> dict[str, list[str]]:
    """Arguments of the interpreter for every row of the table, its inputs written into a folder."""
    rows = {
        "`import rasterio, geopandas`": ["-c", "import rasterio, geopandas"],
        "`import rasterio`": ["-c", "import rasterio"],
        "libraries of `geoseg vectorize`": ["-c", f"import {_LIBRARIES}"],
    }
    out = str(folder / "out")
    kinds = {"smooth": MAPS["smooth"], "smooth, no specks": {**MAPS["smooth"], "speckle": 0.0}}
    for kind, look in kinds.items():
        for side in _SIDES:
            path = str(write_map(folder / f"{kind[6:9]}{side}.tif", make_map(side, **look)))
            rows[f"rasterio + geopandas, {kind} {side}"] = ["-c", _PEER, path, f"{out}.gpkg"]
            rows[f"`geoseg vectorize`, {kind} {side}"] = _call("vectorize", path, "--out", f"{out}.gpkg")
    small = make_map(512, **MAPS["smooth"])
    one, other = (str(write_map(folder / f"{n}.tif", np.roll(small, n, 0))) for n in (0, 3))
    rows["`geoseg evaluate`, 512"] = _call("evaluate", one, other)
    rows["`geoseg change`, 512"] = _call("change", one, other, "--out", out)
    if scene is not None:
        asked = ("predict", str(scene), "--model", model, "--threads", "1", "--out", out)
        rows["`geoseg predict --engine torch`"] = _call(*asked, "--engine", "torch")
        rows["`geoseg predict`"] = _call(*asked)
    return rows


def _call(*arguments: str) -> list[str]:
    return ["-c", _GEOSEG, *arguments]


def seconds_of(arguments: Sequence[str], folder: Path) -> float:
    """CPU seconds of a process, and of those that it started."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out.gpkg").unlink(missing_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", type=Path, help="A small scene to predict.")
    parser.add_argument("--model", default="forest-s2-rgb")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = commands(folder, options.scene, options.model)
        found = [[seconds_of(row, folder) for row in rows.values()] for _ in range(options.rounds + 1)]
    least = np.min(found[1:], axis=0)
    print("| | CPU s | first round | times `import rasterio, geopandas` |\n|---|---|---|---|")
    for row, first, seconds in zip(rows, found[0], least, strict=True):
        print(f"| {row} | {seconds:.2f} | {first:.2f} | {seconds / least[0]:.2f} |")


if __name__ == "__main__":
    main()
