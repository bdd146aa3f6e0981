"""What one worker does to one chunk for its objects: read, run the engine, paint, match, write."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.opening import open_segment_engine
from geoseg.engines.segments import SegmentEngine
from geoseg.legend import NODATA
from geoseg.objects.packing import pack
from geoseg.objects.pieces import PiecePainter, around, match_of
from geoseg.prediction.chunk import ChunkRequest, Cutter, EngineRequest, identity_of, look, same_ensemble
from geoseg.raster.store import WorkStore

PIECES, RIM, STUFF = "pieces", "rim", "stuff"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """What is known of a finished chunk.

    Attributes
    ----------
    digests
        Digest of each layer as stored; empty where nothing was asked of the chunk.
    pieces
        Objects as far as the chunk knows them.
    wanted
        Pixels that were to have an answer.
    capped
        Tiles with more objects than they may have.
    tiles, skipped, seconds, engine
        As in `geoseg.prediction.chunk.ChunkRecord`.
    """

    digests: dict[str, str]
    pieces: int
    wanted: int
    capped: int
    tiles: int
    skipped: int
    seconds: float
    engine: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What the ledger stores."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ObjectRecord:
        """Record that `to_json` gave."""
        return cls(**stored)


@lru_cache(maxsize=2)
def segment_engine_for(request: EngineRequest) -> SegmentEngine:
    """Engine of a request, opened once per process; InputError where the bundle is another now."""
    (bundle,) = same_ensemble(request).bundles
    return open_segment_engine(bundle, request.choice, everything=request.everything)


def find_objects(request: ChunkRequest, match: float, index: int) -> ObjectRecord:
    """Record of one chunk, after its pieces of objects are in the work store.

    `match` is that of the model's `ObjectRule`.
    """
    started = time.perf_counter()
    chunk = request.plan.chunk_at(index)
    seen = look(request, chunk, around=1)
    digests: dict[str, str] = {}
    identity: dict[str, Any] = {}
    pieces = capped = 0
    wanted = around(chunk.window, seen.wanted, seen.place)
    if seen.tiles:
        engine = segment_engine_for(request.engine)
        identity = identity_of(engine, request.batch)
        painter = PiecePainter(request.plan, chunk, wanted, match_of(match))
        cutter = Cutter(request=request, seen=seen, filled=engine.takes_batches)
        for group, raw, valid in cutter.batches(seen.tiles):
            for tile, found in zip(group, engine.segments(raw, valid), strict=False):
                painter.add(tile, found)
        made = painter.finish()
        pieces, capped = len(made.table), made.capped
        store = WorkStore.open(request.store)
        layers: dict[str, NDArray[Any]] = {PIECES: made.ids, RIM: pack(made.table, made.rim)}
        if made.stuff is not None:
            layers[STUFF] = np.where(wanted[1:-1, 1:-1], made.stuff, np.uint8(NODATA))
        digests = {layer: store.write(layer, chunk.window, array) for layer, array in layers.items()}
    return ObjectRecord(
        digests=digests,
        pieces=pieces,
        wanted=int(np.count_nonzero(wanted[1:-1, 1:-1])) if seen.tiles else 0,
        capped=capped,
        tiles=len(seen.tiles),
        skipped=seen.skipped,
        seconds=round(time.perf_counter() - started, 3),
        engine=identity,
    )
