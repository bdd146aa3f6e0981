"""What a candidate for an engine shows on real tiles: its speed, and how many labels are the reference's."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import LEAST_AGREEMENT, Trial
from geoseg.engines.engine import Engine, Tiles
from geoseg.engines.ensemble import Ensemble

ROUNDS = 3
_PATIENCE = 30.0, 5.0  # seconds and times the reference's, for a first call with all that it prepares


def worth(trial: Trial) -> float:
    """Speed of what may be taken; 0 of what is not there or gives other labels."""
    return (trial.speed or 0.0) if (trial.agreement or 0.0) >= LEAST_AGREEMENT else 0.0


def try_out(
    choice: EngineChoice, ensemble: Ensemble, expected: NDArray[np.uint8], tiles: Tiles, most: float
) -> Trial:
    """What a candidate shows; one that needs more than `most` seconds for the tiles is left after two."""
    try:
        return _trial(choice, ensemble.open(choice), expected, tiles, most)
    except Exception as error:  # a library fails in its own way; the manifest says in which
        return Trial(choice=choice, problem=" ".join(str(error).split())[:300])


def _trial(
    choice: EngineChoice, engine: Engine, expected: NDArray[np.uint8], tiles: Tiles, most: float
) -> Trial:
    raw, valid = tiles
    # what is made on first use does not count, unless it takes longer than anybody waits
    prepared, (least, times) = seconds_for(engine, tiles, 1), _PATIENCE
    seconds = prepared if prepared > max(least * len(raw), times * most) else seconds_for(engine, tiles, 1)
    if seconds > most:
        return Trial(
            choice=choice, speed=speed_of(tiles, seconds), problem="too slow to be looked at further"
        )
    labels, _ = engine.classify(raw, valid)
    return Trial(
        choice=choice,
        speed=speed_of(tiles, min(seconds, seconds_for(engine, tiles, ROUNDS))),
        agreement=float((labels == expected)[valid].mean()),
    )


def speed_of(tiles: Tiles, seconds: float) -> float:
    """Megapixels per second."""
    return tiles[1].size / seconds / 1e6


def seconds_for(engine: Engine, tiles: Tiles, rounds: int) -> float:
    """Seconds for all tiles: as many times the fastest of a few, whatever else the machine is doing."""
    raw, valid = tiles
    least = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        engine.classify(raw[:1], valid[:1])
        least = min(least, time.perf_counter() - started)
    return least * len(raw)
