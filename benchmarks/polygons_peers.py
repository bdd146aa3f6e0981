"""Class map to polygons against peers that need an interpreter of their own: contourrs and gdal_polygonize.

    GEOSEG_CONTOURRS_PYTHON=venv312/bin/python python -m benchmarks.polygons_peers
    python -m benchmarks.polygons_peers --side 2048 --repeat 1 --map landcover.tif

contourrs (Rust) needs Python 3.12 or later with numpy and pyarrow beside it: name its interpreter by the
option --contourrs-python or the variable above. gdal_polygonize.py comes with GDAL (Debian: gdal-bin). What
is not there is left out of the table. Repeats alternate between the tools, the best of each counts, and CPU
seconds of all threads stand beside wall seconds, as they depend less on what else runs.

Arrays: a uint8 array in memory to Arrow-ready well-known binary and class numbers, without attributes.
Files: GeoTIFF to GeoPackage with a spatial index; geoseg also measures hectares and perimeters there.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from benchmarks.polygons import MAPS, make_map, ours, same_polygons, write_map

_VARIABLE = "GEOSEG_CONTOURRS_PYTHON"
_CONTOURRS = """
import resource, sys, time
import numpy as np
import pyarrow as pa
from contourrs import shapes_arrow
source, out = sys.argv[1:]
classes = np.load(source)
small = np.ascontiguousarray(classes[:256, :256])
shapes_arrow(small, mask=small != 255, connectivity=4)
used = resource.getrusage(resource.RUSAGE_SELF)
started = time.perf_counter()
table = shapes_arrow(classes, mask=classes != 255, connectivity=4)
wall = time.perf_counter() - started
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
print(wall, cpu, len(table))
with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of one tool on one map, and the number of its polygons."""

    wall: float
    cpu: float
    polygons: int


Arrays = tuple[NDArray[np.int64], list[bytes]]


def our_arrays(classes: NDArray[np.uint8], threads: int) -> Arrays:
    """(class numbers, well-known binary) of all polygons of an array, as the verb makes them."""
    from geoseg.cleaning.cleaned import chunk_shape
    from geoseg.outlines.shapes import shapes_of
    from geoseg.outlines.stream import stream_shapes
    from geoseg.outlines.wkb import encode

    height, width = classes.shape
    rows, columns = chunk_shape(height, width)
    padded = np.pad(classes, 1, constant_values=255)
    origins = [(r, c) for r in range(0, height, rows) for c in range(0, width, columns)]

    def chunk(origin: tuple[int, int]):  # type: ignore[no-untyped-def]
        r, c = origin
        part = padded[r : min(r + rows, height) + 2, c : min(c + columns, width) + 2]
        return shapes_of(np.ascontiguousarray(part), row=r, col=c, scene_width=width)

    ids, encoded = [], []
    with ThreadPoolExecutor(threads) as pool:
        todo = iter(origins)
        waiting = [pool.submit(chunk, origin) for origin in islice(todo, 2 * threads)]

        def finished():  # type: ignore[no-untyped-def]
            while waiting:
                yield waiting.pop(0).result()
                waiting.extend(pool.submit(chunk, origin) for origin in islice(todo, 1))

        for shapes in stream_shapes(finished(), -(-width // columns)):
            regions, rings = shapes.part(0, len(shapes.regions))
            ids.append(regions["class_id"].astype(np.int64))
            encoded.append(encode(rings.points, rings, transform=Affine.identity()))
    return np.concatenate(ids), encoded  # type: ignore[return-value]


def as_set(ids: NDArray[np.int64], shapes: NDArray[np.object_]) -> list[tuple[int, bytes]]:
    """(class, normalised polygon) in order: equal exactly where the polygons are."""
    import shapely

    plain = shapely.normalize(shapely.get_parts(shapes))
    return sorted(zip(ids.tolist(), shapely.to_wkb(plain).tolist(), strict=True))


def unpacked(encoded) -> NDArray[np.object_]:  # type: ignore[no-untyped-def]
    """Geometries of what `encode` made."""
    import shapely

    found = []
    for part in encoded:
        whole = part.wkb.tobytes()
        found += [whole[a:b] for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True)]
    return np.asarray(shapely.from_wkb(found))


def timed(run: Callable[[], int]) -> Timing:
    """Timing of something in this process or its children."""

    def used() -> float:
        parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(p.ru_utime + p.ru_stime for p in parts)

    before, started = used(), time.perf_counter()
    polygons = run()
    return Timing(wall=time.perf_counter() - started, cpu=used() - before, polygons=polygons)


def contourrs(python: str, source: Path, out: Path) -> Timing:
    """Timing that contourrs measures around its own call, after a small call to warm up."""
    done = subprocess.run(
        [python, "-c", _CONTOURRS, str(source), str(out)], check=True, capture_output=True, text=True
    )
    wall, cpu, polygons = done.stdout.split()
    return Timing(wall=float(wall), cpu=float(cpu), polygons=int(polygons))


def polygonize(tool: str, source: Path, out: Path) -> int:
    """Number of polygons that gdal_polygonize.py writes."""
    import pyogrio

    out.unlink(missing_ok=True)
    subprocess.run(
        [tool, "-q", str(source), "-f", "GPKG", str(out), "landcover", "class_id"],
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return int(pyogrio.read_info(out, layer="landcover")["features"])


def best(timings: list[Timing]) -> Timing:
    """Smallest wall and CPU seconds."""
    return Timing(
        wall=min(t.wall for t in timings),
        cpu=min(t.cpu for t in timings),
        polygons=timings[0].polygons,
    )


def row(name: str, what: str, mine: Timing, peer: str, theirs: Timing, equal: bool) -> str:
    """Line of the table."""
    times = " | ".join(f"{t.wall:.2f} ({t.cpu:.2f})" for t in (mine, theirs))
    ratio = f"{theirs.wall / mine.wall:.1f}x ({theirs.cpu / mine.cpu:.1f}x)"
    return (
        f"| {name} | {what} | {mine.polygons:,} | {peer} | {times} | {ratio} | {'yes' if equal else 'NO'} |"
    )


def compare_arrays(name: str, source: Path, folder: Path, python: str, options: argparse.Namespace) -> str:
    """Line of the table: arrays against contourrs."""
    import pyarrow as pa
    import shapely

    with rasterio.open(source) as dataset:
        classes = dataset.read(1, masked=True).filled(255).astype(np.uint8)
    np.save(folder / "classes.npy", classes)
    mine, theirs = [], []
    found: list[Arrays] = []

    def run() -> int:
        found[:] = [our_arrays(classes, options.threads)]
        return len(found[0][0])

    for _ in range(options.repeat):
        mine.append(timed(run))
        theirs.append(contourrs(python, folder / "classes.npy", folder / "theirs.arrow"))
    with pa.memory_map(str(folder / "theirs.arrow")) as file:
        table = pa.ipc.open_file(file).read_all()
        other = as_set(
            table["value"].to_numpy().astype(np.int64),
            shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)),
        )
    equal = as_set(found[0][0], unpacked(found[0][1])) == other
    return row(name, "arrays", best(mine), "contourrs", best(theirs), equal)


def compare_files(name: str, source: Path, folder: Path, tool: str, options: argparse.Namespace) -> str:
    """Line of the table: GeoPackages against gdal_polygonize."""
    out, other = folder / "ours.gpkg", folder / "theirs.gpkg"
    mine, theirs = [], []
    for _ in range(options.repeat):
        mine.append(timed(lambda: ours(source, out)))
        theirs.append(timed(lambda: polygonize(tool, source, other)))
    return row(name, "files", best(mine), "gdal_polygonize", best(theirs), same_polygons(out, other))


def versions(python: str | None, tool: str | None) -> str:
    """What is compared."""
    found = []
    if python:
        ask = "import importlib.metadata as m; print('contourrs', m.version('contourrs'))"
        found.append(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout)
    if tool and shutil.which("gdalinfo"):
        found.append(
            subprocess.run(["gdalinfo", "--version"], check=True, capture_output=True, text=True).stdout
        )
    return "; ".join(text.strip() for text in found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--map", type=Path, action="append", default=[], help="A class map instead.")
    parser.add_argument("--contourrs-python", default=os.environ.get(_VARIABLE))
    parser.add_argument("--polygonize", default=shutil.which("gdal_polygonize.py"))
    options = parser.parse_args()
    if not (options.contourrs_python or options.polygonize):
        print(f"neither contourrs ({_VARIABLE}) nor gdal_polygonize.py is here: nothing to compare with")
        return
    print(versions(options.contourrs_python, options.polygonize))
    print("Wall seconds (CPU seconds).")
    print("| map | what | polygons | peer | geoseg | peer | ratio | equal |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm = write_map(folder / "warm.tif", make_map(256, **MAPS["busy"]))
        ours(warm, folder / "warm.gpkg")  # compiled code is loaded once per process
        maps = [(path.stem, path) for path in options.map] or [
            (kind, write_map(folder / f"{kind}.tif", make_map(options.side, **MAPS[kind]))) for kind in MAPS
        ]
        for label, source in maps:
            if options.contourrs_python:
                print(compare_arrays(label, source, folder, options.contourrs_python, options), flush=True)
            if options.polygonize:
                print(compare_files(label, source, folder, options.polygonize, options), flush=True)


if __name__ == "__main__":
    main()
