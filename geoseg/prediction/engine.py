"""The engine that a prediction asks for, and the tiles of its scene that engines are measured on."""

from __future__ import annotations

import numpy as np

from geoseg.engines.choice import EngineChoice
from geoseg.engines.probing import Tiles
from geoseg.errors import InputError
from geoseg.execution.where import Where
from geoseg.geometry import TilePlan
from geoseg.prediction.job import PredictJob
from geoseg.prediction.stitch import cut_tile
from geoseg.raster.scene import Scene

_LOOKED_AT, _TRIED = 25, 4


def asked_engine(job: PredictJob, where: Where) -> EngineChoice:
    """What the job says of the engine, and the threads that one forward pass may use."""
    return EngineChoice(
        name=job.engine, device=job.device, precision=job.precision, threads=where.threads_per_forward
    )


def sample_tiles(scene: Scene, tiling: TilePlan) -> Tiles | None:
    """A few tiles from all over the scene, the fullest of those looked at; None without a valid pixel."""
    rows, cols = tiling.lattice
    places = np.unique(np.linspace(0, rows * cols - 1, _LOOKED_AT).round().astype(int))
    found = []
    for place in places.tolist():
        tile = tiling.tile_at(*divmod(place, cols))
        held = tile.window.clip(*scene.grid.shape)
        try:
            pixels, valid = scene.read(held)
        except InputError:
            continue  # a corrupt block is reported by the chunk that needs it
        (mask,) = cut_tile(valid[None], held, tile, tiling)
        if mask.any():
            found.append((cut_tile(pixels, held, tile, tiling), mask))
    found = sorted(found, key=lambda pair: -int(pair[1].sum()))[:_TRIED]
    return (np.stack([raw for raw, _ in found]), np.stack([mask for _, mask in found])) if found else None
