"""int8 on request: networks quantised on the scene's own tiles, and what that does to its labels.

Nothing is taken on trust. The labels are compared with those of fp32 on tiles of the same scene that the
network was not calibrated on; far from them it is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.decision import Decision, Quantised, Trial, question_file, recall, remember
from geoseg.engines.engine import Engine, Tiles
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.network_file import network_file
from geoseg.engines.opening import ENGINES, find_engine
from geoseg.engines.quantised_file import (
    calibration_of,
    quantised_file,
    require_quantiser,
    write_quantised,
)
from geoseg.errors import GeosegError, ResourceError
from geoseg.files import sha256_of
from geoseg.models.bundle import Bundle
from geoseg.models.int8_loss import FILE, MOST, read_int8_loss

if TYPE_CHECKING:
    from geoseg.geometry import Sides

REFUSED_BELOW = 0.95
"""Share of labels equal to those of fp32 below which int8 is not used."""

_PIXELS, _FEWEST, _MOST = 4_000_000, 3, 8  # of the tiles calibrated on


def tiles_wanted(tile: Sides) -> int:
    """Number of tiles of these sides that `settle_int8` takes: half to calibrate on, half to compare on."""
    return 2 * max(_FEWEST, min(_MOST, _PIXELS // (tile[0] * tile[1])))


def settle_int8(
    asked: EngineChoice, ensemble: Ensemble, tile: Sides, tiles: Callable[[], Tiles | None]
) -> Decision:
    """The engine that runs an ensemble in int8, calibrated on every other of the given tiles.

    The rest of the tiles tells the share of labels that are those of the same engine in fp32, and the CPU
    time. Of several engines the fastest is taken whose labels are near enough.

    Parameters
    ----------
    asked
        Its engine may be open; its precision is int8.
    tiles
        Gives tiles of the scene; None where it has no valid pixel.

    Raises
    ------
    ResourceError
        No engine for it is installed, a network cannot be quantised, its labels are too different, or it is
        known to lose too much accuracy (`geoseg.models.int8_loss`).
    """
    find_engine(asked)
    require_quantiser()
    for bundle in ensemble.bundles:
        _require_small_loss(bundle)
    found = tiles()
    if found is None:  # nothing will be computed
        return Decision(choice=asked, reason="default")
    calibrating, comparing = _halves(found)
    asked = replace(asked, calibration=calibration_of(calibrating))
    files = _write(ensemble, calibrating, asked)
    exact = [network_file(bundle, *sides) for bundle, sides in ensemble.networks(tile)]
    file = question_file(asked, ensemble, tile)
    if known := recall(file, asked):
        return replace(known, reason="remembered")
    compared = list(_compared(asked, ensemble, comparing))
    near = [c for c in compared if c.trial.agreement is not None and c.trial.agreement >= REFUSED_BELOW]
    if not near:
        raise _too_different(ensemble, compared)
    best = max(near, key=lambda c: c.trial.speed or 0.0)
    decision = Decision(
        choice=best.trial.choice,
        reason="measured" if asked.name == "auto" else "asked for",
        trials=(best.trial, *(c.trial for c in compared if c is not best)),
        quantised=Quantised(
            calibrated=len(calibrating[0]),
            compared=len(comparing[0]),
            others=comparing is not calibrating,
            bytes=sum(path.stat().st_size for path in files),
            exact_bytes=sum(path.stat().st_size for path in exact),
            cpu_ms=best.cpu_ms,
            exact_cpu_ms=best.exact_cpu_ms,
            sha256=tuple(sha256_of(path) for path in files),
        ),
    )
    remember(file, decision)
    return decision


def restore_int8(
    decision: Decision, ensemble: Ensemble, tile: Sides, tiles: Callable[[], Tiles | None]
) -> None:
    """Nothing, once the networks of an earlier decision lie in the cache, made again where they are gone.

    Parameters
    ----------
    tiles
        Gives the tiles that the decision was made on.

    Raises
    ------
    ResourceError
        They are gone, and come out otherwise now.
    """
    made, calibration = decision.quantised, decision.choice.calibration
    if made is None:
        return
    paths = [quantised_file(b, calibration, *sides) for b, sides in ensemble.networks(tile)]
    if all(path.is_file() for path in paths):
        return
    if (found := tiles()) is not None:
        calibrating, _ = _halves(found)
        if calibration_of(calibrating) == calibration:
            again = _write(ensemble, calibrating, decision.choice)
            if tuple(sha256_of(path) for path in again) == made.sha256:
                return
    raise ResourceError(
        "the networks that this run calibrated are gone and cannot be made again as they were",
        where=paths[0].parent,
        why="labels could differ between chunks",
        hint="the machine and the cache folder that the run was started with, or `overwrite` to start again",
    )


def _require_small_loss(bundle: Bundle) -> None:
    """Nothing, unless somebody measured that a model loses too much."""
    loss = read_int8_loss(bundle)
    if loss is not None and not loss.accepted:
        raise ResourceError(
            f"int8 loses too much of the accuracy of model {bundle.name}",
            where=bundle.path / FILE,
            why=f"{loss.points:.2f} points of mean IoU, at most {MOST} are accepted: {loss}",
            hint="no `precision`, for the fastest engine with the labels of fp32",
        )


def _halves(tiles: Tiles) -> tuple[Tiles, Tiles]:
    """Tiles to calibrate on and tiles to compare on, by turns; of a single one, that one twice."""
    raw, valid = tiles
    first = raw[::2], valid[::2]
    return first, (raw[1::2], valid[1::2]) if len(raw) > 1 else first


def _write(ensemble: Ensemble, tiles: Tiles, choice: EngineChoice) -> list[Path]:
    """Files of these networks, calibrated on tiles that are turned where need be."""
    raw, valid = tiles
    tile = valid.shape[1], valid.shape[2]
    turned = raw.swapaxes(2, 3), valid.swapaxes(1, 2)
    return [
        write_quantised(bundle, tiles if sides == tile else turned, choice.calibration, choice.threads or 1)
        for bundle, sides in ensemble.networks(tile)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """An engine in int8 beside itself in fp32: CPU milliseconds for a tile of both."""

    trial: Trial
    cpu_ms: float = 0.0
    exact_cpu_ms: float = 0.0


def _compared(asked: EngineChoice, ensemble: Ensemble, tiles: Tiles) -> Iterator[_Compared]:
    """Every engine that was asked for and computes in int8; one that is asked for by name must be there."""
    for name, entry in ENGINES.items():
        if "int8" in entry.precisions and asked.name in ("auto", name):
            choice = replace(asked, name=name)
            try:
                yield _compare(choice, ensemble, tiles)
            except GeosegError as error:
                if asked.name == name:
                    raise
                yield _Compared(trial=Trial(choice=choice, problem=str(error)[:300]))


def _compare(choice: EngineChoice, ensemble: Ensemble, tiles: Tiles) -> _Compared:
    exact = ensemble.open(replace(choice, precision="fp32", calibration=""))
    expected, _, exact_cpu = _run(exact, tiles)
    found, seconds, cpu = _run(ensemble.open(choice), tiles)
    _, valid = tiles
    return _Compared(
        trial=Trial(
            choice=choice,
            speed=valid[0].size / seconds / 1e6,
            agreement=float((found == expected)[valid].mean()),
        ),
        cpu_ms=round(cpu * 1e3, 1),
        exact_cpu_ms=round(exact_cpu * 1e3, 1),
    )


def _run(engine: Engine, tiles: Tiles) -> tuple[NDArray[np.uint8], float, float]:
    """(labels (N, T, T), seconds and CPU seconds of the fastest tile), after a first one that prepares."""
    raw, valid = tiles
    engine.classify(raw[:1], valid[:1])
    labels, seconds, cpu = [], [], []
    for i in range(len(raw)):
        started, spent = time.perf_counter(), time.process_time()
        labels.append(engine.classify(raw[i : i + 1], valid[i : i + 1])[0])
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - spent)
    return np.concatenate(labels), min(seconds), min(cpu)


def _too_different(ensemble: Ensemble, compared: Sequence[_Compared]) -> GeosegError:
    shares = [c.trial.agreement for c in compared if c.trial.agreement is not None]
    if not shares:
        return ResourceError(
            "no engine computes in int8 here",
            why="; ".join(f"{c.trial.choice.name}: {c.trial.problem}" for c in compared),
            hint="pip install 'geoseg[onnx]', or another `precision`",
        )
    return ResourceError(
        f"int8 gives too many other labels than fp32, it is not used for {ensemble.name} on this scene",
        why=f"{max(shares):.1%} are equal, at least {REFUSED_BELOW:.0%} are needed",
        hint="no `precision`, for the fastest engine with the labels of fp32",
    )
