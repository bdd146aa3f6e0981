"""Peak memory does not grow with the scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from tests.prediction.conftest import make_pixels


def _repeated_scene(path: Path, side: int) -> Path:
    """A scene of side² pixels of 8 bits, built block by block from one block."""
    block = (make_pixels(512, 512) // 40).astype(np.uint8)
    profile = {
        **{"driver": "GTiff", "dtype": "uint8", "count": 3, "height": side, "width": side, "nodata": 0},
        **{"crs": "EPSG:32720", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 9000000)},
        **{"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1},
    }
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, side, 512):
            for col in range(0, side, 512):
                file.write(np.roll(block, row + col, axis=2), window=Window(col, row, 512, 512))
    return path


def _peak(command: list[str]) -> int:
    """Largest resident size of a command, in bytes."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=True
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.split()[-1]) * unit


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sixteen_times_the_pixels_take_the_same_memory(tmp_path: Path) -> None:
    """With the shipped forest model, as a user would run it."""
    peaks = {}
    for side in (4096, 16384):
        scene = _repeated_scene(tmp_path / f"{side}.tif", side)
        peaks[side] = _peak(
            [
                *(sys.executable, "-m", "geoseg", "predict", str(scene)),
                *("--model", "forest-s2-rgb", "--out", str(tmp_path / f"out{side}")),
            ]
        )
    assert peaks[16384] < 1.10 * peaks[4096], peaks
