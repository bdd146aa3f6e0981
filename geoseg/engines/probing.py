"""Which engine is the fastest here: measured on the scene's own tiles, remembered for the next time.

Processor flags do not tell: of two machines with the same flags, one computed bf16 three times faster than
fp32 and the other slower.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import LEAST_AGREEMENT, Decision, Trial, question_file, recall, remember
from geoseg.engines.engine import Engine, Tiles
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.hardware import has_cuda
from geoseg.engines.network_file import cached_file
from geoseg.engines.opening import ENGINES, find_engine

if TYPE_CHECKING:
    from geoseg.geometry import Sides

PAYS_FROM = 60.0
"""Seconds that the reference would need from which on others are tried: they take seconds to open."""

SHORT = 8_000_000
"""Forward-pixels up to which nothing is even opened to find that out."""

_SIDE = 512  # of what is timed, at most: one tile of 1536 may take an engine a minute
_ROUNDS = 3
_HOPELESS = 2.0  # times the reference's seconds
_PATIENCE = 30.0, 5.0  # seconds and times the reference's, for a first call with all that it prepares
_GAIN = 1.05  # less than this is noise, and the reference is kept


def settle(
    asked: EngineChoice, ensemble: Ensemble, tile: Sides, forwards: int, tiles: Callable[[], Tiles | None]
) -> Decision:
    """The engine for `forwards` tiles of these sides, chosen within what was asked for.

    What is asked for in full is not measured. What an earlier run on this machine measured for the same
    bundles, tile and libraries is taken from the cache. Else, if the reference would take long enough, every
    candidate is timed on the given tiles, those below `LEAST_AGREEMENT` are dropped, and the fastest is
    taken; of equally fast numbers of threads the smaller.

    Parameters
    ----------
    asked
        Its open parts are decided; `threads` is the largest number to use.
    tiles
        Gives a few tiles of the scene; None where it has no valid pixel.
    """
    find_engine(asked)
    if not asked.is_open:
        return Decision(choice=asked, reason="asked for")
    file = question_file(asked, ensemble, tile)
    known = recall(file, asked)
    if known is not None:
        return replace(known, reason="remembered")
    reference = _reference(asked)
    default = Decision(choice=reference if _kind(asked) == "cpu" else asked, reason="default")
    if forwards and _kind(asked) == "cpu" and _lies_ready(asked, ensemble, tile):
        default = Decision(choice=replace(reference, name="onnx", precision="fp32"), reason="default")
    candidates = list(_candidates(asked, reference))
    whole = tiles() if candidates and forwards * math.prod(tile) > SHORT else None
    if whole is None:
        return default
    given = _centres(whole, ensemble)
    first = default.choice if _kind(asked) == "cpu" else reference
    engine = ensemble.open(first)
    engine.classify(given[0][:1], given[1][:1])
    if _time(engine, given, 1) * forwards * math.prod(tile) / given[1].size < PAYS_FROM:
        return default
    if first != reference:
        engine = ensemble.open(reference)
        engine.classify(given[0][:1], given[1][:1])
    decision = _measure(reference, engine, candidates, ensemble, given)
    remember(file, decision)
    return decision


def _lies_ready(asked: EngineChoice, ensemble: Ensemble, tile: Sides) -> bool:
    """Whether ONNX Runtime may be taken and finds every network in the cache: torch takes longer to open."""
    fits = asked.name in ("auto", "onnx") and asked.precision in ("auto", "fp32")
    return (
        fits
        and find_spec("onnxruntime") is not None
        and all(cached_file(bundle, *tile).is_file() for bundle in ensemble.bundles)
    )


def _centres(tiles: Tiles, ensemble: Ensemble) -> Tiles:
    """The middle of each tile, no wider than `_SIDE` and of a side that every network takes.

    All of it where the middle has no valid pixel.
    """
    raw, valid = tiles
    fitting = _SIDE - _SIDE % math.lcm(*(b.size_multiple for b in ensemble.bundles))
    rows, cols = (
        slice((size - side) // 2, (size + side) // 2)
        for size in valid.shape[1:]
        for side in [min(fitting, size) or size]
    )
    if not valid[:, rows, cols].any():
        return tiles
    return raw[:, :, rows, cols], valid[:, rows, cols]


def _kind(asked: EngineChoice) -> str:
    """``cuda`` or ``cpu``: where what was asked for will run."""
    kind = asked.device.partition(":")[0]
    return kind if kind != "auto" else ("cuda" if has_cuda() else "cpu")


def _reference(asked: EngineChoice) -> EngineChoice:
    """What the labels of the others are compared with: torch in fp32, or as near to it as was asked for."""
    name = next(iter(ENGINES)) if asked.name == "auto" else asked.name
    precision = ENGINES[name].precisions[0] if asked.precision == "auto" else asked.precision
    return replace(asked, name=name, precision=precision)  # type: ignore[arg-type]


def _candidates(asked: EngineChoice, reference: EngineChoice) -> Iterator[EngineChoice]:
    kind = _kind(asked)
    for name, entry in ENGINES.items():
        for precision in entry.precisions:
            fits = asked.name in ("auto", name) and asked.precision in ("auto", precision)
            # int8 is taken on request alone, and settled elsewhere
            if (
                fits
                and kind in entry.devices
                and precision != "int8"
                and (kind, precision) != ("cpu", "fp16")
            ):
                choice = replace(reference, name=name, precision=precision)  # type: ignore[arg-type]
                if choice != reference:
                    yield choice


def _measure(
    reference: EngineChoice,
    engine: Engine,
    candidates: Sequence[EngineChoice],
    ensemble: Ensemble,
    tiles: Tiles,
) -> Decision:
    expected, _ = engine.classify(*tiles)
    seconds = _time(engine, tiles, _ROUNDS)
    first = Trial(choice=reference, speed=_speed_of(tiles, seconds), agreement=1.0)
    most = seconds * _HOPELESS
    trials = [first, *(_try(choice, ensemble, expected, tiles, most) for choice in candidates)]
    best = max(trials, key=_worth)
    if _worth(best) < _GAIN * _worth(first):
        best = first
    threads = best.choice.threads or 1
    if threads > 1 and _kind(best.choice) == "cpu":
        fewer = _try(replace(best.choice, threads=-(-threads // 2)), ensemble, expected, tiles, most)
        trials.append(fewer)
        if _worth(fewer) * _GAIN >= _worth(best):
            best = fewer
    others = sorted((t for t in trials if t is not best), key=lambda t: -(t.speed or 0))
    return Decision(choice=best.choice, reason="measured", trials=(best, *others))


def _worth(trial: Trial) -> float:
    """Speed of what may be taken; 0 of what is not there or gives other labels."""
    return (trial.speed or 0.0) if (trial.agreement or 0.0) >= LEAST_AGREEMENT else 0.0


def _try(
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
    prepared, (least, times) = _time(engine, tiles, 1), _PATIENCE
    seconds = prepared if prepared > max(least * len(raw), times * most) else _time(engine, tiles, 1)
    if seconds > most:
        return Trial(
            choice=choice, speed=_speed_of(tiles, seconds), problem="too slow to be looked at further"
        )
    labels, _ = engine.classify(raw, valid)
    return Trial(
        choice=choice,
        speed=_speed_of(tiles, min(seconds, _time(engine, tiles, _ROUNDS))),
        agreement=float((labels == expected)[valid].mean()),
    )


def _speed_of(tiles: Tiles, seconds: float) -> float:
    return tiles[1].size / seconds / 1e6


def _time(engine: Engine, tiles: Tiles, rounds: int) -> float:
    """Seconds for all tiles: as many times the fastest of a few, whatever else the machine is doing."""
    raw, valid = tiles
    least = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        engine.classify(raw[:1], valid[:1])
        least = min(least, time.perf_counter() - started)
    return least * len(raw)
