"""The engine of short scenes: torch alone takes longer to load than ONNX Runtime to map them.

So a model's network is written as ONNX once, when a short scene meets it, and compared with torch on that
scene; the next scenes with tiles of these sides need no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision, Trial, question_file, recall, remember
from geoseg.engines.engine import Tiles
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.network_file import cached_file, network_file
from geoseg.engines.timing import seconds_for, speed_of, try_out, worth
from geoseg.errors import GeosegError

if TYPE_CHECKING:
    from geoseg.geometry import Sides

_ENGINE = "onnx"
_LIBRARY = "onnxruntime"
_PIXELS = 1_000_000  # compared at least, where the scene has so many; of a tile at most
_LOADING = 5.0  # seconds that torch takes to load: by so much the light engine may be slower

MET = "met"
"""Reason of a choice that was not looked at: tiles of these sides were met for the first time."""


def light_choice(asked: EngineChoice, reference: EngineChoice) -> EngineChoice | None:
    """The engine that opens quickly, where what was asked for leaves room for it and it is installed."""
    fits = asked.name == "auto" and asked.precision in ("auto", "fp32")
    return replace(reference, name=_ENGINE) if fits and find_spec(_LIBRARY) is not None else None


def recall_short(light: EngineChoice, ensemble: Ensemble, tile: Sides) -> Decision | None:
    """What an earlier short scene found; None where it must be found again, as where networks are gone."""
    known = recall(_file(light, ensemble, tile), replace(light, name="auto"))
    if known is None or known.reason == MET:
        return None
    if known.choice.name == light.name and not _lie_ready(ensemble, tile):
        return None
    return replace(known, choice=replace(known.choice, threads=light.threads))


def settle_short(
    default: Decision,
    light: EngineChoice,
    ensemble: Ensemble,
    tile: Sides,
    tiles: Callable[[], Tiles | None],
) -> Decision:
    """The light engine, once it has given the default's labels; the default where it has not.

    The first sides of tile that a model meets are looked at immediately, others once they are met again:
    among scenes of many sizes writing a network for each would take longer than mapping them. Nothing is
    looked at without a place to remember what was found, nor for tiles so large that writing and comparing
    their network takes longer than mapping a few such scenes, unless it lies there already.
    """
    if known := recall_short(light, ensemble, tile):
        return replace(known, reason="remembered")
    if math.prod(tile) > _PIXELS and not _lie_ready(ensemble, tile):
        return default
    file, of_any = _file(light, ensemble, tile), _file(light, ensemble, (0, 0))
    later = of_any.is_file() and not file.is_file()
    met = replace(default, reason=MET)
    if not (remember(file, met) and remember(of_any, met)) or later:
        return default
    found = tiles()
    if found is None:
        return default
    decision = _compared(default.choice, light, ensemble, tile, found)
    remember(file, decision)
    return decision


def _lie_ready(ensemble: Ensemble, tile: Sides) -> bool:
    return all(cached_file(bundle, *sides).is_file() for bundle, sides in ensemble.networks(tile))


def _file(light: EngineChoice, ensemble: Ensemble, tile: Sides) -> Path:
    """Where it is remembered; threads change last bits, not the share of equal labels."""
    return question_file(replace(light, threads=None), ensemble, tile, folder="short")


def _compared(
    reference: EngineChoice, light: EngineChoice, ensemble: Ensemble, tile: Sides, tiles: Tiles
) -> Decision:
    raw, valid = (array[: -(-_PIXELS // math.prod(tile))] for array in tiles)
    engine = ensemble.open(reference)
    expected, _ = engine.classify(raw, valid)
    seconds = seconds_for(engine, (raw, valid), 1)
    first = Trial(choice=reference, speed=speed_of((raw, valid), seconds), agreement=1.0)
    try:
        for bundle, sides in ensemble.networks(tile):
            network_file(bundle, *sides)
        second = try_out(light, ensemble, expected, (raw, valid), seconds + _LOADING)
    except (GeosegError, OSError) as error:
        second = Trial(choice=light, problem=" ".join(str(error).split())[:300])
    best, other = (second, first) if worth(second) else (first, second)
    return Decision(choice=best.choice, reason="measured", trials=(best, other))
