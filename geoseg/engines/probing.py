"""Which engine is the fastest here: measured on the scene's own tiles, remembered for the next time.

Processor flags do not tell: of two machines with the same flags, one computed bf16 three times faster than
fp32 and the other slower.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.cache import cache_folder
from geoseg.engines.choice import EngineChoice
from geoseg.engines.engine import Engine
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.hardware import has_cuda, processor
from geoseg.engines.network_file import cached_file
from geoseg.engines.opening import ENGINES, find_engine
from geoseg.errors import GeosegError
from geoseg.files import write_durably
from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.geometry import Sides

LEAST_AGREEMENT = 0.999
"""Share of labels equal to the reference's that a faster engine must reach."""

PAYS_FROM = 60.0
"""Seconds that the reference would need from which on others are tried: they take seconds to open."""

SHORT = 8_000_000
"""Forward-pixels up to which nothing is even opened to find that out."""

_SIDE = 512  # of what is timed, at most: one tile of 1536 may take an engine a minute
_ROUNDS = 3
_HOPELESS = 2.0  # times the reference's seconds
_PATIENCE = 30.0, 5.0  # seconds and times the reference's, for a first call with all that it prepares
_GAIN = 1.05  # less than this is noise, and the reference is kept
_LIBRARIES = ("torch", "onnxruntime", "openvino")
_log = logging.getLogger(__name__)

Tiles = tuple[NDArray[Any], NDArray[np.bool_]]
"""Raw tiles (N, C, T, T) and which of their pixels are data (N, T, T)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one candidate showed.

    Attributes
    ----------
    speed
        Megapixels per second of wall time; None where it could not be opened.
    agreement
        Share of valid pixels with the label of the reference, torch in fp32 (on a GPU: there); None where
        nobody looked.
    problem
        Why it is not there, or nobody looked.
    """

    choice: EngineChoice
    speed: float | None = None
    agreement: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The engine that a run is computed with, and why.

    Attributes
    ----------
    choice
        With nothing left open that a worker could decide otherwise.
    reason
        ``asked for``, ``default``, ``measured`` or ``remembered``.
    trials
        What was measured, the chosen first; empty where nothing was.
    """

    choice: EngineChoice
    reason: str
    trials: tuple[Trial, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Form in the manifest, the ledger and the cache."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Decision:
        """Decision from that form."""
        trials = tuple(Trial(**{**t, "choice": EngineChoice(**t["choice"])}) for t in raw["trials"])
        return cls(choice=EngineChoice(**raw["choice"]), reason=str(raw["reason"]), trials=trials)

    def __str__(self) -> str:
        """One line: what was chosen, how fast and how equal it was, and what the others did."""
        said = f"engine: {self.choice} ({self.reason})"
        if not self.trials:
            return said
        first, *others = self.trials
        rest = "; ".join(f"{t.choice} {_speed(t)}" for t in others)
        equal = f"{first.agreement:.2%} of the labels as in fp32" if first.agreement is not None else ""
        return f"{said}: {_speed(first)}, {equal}" + (f" [{rest}]" if rest else "")


def _speed(trial: Trial) -> str:
    if trial.speed is None:
        return "not there"
    few = ""
    if trial.agreement is not None and trial.agreement < LEAST_AGREEMENT:
        few = f", only {trial.agreement:.2%} equal"
    return f"{trial.speed:.2f} Mpx/s{few}"


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
    file = _file(asked, ensemble, tile)
    known = _recall(file, asked)
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
    _remember(file, decision)
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
            if fits and kind in entry.devices and (kind, precision) != ("cpu", "fp16"):
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


def _file(asked: EngineChoice, ensemble: Ensemble, tile: Sides) -> Path:
    """Where the decision of such a run is remembered: one file for each question."""
    question = {
        "geoseg": __version__,
        "asked": asdict(asked),
        "bundles": [b.digest for b in ensemble.bundles],
        "tile": tile,
        "machine": [processor(), os.cpu_count(), has_cuda()],
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return cache_folder() / "engines" / f"{digest[:32]}.json"


def _recall(file: Path, asked: EngineChoice) -> Decision | None:
    """What the file says; None where there is none, or none that answers what was asked for."""
    try:
        known = Decision.from_json(json.loads(file.read_bytes()))
        find_engine(known.choice)
        wanted, found = ((c.name, c.device, c.precision) for c in (asked, known.choice))
        fits = all(w in ("auto", f) for w, f in zip(wanted, found, strict=True))
        return known if fits and not known.choice.is_open else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GeosegError):
        return None


def _remember(file: Path, decision: Decision) -> None:
    """Write the decision, whole or not at all; without a place to write, the next run measures again."""
    try:
        write_durably(file, json.dumps(decision.to_json(), indent=1))
    except (OSError, GeosegError) as error:
        _log.info("the choice of an engine is not remembered: %s", error)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
