"""What was decided about the engine of a run, and the memory of it in the user's cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.engines.choice import EngineChoice
from geoseg.engines.ensemble import Ensemble
from geoseg.engines.hardware import has_cuda, processor
from geoseg.engines.libraries import version_of
from geoseg.engines.opening import find_engine
from geoseg.errors import GeosegError
from geoseg.files import cache_folder, write_durably
from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.geometry import Sides

LEAST_AGREEMENT = 0.999
"""Share of labels equal to the reference's that a faster engine must reach."""

ENOUGH_IN_INT8 = 0.99
"""Share of labels equal to those of fp32 below which int8 says so in words."""

_LIBRARIES = ("torch", "onnxruntime", "openvino")
_log = logging.getLogger(__name__)


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
class Quantised:
    """What int8 does to a scene, for the engine that was chosen.

    Attributes
    ----------
    calibrated, compared
        Tiles that the network was calibrated on, and tiles that its labels were compared on.
    others
        Whether the latter are not among the former: a scene of one tile has no others.
    bytes, exact_bytes
        Size of the networks' files, and of those in fp32.
    cpu_ms, exact_cpu_ms
        CPU milliseconds for a tile, and of the same engine in fp32.
    sha256
        Of every file, in the order of bundles and shapes.
    """

    calibrated: int
    compared: int
    others: bool
    bytes: int
    exact_bytes: int
    cpu_ms: float
    exact_cpu_ms: float
    sha256: tuple[str, ...]

    def __str__(self) -> str:
        """How it compares with fp32."""
        tiles = f"{self.compared} tile{'s' * (self.compared > 1)}"
        seen = (
            f"{tiles} that it was not calibrated on" if self.others else f"the {tiles} it was calibrated on"
        )
        return (
            f"on {seen}; {self.cpu_ms:.0f} CPU ms for a tile, {self.exact_cpu_ms:.0f} in fp32; "
            f"{self.bytes / 1e6:.1f} MB, {self.exact_bytes / 1e6:.1f} in fp32"
        )


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
    quantised
        What int8 does to the scene; None in any other precision.
    """

    choice: EngineChoice
    reason: str
    trials: tuple[Trial, ...] = ()
    quantised: Quantised | None = None

    def to_json(self) -> dict[str, Any]:
        """Form in the manifest, the ledger and the cache."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Decision:
        """Decision from that form."""
        trials = tuple(Trial(**{**t, "choice": EngineChoice(**t["choice"])}) for t in raw["trials"])
        made = raw.get("quantised")
        return cls(
            choice=EngineChoice(**raw["choice"]),
            reason=str(raw["reason"]),
            trials=trials,
            quantised=None if made is None else Quantised(**{**made, "sha256": tuple(made["sha256"])}),
        )

    def __str__(self) -> str:
        """One line: what was chosen, how fast and how equal it was, and what the others did."""
        said = f"engine: {self.choice} ({self.reason})"
        if not self.trials:
            return said
        first, *others = self.trials
        rest = "; ".join(f"{t.choice} {_speed(t)}" for t in others)
        equal = f"{first.agreement:.2%} of the labels as in fp32" if first.agreement is not None else ""
        if self.quantised is not None:
            beside = "; ".join(f"{t.choice} {t.agreement:.2%}" for t in others if t.agreement is not None)
            return f"{said}: {equal}, {self.quantised}" + (f" [{beside}]" if beside else "")
        return f"{said}: {_speed(first)}, {equal}" + (f" [{rest}]" if rest else "")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should weigh before trusting a network in int8; nothing in any other precision."""
        if self.quantised is None:
            return ()
        said = []
        if (agreement := self.trials[0].agreement or 0.0) < ENOUGH_IN_INT8:
            said.append(
                f"int8 gives {1 - agreement:.1%} of the pixels another class than fp32 does, more than the "
                f"{1 - ENOUGH_IN_INT8:.0%} that usually goes unnoticed: for areas, change or scores better "
                "leave `precision` out"
            )
        if self.quantised.cpu_ms >= self.quantised.exact_cpu_ms:
            said.append("int8 is no faster than fp32 on this machine: better leave `precision` out")
        return tuple(said)


def _speed(trial: Trial) -> str:
    if trial.speed is None:
        return "not there"
    few = ""
    if trial.agreement is not None and trial.agreement < LEAST_AGREEMENT:
        few = f", only {trial.agreement:.2%} equal"
    return f"{trial.speed:.2f} Mpx/s{few}"


def question_file(asked: EngineChoice, ensemble: Ensemble, tile: Sides, folder: str = "engines") -> Path:
    """Where the decision of such a run is remembered: one file for each question."""
    question = {
        "geoseg": __version__,
        "asked": asdict(asked),
        "bundles": [b.digest for b in ensemble.bundles],
        "task": ensemble.task,
        "tile": tile,
        "machine": [processor(), os.cpu_count(), has_cuda()],
        "libraries": {name: version_of(name) for name in _LIBRARIES},
    }
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return cache_folder() / folder / f"{digest[:32]}.json"


def recall(file: Path, asked: EngineChoice) -> Decision | None:
    """What the file says; None where there is none, or none that answers what was asked for."""
    try:
        known = Decision.from_json(json.loads(file.read_bytes()))
        find_engine(known.choice)
        wanted, found = ((c.name, c.device, c.precision) for c in (asked, known.choice))
        fits = all(w in ("auto", f) for w, f in zip(wanted, found, strict=True))
        return known if fits and not known.choice.is_open else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, GeosegError):
        return None


def remember(file: Path, decision: Decision) -> bool:
    """Whether the decision was written, whole or not at all; if not, the next run measures again."""
    try:
        write_durably(file, json.dumps(decision.to_json(), indent=1))
    except (OSError, GeosegError) as error:
        _log.info("the choice of an engine is not remembered: %s", error)
        return False
    return True
