"""Class map to GeoPackage: geoseg against rasterio.features.shapes + shapely + geopandas, side by side.

    python -m benchmarks.polygons                       # both maps at 4096 x 4096, best of 3 interleaved runs
    python -m benchmarks.polygons --side 2048 --repeat 1
    python -m benchmarks.polygons --map landcover.tif   # any class map of yours

Both read the same GeoTIFF and write a GeoPackage with a spatial index. The last column says whether the two
files hold the same polygons. CPU seconds stand beside wall seconds: they depend less on what else runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

_TRANSFORM = Affine(10, 0, 300_000, 0, -10, 9_000_000)
_CRS = "EPSG:32720"


def make_map(
    side: int, *, sigma: float, speckle: float, classes: int = 6, seed: int = 0
) -> NDArray[np.uint8]:
    """Class map of smooth blobs `sigma` pixels wide, with a share of pixels that are another class."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((side, side), np.float32), sigma, mode="wrap")
    limits = np.quantile(field[::7, ::7], np.linspace(0, 1, classes + 1)[1:-1])
    made = np.digitize(field, limits).astype(np.uint8)
    spots = rng.random((side, side), np.float32) < speckle
    made[spots] = rng.integers(0, classes, int(spots.sum()))
    return made


MAPS = {"smooth": {"sigma": 12.0, "speckle": 0.002}, "busy": {"sigma": 6.0, "speckle": 0.04}}


def ours(source: Path, out: Path) -> int:
    """Number of polygons that geoseg writes."""
    import geoseg

    return geoseg.vectorize(source, out=out, overwrite=True).polygons


def peers(source: Path, out: Path) -> int:
    """Number of polygons that rasterio, shapely and geopandas write, as their documentation shows it."""
    import geopandas as gpd
    from rasterio.features import shapes
    from shapely.geometry import shape

    with rasterio.open(source) as dataset:
        classes = dataset.read(1)
        found = shapes(classes, mask=classes != 255, connectivity=4, transform=dataset.transform)
        geometries, ids = [], []
        for geometry, value in found:
            geometries.append(shape(geometry))
            ids.append(int(value))
        frame = gpd.GeoDataFrame({"class_id": ids}, geometry=geometries, crs=dataset.crs)
    out.unlink(missing_ok=True)
    frame.to_file(out, driver="GPKG", layer="landcover")
    return len(frame)


def same_polygons(one: Path, other: Path) -> bool:
    """Whether two files hold the same polygons of the same classes."""
    import geopandas as gpd
    import shapely

    sets = []
    for path in (one, other):
        frame = gpd.read_file(path, layer="landcover")
        plain = shapely.normalize(frame.geometry.explode(index_parts=False).values)
        sets.append(sorted(zip(frame.class_id.tolist(), shapely.to_wkb(plain).tolist(), strict=True)))
    return sets[0] == sets[1]


def timed(run: Callable[[], int]) -> tuple[float, float, int]:
    """(wall seconds, CPU seconds, polygons) of one run."""
    started, worked = time.perf_counter(), time.process_time()
    polygons = run()
    return time.perf_counter() - started, time.process_time() - worked, polygons


def compare(name: str, source: Path, folder: Path, repeat: int) -> str:
    """Line of the table for one map."""
    mine, theirs = folder / "ours.gpkg", folder / "theirs.gpkg"
    wall, work = np.full(2, np.inf), np.full(2, np.inf)
    for _ in range(repeat):  # interleaved, so that a busy moment of the machine hits both
        for i, run in enumerate((lambda: ours(source, mine), lambda: peers(source, theirs))):
            seconds, cpu, polygons = timed(run)
            wall[i], work[i] = min(wall[i], seconds), min(work[i], cpu)
    with rasterio.open(source) as dataset:
        mpx = dataset.width * dataset.height / 1e6
    equal = "yes" if same_polygons(mine, theirs) else "NO"
    times = " | ".join(f"{w:.2f} ({c:.2f})" for w, c in zip(wall, work, strict=True))
    return (
        f"| {name} | {mpx:.1f} | {polygons:,} | {times} "
        f"| {wall[1] / wall[0]:.1f}x ({work[1] / work[0]:.1f}x) | {mpx / wall[0]:.1f} | {equal} |"
    )


def write_map(path: Path, classes: NDArray[np.uint8]) -> Path:
    """Path of a tiled, compressed GeoTIFF of a class map."""
    height, width = classes.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": height, "width": width}
    tiling = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": 255}
    with rasterio.open(path, "w", **profile, **tiling, crs=_CRS, transform=_TRANSFORM) as sink:
        sink.write(classes, 1)
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--map", type=Path, action="append", default=[], help="A class map instead.")
    options = parser.parse_args()
    print("Wall seconds (CPU seconds).")
    print("| map | Mpx | polygons | geoseg | rasterio + shapely + geopandas | ratio | Mpx/s | equal |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = write_map(folder / "warm.tif", make_map(256, **MAPS["busy"]))
        ours(warm, folder / "warm.gpkg")  # compiled code is loaded once per process
        maps = [(path.stem, path) for path in options.map] or [
            (kind, write_map(folder / f"{kind}.tif", make_map(options.side, **MAPS[kind]))) for kind in MAPS
        ]
        for label, source in maps:
            print(compare(label, source, folder, options.repeat), flush=True)


if __name__ == "__main__":
    main()
