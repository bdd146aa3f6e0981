"""Peak memory follows the width of a map, not its height: a stream, not a heap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from scipy.ndimage import gaussian_filter

from tests.raster.makers import TRANSFORM, UTM

_RUN = """
import resource, sys, geoseg
result = geoseg.vectorize(sys.argv[1], out=sys.argv[2], chunk=512)
print(result.polygons, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def tall_map(path: Path, copies: int, side: int = 2048) -> Path:
    """A tile of blobs and speckle, repeated downwards; no region is taller than a few tiles."""
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.random((side, side), np.float32), 6)
    tile = np.digitize(field, np.quantile(field[::7, ::7], np.linspace(0, 1, 7)[1:-1])).astype(np.uint8)
    spots = rng.random(tile.shape) < 0.02
    tile[spots] = rng.integers(0, 6, int(spots.sum()))
    tile[-1] = 255
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": side, "height": side * copies}
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": 255}
    with rasterio.open(path, "w", **profile, **options, crs=UTM, transform=TRANSFORM) as sink:
        for k in range(copies):
            sink.write(tile, 1, window=Window(0, k * side, side, side))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_eight_times_the_height_takes_the_same_memory(tmp_path: Path, suffix: str) -> None:
    found = {}
    for copies in (8, 64):
        source = tall_map(tmp_path / f"{copies}.tif", copies)
        out = tmp_path / f"{copies}{suffix}"
        command = [sys.executable, "-c", _RUN, str(source), str(out)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=500).stdout
        found[copies] = [int(v) for v in printed.split()]
    assert found[64][0] == 8 * found[8][0]
    # the allocator keeps some memory of threads that ended, more or less as they happened to run
    assert found[64][1] < 1.25 * found[8][1], found
