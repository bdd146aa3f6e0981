"""Simplified coverages: geoseg against shapely.coverage_simplify and per-polygon simplify, on the same map.

    python -m benchmarks.coverage landcover.tif                 # a crop of 3000 x 3000 pixels from its middle
    python -m benchmarks.coverage landcover.tif --side 0        # the whole map
    python -m benchmarks.coverage                               # a made-up map
    python -m benchmarks.coverage landcover.tif --side 0 --tolerance 4 --pictures out

All start from the same class map. The seconds of the others are those of simplifying alone: they get the
exact polygons, with a vertex wherever borders meet, for nothing. geoseg's are labels, tracing and simplifying
together; "exact" is the same without simplifying. Tolerances are in pixels. coverage_simplify's is the root
of an area, so it is also given the one at which it leaves as many vertices as geoseg does. Errors of area are
those of classes of 1000 pixels and more; "moved" is the Hausdorff distance, the worst of 2000 polygons.
For geoseg's first line every class follows, small ones too. `--pictures` draws, for the last tolerance, the
exact polygons, geoseg's and those that were simplified each for itself, in three nested windows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from benchmarks.coverage_pictures import Color, Drawing, write_pictures
from benchmarks.polygons import MAPS, make_map
from geoseg.outlines.borders import CELL
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.seams import Rings, joined_rings
from geoseg.outlines.shapes import shapes_of
from geoseg.outlines.stream import stream_shapes

Polygons = NDArray[np.object_]


def traced(a: NDArray[np.uint8], g: Generalization | None) -> tuple[NDArray[np.uint8], Rings]:
    """(class of each polygon, polygons) of a map."""
    height, width = a.shape
    padded = np.pad(a, 1, constant_values=255)
    chunks = (
        shapes_of(
            np.ascontiguousarray(padded[r : r + CELL + 2, c : c + CELL + 2]),
            row=r,
            col=c,
            scene_width=width,
            generalization=g,
        )
        for r in range(0, height, CELL)
        for c in range(0, width, CELL)
    )
    parts = [s.part(0, len(s.regions)) for s in stream_shapes(chunks, -(-width // CELL))]
    return np.concatenate([r["class_id"] for r, _ in parts]), joined_rings([rings for _, rings in parts])


def as_shapely(rings: Rings, scale: int) -> Polygons:
    """Polygons in pixels, rows up."""
    xy = np.column_stack([rings.points[:, 1], -rings.points[:, 0]]) / scale
    sizes = np.diff(rings.ring_offsets)
    closed = np.repeat(np.arange(len(xy)), 1 + np.isin(np.arange(len(xy)), rings.ring_offsets[1:] - 1))
    closed[np.cumsum(sizes + 1) - 1] = rings.ring_offsets[:-1]
    ring_offsets = np.concatenate([[0], np.cumsum(sizes + 1)])
    made: Polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, xy[closed], (ring_offsets, rings.polygon_offsets)
    )
    return made


def timed(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """(best seconds, result)."""
    best, made = np.inf, None
    for _ in range(repeat):
        started = time.perf_counter()
        made = work()
        best = min(best, time.perf_counter() - started)
    return best, made


def vertices_of(polygons: Polygons) -> int:
    """Number of vertices, none counted twice."""
    rings = shapely.get_num_interior_rings(polygons).sum() + len(polygons)
    return int(shapely.get_num_coordinates(polygons).sum() - rings)


def report(name: str, seconds: float, made: Polygons, exact: Polygons, ids: NDArray[np.uint8]) -> int:
    """Print one line; number of vertices."""
    vertices = int(
        shapely.get_num_coordinates(made).sum() - shapely.get_num_interior_rings(made).sum() - len(made)
    )
    before = np.bincount(ids, shapely.area(exact), 256)
    after = np.bincount(ids, shapely.area(made), 256)
    seen = before >= 1000
    error = np.abs(after[seen] / before[seen] - 1)
    sample = np.random.default_rng(0).permutation(len(exact))[:2000]
    moved = shapely.hausdorff_distance(shapely.boundary(exact[sample]), shapely.boundary(made[sample]))
    valid = bool(shapely.is_valid(made).all() and shapely.coverage_is_valid(made))
    print(
        f"{name:<34}{seconds:>9.2f}{vertices:>12,}{error.mean():>10.3%}{error.max():>10.3%}"
        f"{np.nanmax(moved):>9.2f}  {'yes' if valid else 'no'}",
        flush=True,
    )
    return vertices


def report_classes(made: Polygons, exact: Polygons, ids: NDArray[np.uint8]) -> None:
    """Print what every class is off by, in the order of their sizes."""
    before = np.bincount(ids, shapely.area(exact), 256)
    after = np.bincount(ids, shapely.area(made), 256)
    for k in np.argsort(-before)[: np.count_nonzero(before)]:
        off = after[k] - before[k]
        print(
            f"    class {k:<3}{before[k]:>14,.0f} pixels{off:>+12,.1f}{off / before[k]:>+10.3%}", flush=True
        )


def same_vertices(noded: Polygons, wanted: int) -> float:
    """Tolerance at which coverage_simplify leaves this many vertices, by bisection."""
    low, high = 0.5, 64.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        made = shapely.coverage_simplify(noded, middle)
        count = (
            shapely.get_num_coordinates(made).sum() - shapely.get_num_interior_rings(made).sum() - len(made)
        )
        low, high = (low, middle) if count < wanted else (middle, high)
    return high


def read(path: Path | None, side: int) -> tuple[NDArray[np.uint8], dict[int, Color]]:
    """(class map, or a square from its middle; colours of classes)."""
    colors: dict[int, Color] = {k: hsv_to_rgb((k * 0.618 % 1, 0.7, 0.8)) for k in range(256)}
    if path is None:
        return make_map(side or 3000, **MAPS["busy"]), colors
    with rasterio.open(path) as dataset:
        a = dataset.read(1)
        if dataset.nodata is not None:
            a[a == dataset.nodata] = 255
        with suppress(ValueError):  # no colour table
            palette = dataset.colormap(1)
            colors |= {k: (r / 255, g / 255, b / 255) for k, (r, g, b, _) in palette.items()}
    if side:
        top, left = (max(n - side, 0) // 2 for n in a.shape)
        a = a[top : top + side, left : left + side]
    return np.ascontiguousarray(a, np.uint8), colors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("map", type=Path, nargs="?")
    parser.add_argument("--side", type=int, default=3000)
    parser.add_argument("--tolerance", type=float, nargs="+", default=[1.5, 4.0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write pictures into this folder")
    arguments = parser.parse_args()
    a, colors = read(arguments.map, arguments.side)
    # compiled before anything is timed
    for rounds in (0, 2):
        traced(a[:64, :64].copy(), Generalization(down=1, across=1, rounds=rounds))
    seconds, (ids, rings) = timed(lambda: traced(a, None), arguments.repeat)
    noded = as_shapely(traced(a, Generalization(down=1, across=1, thins=False, cell=CELL))[1], 1)
    print(f"{a.shape[0]:,} x {a.shape[1]:,} pixels, {len(ids):,} polygons, shapely {shapely.__version__}")
    print(f"{'':<34}{'seconds':>9}{'vertices':>12}{'area err.':>10}{'worst':>10}{'moved':>9}  valid coverage")
    report("exact", seconds, as_shapely(rings, 1), noded, ids)
    report("exact, a vertex where borders meet", seconds, noded, noded, ids)
    for tolerance in arguments.tolerance:
        counts: list[int] = []
        for name, options in (
            ("geoseg visvalingam", {}),
            ("geoseg douglas-peucker", {"method": "douglas-peucker"}),
            ("geoseg visvalingam, smooth 1", {"rounds": 1}),
        ):
            g = Generalization(down=1 / tolerance, across=1 / tolerance, **options)
            seconds, (_, made) = timed(lambda g=g: traced(a, g), arguments.repeat)
            ours = as_shapely(made, g.scale)
            counts.append(report(f"{name} {tolerance:g}", seconds, ours, noded, ids))
            if len(counts) == 1:
                report_classes(ours, noded, ids)
                coverage = ours
        for alike in (tolerance, same_vertices(noded, counts[0])):
            seconds, made = timed(lambda t=alike: shapely.coverage_simplify(noded, t), arguments.repeat)
            report(f"coverage_simplify {alike:.2f}", seconds, made, noded, ids)
        seconds, made = timed(lambda t=tolerance: shapely.simplify(noded, t), arguments.repeat)
        report(f"simplify, each for itself {tolerance:g}", seconds, made, noded, ids)
    if arguments.pictures is not None:
        drawings = [
            Drawing(title=title, polygons=polygons, ids=ids)
            for title, polygons in (
                ("exact polygons", noded),
                (f"geoseg, {tolerance:g} pixels", coverage),
                (f"each simplified for itself, {tolerance:g} pixels", made),
            )
        ]
        for path in write_pictures(arguments.pictures, a, drawings, colors):
            print(path)


if __name__ == "__main__":
    main()
