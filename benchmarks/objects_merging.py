"""Which rule makes objects of a scene out of those of its tiles: copies, pieces and long objects, by rule.

A scene is drawn, and every tile sees its objects with outlines that are up to a pixel off and misses some,
each tile in a way of its own. The rules of other tools are written anew from their sources: greedy merging of
boxes (SAHI, `postprocess/combine.py`), suppression of boxes (geoai and DeepForest), union of what does not
touch a tile's edge (detectree2, `outputs.py`), and the tile whose core holds the centre.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import TilePlan, plan_tiles
from geoseg.models.object_rule import ObjectRule
from tests.objects.scenes import Seen, draw, merged, see

Pixels = NDArray[np.int64]
RULE = ObjectRule(min_pixels=12, per_tile=5000)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """One segment of one tile in the scene's pixels."""

    score: int
    box: tuple[int, int, int, int]
    pixels: Pixels
    centre_inside: bool
    at_tile_edge: bool


def segments_of(seen: Seen, plan: TilePlan) -> list[Segment]:
    """Every segment of every tile, in pixels of the scene, best first."""
    found = []
    for (row, col), tile_seen in seen.items():
        tile = plan.tile_at(row, col)
        window = tile.window
        for k, segment in enumerate(tile_seen.table, start=1):
            rows, cols = np.nonzero(tile_seen.ids == k)
            inner = (rows > 0) & (cols > 0) & (rows < plan.tile[0] - 1) & (cols < plan.tile[1] - 1)
            rows, cols = rows + window.row, cols + window.col
            in_scene = (rows >= 0) & (cols >= 0) & (rows < plan.height) & (cols < plan.width)
            if not in_scene.any():
                continue
            rows, cols = rows[in_scene], cols[in_scene]
            row_in, col_in = tile.core.row <= rows.mean(), tile.core.col <= cols.mean()
            row_in &= rows.mean() < tile.core.row_end
            col_in &= cols.mean() < tile.core.col_end
            found.append(
                Segment(
                    score=int(segment["score"]),
                    box=(rows.min(), cols.min(), rows.max() + 1, cols.max() + 1),
                    pixels=np.sort(rows * plan.width + cols),
                    centre_inside=bool(row_in and col_in),
                    at_tile_edge=not inner.all(),
                )
            )
    return sorted(found, key=lambda s: (-s.score, s.box))


def overlaps(boxes: NDArray[np.int64], box: Sequence[int]) -> NDArray[np.int64]:
    """(n,) pixels that boxes have in common with one."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    return np.prod(np.maximum(high - low, 0), axis=1)


def greedy_boxes(found: list[Segment]) -> list[Pixels]:
    """SAHI's default: every box takes in what it covers by half of the smaller, greedily."""
    boxes = np.array([s.box for s in found])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left, out = np.ones(len(found), bool), []
    for k, segment in enumerate(found):
        if not left[k]:
            continue
        taken = left & (overlaps(boxes, segment.box) > 0.5 * np.minimum(areas, areas[k]))
        left &= ~taken
        out.append(np.unique(np.concatenate([found[j].pixels for j in np.flatnonzero(taken)])))
    return out


def suppressed_boxes(found: list[Segment]) -> list[Pixels]:
    """Boxes that share more than 0.3 of their union with a better one go."""
    boxes = np.array([s.box for s in found])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    left, out = np.ones(len(found), bool), []
    for k, segment in enumerate(found):
        if left[k]:
            common = overlaps(boxes, segment.box)
            left &= common <= 0.3 * (areas + areas[k] - common)
            out.append(segment.pixels)
    return out


def inner_crowns(found: list[Segment]) -> list[Pixels]:
    """detectree2: without what touches a tile's edge; sets of IoU above 0.7 keep their best."""
    found = [s for s in found if not s.at_tile_edge]
    boxes = np.array([s.box for s in found])
    root = list(range(len(found)))

    def find(k: int) -> int:
        while root[k] != k:
            k = root[k]
        return k

    for k, segment in enumerate(found):
        for j in np.flatnonzero(overlaps(boxes, segment.box) > 0).tolist():
            common = len(np.intersect1d(segment.pixels, found[j].pixels, assume_unique=True))
            if j > k and common > 0.7 * (len(segment.pixels) + len(found[j].pixels) - common):
                one, other = sorted((find(k), find(j)))
                root[other] = one
    return [s.pixels for k, s in enumerate(found) if root[k] == k]


