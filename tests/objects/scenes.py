"""A drawn scene of objects, and tiles that see it a little differently each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.engines.painting import paint
from geoseg.engines.segments import Detections, TileSegments
from geoseg.geometry import Tile, TilePlan
from geoseg.models.object_rule import ObjectRule
from geoseg.objects.joining import Objects, join_objects
from geoseg.objects.packing import pack, unpack
from geoseg.objects.pieces import PiecePainter, match_of

Seen = dict[tuple[int, int], TileSegments]


def draw(side: int, sizes: Sequence[tuple[int, int]], seed: int, gap: int = 1) -> NDArray[np.int64]:
    """(side, side): turned rectangles of (length, width) pixels that do not touch, numbered from 1."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((side, side), np.int64)
    taken = np.zeros((side, side), np.bool_)
    for length, width in sizes:
        for _ in range(60):
            angle = rng.uniform(0, np.pi)
            reach = int(np.hypot(length, width) / 2) + gap + 2
            row, col = rng.uniform(0, side, 2)
            top, left = max(int(row) - reach, 0), max(int(col) - reach, 0)
            rows, cols = np.mgrid[top : min(int(row) + reach, side), left : min(int(col) + reach, side)]
            along = (rows - row) * np.sin(angle) + (cols - col) * np.cos(angle)
            across = (rows - row) * np.cos(angle) - (cols - col) * np.sin(angle)
            place = np.s_[top : top + rows.shape[0], left : left + rows.shape[1]]
            wide = (abs(along) <= length / 2 + gap) & (abs(across) <= width / 2 + gap)
            if (wide & taken[place]).any():
                continue
            taken[place] |= wide
            ids[place][(abs(along) <= length / 2) & (abs(across) <= width / 2)] = ids.max() + 1
            break
    return ids


def see(
    ids: NDArray[np.int64],
    plan: TilePlan,
    tile: Tile,
    rule: ObjectRule,
    *,
    miss: float = 0,
    wobble: bool = False,
) -> TileSegments:
    """What a network of limited virtue sees in a tile: a draw that depends on the tile alone."""
    return paint(detected(ids, plan, tile, miss=miss, wobble=wobble), rule, shape=plan.tile)


def detected(
    ids: NDArray[np.int64], plan: TilePlan, tile: Tile, *, miss: float = 0, wobble: bool = False
) -> Detections:
    """Objects of a tile with outlines that are a pixel off and scores of their own; some are missed."""
    rng = np.random.default_rng([tile.row, tile.col])
    seen = tile.window.clip(plan.height, plan.width)
    shown = np.zeros(plan.tile, np.int64)
    shown[seen.slices_in(tile.window)] = ids[seen.row : seen.row_end, seen.col : seen.col_end]
    scores, boxes, masks = [], [], []
    for value, box in enumerate(ndimage.find_objects(shown), start=1):
        if box is None:
            continue
        score, how, missed = rng.uniform(0.5, 1), rng.integers(3), rng.random() < miss
        if missed:
            continue
        mask = np.pad(shown[box] == value, 1)
        if wobble and how:
            change = ndimage.binary_dilation if how == 1 else ndimage.binary_erosion
            mask = change(mask)
        scores.append(score)
        boxes.append([box[0].start - 1, box[1].start - 1, box[0].stop + 1, box[1].stop + 1])
        masks.append(mask.astype(np.float32))
    return Detections(
        scores=np.array(scores),
        classes=np.ones(len(scores), np.int64),
        boxes=np.array(boxes, np.int64).reshape(-1, 4),
        masks=masks,
    )


def merged(plan: TilePlan, seen: Seen, rule: ObjectRule) -> tuple[Objects, NDArray[np.uint32]]:
    """(objects, their raster) as chunk tasks and the join over them make them."""
    match = match_of(rule.match)
    packed, rasters, counts = {}, {}, {}
    for chunk in plan.iter_chunks():
        wanted = np.zeros((chunk.window.height + 2, chunk.window.width + 2), np.bool_)
        inside = chunk.window.grow(1).clip(plan.height, plan.width)
        wanted[inside.slices_in(chunk.window.grow(1))] = True
        painter = PiecePainter(plan, chunk, wanted, match)
        for tile in plan.tiles_of(chunk):
            if (tile.row, tile.col) in seen:
                painter.add(tile, seen[tile.row, tile.col])
        pieces = painter.finish()
        packed[chunk.index], rasters[chunk.index] = pack(pieces.table, pieces.rim), pieces.ids
        counts[chunk.index] = len(pieces.table)
    objects = join_objects(
        plan, counts, lambda index: unpack(packed[index]), match=match, min_pixels=rule.min_pixels
    )
    raster = np.zeros((plan.height, plan.width), np.uint32)
    for chunk in plan.iter_chunks():
        w = chunk.window
        raster[w.row : w.row_end, w.col : w.col_end] = objects.raster(
            chunk.index, rasters[chunk.index], counts[chunk.index]
        )
    return objects, raster
