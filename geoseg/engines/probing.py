"""Which engine is the fastest here: measured on the scene's own tiles, remembered for the next time.

Processor flags do not tell: of two machines with the same flags, one computed bf16 three times faster than
fp32 and the other slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision, Trial, question_file, recall, remember
from geoseg.engines.engine import Engine, Tiles
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.hardware import has_cuda
from geoseg.engines.opening import ENGINES, find_engine
from geoseg.engines.short import light_choice, recall_short, settle_short
from geoseg.engines.timing import ROUNDS, seconds_for, speed_of, try_out, worth

if TYPE_CHECKING:
    from geoseg.geometry import Sides

PAYS_FROM = 60.0
"""Seconds that the reference would need from which on others are tried: they take seconds to open."""

SHORT = 8_000_000
"""Forward-pixels up to which nothing is even opened to find that out."""

_SIDE = 512  # of what is timed, at most: one tile of 1536 may take an engine a minute
_HOPELESS = 2.0  # times the reference's seconds
_GAIN = 1.05  # less than this is noise, and the reference is kept


def settle(
    asked: EngineChoice, ensemble: Ensemble, tile: Sides, forwards: int, tiles: Callable[[], Tiles | None]
) -> Decision:
    """The engine for `forwards` tiles of these sides, chosen within what was asked for.

    What is asked for in full is not measured. What an earlier run on this machine measured for the same
    bundles, tile and libraries is taken from the cache. Else, if the reference would take long enough, every
    candidate is timed on the given tiles, those below `LEAST_AGREEMENT` are dropped, and the fastest is
    taken; of equally fast numbers of threads the smaller. What takes less time is left to `settle_short`.

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
    if known := recall(file, asked):
        return replace(known, reason="remembered")
    reference, on_cpu = _reference(asked), _kind(asked) == "cpu"
    default = Decision(choice=reference if on_cpu else asked, reason="default")
    light = light_choice(asked, reference) if forwards and on_cpu else None

    def short() -> Decision:
        return default if light is None else settle_short(default, light, ensemble, tile, tiles)

    candidates = list(_candidates(asked, reference))
    whole = tiles() if candidates and forwards * math.prod(tile) > SHORT else None
    if whole is None:
        return short()
    given = _centres(whole, ensemble)
    known = None if light is None else recall_short(light, ensemble, tile)
    first = reference if known is None else known.choice
    engine = ensemble.open(first)
    engine.classify(given[0][:1], given[1][:1])
    if seconds_for(engine, given, 1) * forwards * math.prod(tile) / given[1].size < PAYS_FROM:
        return short()
    if first != reference:
        engine = ensemble.open(reference)
        engine.classify(given[0][:1], given[1][:1])
    decision = _measure(reference, engine, candidates, ensemble, given)
    remember(file, decision)
    return decision


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
    seconds = seconds_for(engine, tiles, ROUNDS)
    first = Trial(choice=reference, speed=speed_of(tiles, seconds), agreement=1.0)
    most = seconds * _HOPELESS
    trials = [first, *(try_out(choice, ensemble, expected, tiles, most) for choice in candidates)]
    best = max(trials, key=worth)
    if worth(best) < _GAIN * worth(first):
        best = first
    threads = best.choice.threads or 1
    if threads > 1 and _kind(best.choice) == "cpu":
        fewer = try_out(replace(best.choice, threads=-(-threads // 2)), ensemble, expected, tiles, most)
        trials.append(fewer)
        if worth(fewer) * _GAIN >= worth(best):
            best = fewer
    others = sorted((t for t in trials if t is not best), key=lambda t: -(t.speed or 0))
    return Decision(choice=best.choice, reason="measured", trials=(best, *others))
