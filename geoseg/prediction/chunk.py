"""What one worker does to one chunk: read, pad, run the engine, stitch, write. No scheduler in sight."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice, Tta
from geoseg.engines.engine import Engine
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.pixels import decide
from geoseg.engines.segments import SegmentEngine
from geoseg.errors import InputError
from geoseg.execution.progress import count_tiles
from geoseg.geometry import Chunk, Tile, TilePlan, Window
from geoseg.legend import NODATA
from geoseg.models.object_rule import Task
from geoseg.prediction.stitch import FULL_SHARE, NO_CONFIDENCE, BlendAccumulator, batches, cut_tile
from geoseg.raster.burn import burn_mask
from geoseg.raster.scene import Scene
from geoseg.raster.store import WorkStore

CLASSES, CONFIDENCE = "classes", "confidence"

_Maps = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # labels and confidence of the chunk, filled in place


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What a worker needs to open the engine: paths and digests travel, never weights.

    Attributes
    ----------
    bundles
        Folder or name of every bundle.
    digests
        Their digests as the driver saw them; others on the worker are refused.
    choice
        What the driver decided.
    task
        What the bundles are asked for.
    everything
        Pixels between the points at which a promptable bundle is asked.
    """

    bundles: tuple[str, ...]
    digests: tuple[str, ...]
    tta: Tta
    choice: EngineChoice
    task: Task
    everything: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRequest:
    """All that is the same for every chunk of a run.

    Attributes
    ----------
    aoi
        Polygons of the area of interest in global pixel coordinates; None means everywhere.
    batch
        Tiles per forward pass.
    """

    scene: Scene
    plan: TilePlan
    engine: EngineRequest
    store: Path
    batch: int
    aoi: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRecord:
    """What is known of a finished chunk; small, since it is all that travels back.

    Attributes
    ----------
    digests
        Digest of each layer as stored; empty where the whole chunk is nodata.
    counts
        Pixels of each label that occurs, nodata included.
    tiles
        Tiles given to the engine, padding of the last batch left out.
    skipped
        Tiles without a valid pixel in their core.
    seconds
        Wall time on the worker.
    engine
        Identity of the engine that ran; empty where none was needed.
    """

    digests: dict[str, str]
    counts: dict[int, int]
    tiles: int
    skipped: int
    seconds: float
    engine: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What the ledger stores; keys of `counts` become text there."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ChunkRecord:
        """Record that `to_json` gave, after a round trip through JSON."""
        return cls(**{**stored, "counts": {int(k): v for k, v in stored["counts"].items()}})


@lru_cache(maxsize=2)
def engine_for(request: EngineRequest) -> Engine:
    """Engine of a request, opened once per process.

    Raises
    ------
    InputError
        The bundle here is not the one that the run was started with.
    """
    return same_ensemble(request).open(request.choice)


def same_ensemble(request: EngineRequest) -> Ensemble:
    """The bundles that the run was started with; InputError where one is another now."""
    ensemble = Ensemble.load(request.bundles, tta=request.tta, task=request.task)
    for named, bundle, expected in zip(request.bundles, ensemble.bundles, request.digests, strict=True):
        if bundle.digest != expected:
            raise InputError(
                "the model changed since the run was started",
                where=named,
                why=f"digest {bundle.digest[:12]}, expected {expected[:12]}",
                hint="the original bundle, or `overwrite` to start again",
            )
    return ensemble


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is to be answered in one chunk, and what is there to see.

    Attributes
    ----------
    place, wanted
        The chunk, with pixels around it where these were asked for, inside the scene; and which of its
        pixels are to have an answer: data, inside the area of interest, not under a mask.
    tiles, skipped
        Tiles with a say in a wanted pixel, in row-major order, and the number of the others.
    pixels, valid, halo
        What these tiles see (C, h, w), which of it is data (h, w), and where it lies; empty without tiles.
    """

    place: Window
    wanted: NDArray[np.bool_]
    tiles: list[Tile]
    skipped: int
    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    halo: Window


def look(request: ChunkRequest, chunk: Chunk, *, around: int = 0) -> Look:
    """What is to be answered in a chunk and `around` pixels about it, read from the scene."""
    scene, plan = request.scene, request.plan
    place = chunk.window.grow(around).clip(*scene.grid.shape)
    # outside the area of interest and under a mask pixels are still good context; they only get no label
    wanted = np.ones(place.shape, np.bool_) if request.aoi is None else burn_mask(request.aoi, place)
    if scene.cover is not None:
        wanted &= scene.cover.seen(scene.grid, place)
    candidates = plan.tiles_of(chunk)
    tiles = [t for t in candidates if _deserves(t, plan, chunk, wanted, place)]
    pixels, valid, halo = np.zeros((0, 0, 0)), np.zeros((0, 0), np.bool_), Window(0, 0, 0, 0)
    if tiles:  # only what these tiles see is read: a small area of interest costs no more than itself
        halo = plan.seen_by(tiles).grow(max(around - plan.margin, 0)).clip(*scene.grid.shape)
        pixels, valid = scene.uncovered.read(halo)
        held = halo.intersect(place)
        wanted[held.slices_in(place)] &= valid[held.slices_in(halo)]
        tiles = [t for t in tiles if _deserves(t, plan, chunk, wanted, place)]
    return Look(
        place=place,
        wanted=wanted,
        tiles=tiles,
        skipped=len(candidates) - len(tiles),
        pixels=pixels,
        valid=valid,
        halo=halo,
    )


def predict_chunk(request: ChunkRequest, index: int) -> ChunkRecord:
    """Record of one chunk, after its labels and confidence are in the work store."""
    started = time.perf_counter()
    chunk = request.plan.chunk_at(index)
    seen = look(request, chunk)
    labels = np.full(chunk.window.shape, NODATA, np.uint8)
    confidence = np.full(chunk.window.shape, NO_CONFIDENCE, np.uint8)
    identity: dict[str, Any] = {}
    if seen.tiles:
        engine = engine_for(request.engine)
        identity = identity_of(engine, request.batch)
        stitch = _blend if request.plan.stitch == "blend" else _crop
        cutter = Cutter(request=request, seen=seen, filled=engine.takes_batches)
        stitch(engine, cutter, seen.tiles, chunk.window, (labels, confidence))
        labels[~seen.wanted] = NODATA
        confidence[~seen.wanted] = NO_CONFIDENCE
    digests = {}
    if (labels != NODATA).any():  # a chunk without any answer is not stored
        store = WorkStore.open(request.store)
        layers = {CLASSES: labels, CONFIDENCE: confidence}
        digests = {layer: store.write(layer, chunk.window, array) for layer, array in layers.items()}
    counts = np.bincount(labels.ravel(), minlength=256)
    return ChunkRecord(
        digests=digests,
        counts={int(i): int(counts[i]) for i in np.flatnonzero(counts)},
        tiles=len(seen.tiles),
        skipped=seen.skipped,
        seconds=round(time.perf_counter() - started, 3),
        engine=identity,
    )


def identity_of(engine: Engine | SegmentEngine, batch: int) -> dict[str, Any]:
    """What decides the bits of an engine's answers, given batches of this size."""
    # where it takes batches their shape chooses the kernels
    return {**engine.identity, **({"batch": batch} if engine.takes_batches else {})}


