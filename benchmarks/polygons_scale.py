"""Class maps far larger than memory to polygons: seconds, peak memory and file size by side of the map.

    python -m benchmarks.polygons_scale                                   # 4096 to 32768, smooth and busy
    python -m benchmarks.polygons_scale --side 65536 --map smooth --out .gpkg --folder /var/tmp

A map is a tile of 2048 x 2048 pixels of `benchmarks.polygons`, whose sides fit each other, repeated in both
directions and written window by window. The vectorization is a process of its own; peak resident memory, wall
and CPU seconds are those of the whole process, imports included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import rasterio
from rasterio.windows import Window

from benchmarks.polygons import _CRS, _TRANSFORM, MAPS, make_map

_TILE = 2048
_RUN = """
import resource, sys, time
started = time.perf_counter()
import geoseg
polygons = geoseg.vectorize(sys.argv[1], out=sys.argv[2], overwrite=True).polygons
used = resource.getrusage(resource.RUSAGE_SELF)
print(polygons, time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def write_tiled_map(path: Path, side: int, kind: str) -> Path:
    """Path of a compressed GeoTIFF of side x side pixels, written tile by tile."""
    tile = make_map(_TILE, **MAPS[kind])
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": side, "width": side, "nodata": 255}
    tiling = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(
        path, "w", **profile, **tiling, bigtiff="if_safer", crs=_CRS, transform=_TRANSFORM
    ) as sink:
        for row in range(0, side, _TILE):
            for col in range(0, side, _TILE):
                height, width = min(_TILE, side - row), min(_TILE, side - col)
                sink.write(tile[:height, :width], 1, window=Window(col, row, width, height))
    return path


def measured(source: Path, out: Path) -> str:
    """Cells of the table: polygons, wall and CPU seconds, peak memory, file size."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(source), str(out)], check=True, capture_output=True, text=True
    )
    polygons, wall, cpu, kilobytes = done.stdout.split()
    size = out.stat().st_size
    return (
        f"{int(polygons):,} | {float(wall):.1f} | {float(cpu):.1f} | {int(kilobytes) / 1024:.0f} "
        f"| {size / 1e9:.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, action="append", help="Default: 4096 8192 16384 32768.")
    parser.add_argument("--map", choices=MAPS, action="append", help="Default: both.")
    parser.add_argument("--out", action="append", help="Suffixes; default: .gpkg .parquet")
    parser.add_argument("--folder", type=Path, help="Where the files lie while they are needed.")
    options = parser.parse_args()
    print("| map | format | polygons | wall s | CPU s | peak MiB | GB |")
    print("|---|---|---|---|---|---|---|")
    for kind in options.map or MAPS:
        for side in options.side or (4096, 8192, 16384, 32768):
            with tempfile.TemporaryDirectory(dir=options.folder) as name:
                source = write_tiled_map(Path(name) / "map.tif", side, kind)
                for suffix in options.out or (".gpkg", ".parquet"):
                    out = Path(name) / f"polygons{suffix}"
                    print(f"| {kind} {side} x {side} | {suffix} | {measured(source, out)} |", flush=True)
                    out.unlink()


if __name__ == "__main__":
    main()