def owners(found: list[Segment]) -> list[Pixels]:
    """What the tile says whose core holds the segment's centre."""
    return [s.pixels for s in found if s.centre_inside]


BOX_RULES: dict[str, Callable[[list[Segment]], list[Pixels]]] = {
    "greedy boxes, smaller 0.5 (SAHI)": greedy_boxes,
    "box suppression, IoU 0.3 (geoai)": suppressed_boxes,
    "not at the edge, IoU 0.7 (detectree2)": inner_crowns,
    "owner of the centre": owners,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Objects; matched ones; copies and pieces; mean IoU of matches; long objects that are whole."""

    objects: int
    matched: int
    extra: int
    quality: float
    whole: int


def judged(out: list[Pixels], truth: NDArray[np.int64], longs: int) -> Outcome:
    """How objects fit what was drawn; the first `longs` objects are the long ones."""
    flat, sizes = truth.ravel(), np.bincount(truth.ravel())
    ious: dict[int, float] = {}
    extra = 0
    for pixels in out:
        common = np.bincount(flat[pixels], minlength=len(sizes))
        common[0] = 0
        k = int(common.argmax())
        iou = common[k] / (sizes[k] + len(pixels) - common[k]) if common[k] else 0.0
        if iou > 0.5 and k not in ious:
            ious[k] = iou
        elif 2 * common[k] > len(pixels):
            extra += 1
    return Outcome(
        objects=len(out),
        matched=len(ious),
        extra=extra,
        quality=float(np.mean(list(ious.values()))),
        whole=sum(k in ious for k in range(1, longs + 1)),
    )


def trial(side: int, tile: int, margin: int, seed: int) -> dict[str, Outcome]:
    """Outcome of every rule on one drawn scene."""
    rng = np.random.default_rng(seed)
    longs = [(int(rng.integers(600, 900)), int(rng.integers(10, 20))) for _ in range(6)]
    most = int(2100 * (side / 2304) ** 2)
    sizes = [(int(rng.integers(8, 60)), int(rng.integers(8, 30))) for _ in range(most)]
    truth = draw(side, [*longs, *sizes], seed)
    plan = plan_tiles(side, side, tile=tile, margin=margin, chunk=2 * (tile - 2 * margin), multiple=16)
    rows, cols = plan.lattice
    places = itertools.product(range(rows), range(cols))
    seen = {(r, c): see(truth, plan, plan.tile_at(r, c), RULE, miss=0.04, wobble=True) for r, c in places}
    found = segments_of(seen, plan)
    outcomes = {name: judged(rule(found), truth, len(longs)) for name, rule in BOX_RULES.items()}
    _, raster = merged(plan, seen, RULE)
    order = np.argsort(raster.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(raster.ravel()))
    ours = [order[a:b] for a, b in itertools.pairwise(ends)]
    return {**outcomes, "cores, band IoU 1/2 (geoseg)": judged(ours, truth, len(longs))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2304)
    parser.add_argument("--tile", type=int, default=384)
    parser.add_argument("--margins", type=int, nargs="+", default=[48, 64])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    print("| margin | rule | objects | matched | extra | extra % | SQ | long ones whole |\n|" + "---|" * 8)
    for margin in options.margins:
        trials = [trial(options.side, options.tile, margin, seed) for seed in options.seeds]
        for name in trials[0]:
            of = [t[name] for t in trials]
            objects, matched, extra = (
                sum(getattr(o, f) for o in of) for f in ("objects", "matched", "extra")
            )
            quality = np.mean([o.quality for o in of])
            whole = f"{sum(o.whole for o in of)} of {6 * len(of)}"
            print(
                f"| {margin} | {name} | {objects} | {matched} | {extra} | {extra / objects:.1%} "
                f"| {quality:.3f} | {whole} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