def _deserves(tile: Tile, plan: TilePlan, chunk: Chunk, wanted: NDArray[np.bool_], place: Window) -> bool:
    """Whether a tile has a say in any wanted pixel of the chunk.

    With crop it decides its core, with blend all that it sees: so a wanted pixel gets every tile that reaches
    it, whatever the chunk.
    """
    decides = (tile.window if plan.stitch == "blend" else tile.core).intersect(chunk.window)
    return bool(wanted[decides.slices_in(place)].any())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutter:
    """Tiles of one chunk in batches.

    Attributes
    ----------
    seen
        What there is to cut them from.
    filled
        Whether all batches have the same shape, which there is part of what makes labels repeatable.
    """

    request: ChunkRequest
    seen: Look
    filled: bool

    @property
    def plan(self) -> TilePlan:
        """The tiles' plan."""
        return self.request.plan

    def batches(self, tiles: list[Tile]) -> Iterator[tuple[list[Tile], NDArray[Any], NDArray[np.bool_]]]:
        """(tiles, raw (N, C, T, T), valid (N, T, T)); what a batch is filled up with is zeros."""
        plan, seen, batch = self.plan, self.seen, self.request.batch
        for group in batches(tiles, batch):
            size = batch if self.filled else len(group)
            raw = np.zeros((size, len(seen.pixels), *plan.tile), seen.pixels.dtype)
            valid = np.ones((size, *plan.tile), np.bool_)
            for i, tile in enumerate(group):
                raw[i] = cut_tile(seen.pixels, seen.halo, tile, plan)
                (valid[i],) = cut_tile(seen.valid[None], seen.halo, tile, plan)
            yield group, raw, valid
            count_tiles(self.request.store, len(group))


def _crop(engine: Engine, cutter: Cutter, tiles: list[Tile], window: Window, maps: _Maps) -> None:
    labels, confidence = maps
    for group, raw, valid in cutter.batches(tiles):
        got_labels, got_confidence = engine.classify(raw, valid)
        for i, tile in enumerate(group):
            inside, target = tile.core.slices_in(tile.window), tile.core.slices_in(window)
            labels[target] = got_labels[i][inside]
            confidence[target] = got_confidence[i][inside]


def _blend(engine: Engine, cutter: Cutter, tiles: list[Tile], window: Window, maps: _Maps) -> None:
    labels, confidence = maps
    accumulator: BlendAccumulator | None = None
    by_row: dict[int, list[Tile]] = {}
    for tile in tiles:
        by_row.setdefault(tile.row, []).append(tile)
    for row, in_row in sorted(by_row.items()):
        if accumulator is None:
            accumulator = BlendAccumulator(cutter.plan, window, len(engine.legend))
        for group, raw, valid in cutter.batches(in_row):
            probabilities = engine.probabilities(raw, valid)
            for i, tile in enumerate(group):
                accumulator.add(tile, probabilities[i])
        last = row + 1 not in by_row  # a gap of skipped tiles ends the sums just as the chunk's end does
        done, sums = accumulator.finish_row(last=last)
        if done:
            target = done.slices_in(window)
            labels[target], confidence[target] = decide(sums, FULL_SHARE, engine.legend)
        if last:
            accumulator = None
