"""The engine that a prediction asks for, and the tiles of its scene that engines are measured on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count as count_from
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.engine import Tiles
from geoseg.errors import InputError
from geoseg.execution.where import Where
from geoseg.geometry import TilePlan
from geoseg.prediction.job import PredictJob
from geoseg.prediction.stitch import cut_tile
from geoseg.raster.scene import Scene

_LOOKED_AT = 25


def asked_engine(job: PredictJob, where: Where) -> EngineChoice:
    """What the job says of the engine, and the threads that one forward pass may use."""
    return EngineChoice(
        name=job.engine, device=job.device, precision=job.precision, threads=where.threads_per_forward
    )


def sample_tiles(scene: Scene, tiling: TilePlan, count: int = 4) -> Tiles | None:
    """`count` tiles from all over the scene, the fullest of those looked at; None without a valid pixel.

    Fewer where there are no more. They are the same for any chunks, workers and area of interest.
    """
    rows, cols = tiling.lattice
    found: list[tuple[NDArray[Any], NDArray[np.bool_]]] = []
    full = 0
    for looked, place in enumerate(_spread(rows * cols)):
        if full == count or (looked >= max(_LOOKED_AT, count) and found):
            break
        tile = tiling.tile_at(*divmod(place, cols))
        held = tile.window.clip(*scene.grid.shape)
        try:
            pixels, valid = scene.read(held)
        except InputError:
            continue  # a corrupt block is reported by the chunk that needs it
        (mask,) = cut_tile(valid[None], held, tile, tiling)
        if mask.any():
            found.append((cut_tile(pixels, held, tile, tiling), mask))
            full += bool(mask.all())
    found = sorted(found, key=lambda pair: -int(pair[1].sum()))[:count]
    return (np.stack([raw for raw, _ in found]), np.stack([mask for _, mask in found])) if found else None


def _spread(count: int) -> Iterator[int]:
    """All numbers below `count`, each far from those before it: steps of the golden ratio around a circle."""
    step = next(s for s in count_from(max(round(count * 0.618), 1)) if math.gcd(s, count) == 1)
    return ((count // 2 + i * step) % count for i in range(count))
