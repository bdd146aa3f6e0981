"""Ensembles: the bundles that answer together for every pixel, and the views that each of them sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.engines.average import AverageEngine
from geoseg.engines.choice import EngineChoice, Tta
from geoseg.engines.engine import Engine
from geoseg.engines.opening import open_engine
from geoseg.engines.views import VIEWS
from geoseg.errors import UsageError
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.models.contract import InputContract
from geoseg.models.object_rule import Task

if TYPE_CHECKING:
    from geoseg.geometry import Sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """One bundle or several, and the views of a tile over which their probabilities are averaged.

    Attributes
    ----------
    bundles
        At least one. All take the same bands in the same order and have the same classes; a bundle that
        is named twice counts twice.
    tta
        ``none``, ``flips`` or ``d4`` (see `geoseg.engines.views.VIEWS`).

    Raises
    ------
    UsageError
        Bundles that cannot be averaged, with both names and the difference.
    """

    bundles: tuple[Bundle, ...]
    tta: Tta = "none"

    def __post_init__(self) -> None:
        if not self.bundles:
            raise UsageError("no model is named")
        of_objects = next((b for b in self.bundles if b.task != "semantic"), None)
        if of_objects is not None and (len(self.bundles) > 1 or self.tta != "none"):
            raise UsageError(
                f"answers of the {of_objects.task} model {of_objects.name} cannot be averaged",
                why=f"{len(self.bundles)} models, tta {self.tta}",
                hint="one `model` and `tta=none`"
                + (", or `task=semantic`" if all("semantic" in b.tasks for b in self.bundles) else ""),
            )
        for other in self.bundles[1:]:
            _require_alike(self.bundles[0], other)

    @classmethod
    def load(cls, names: Sequence[str | Path], *, tta: Tta = "none", task: Task | None = None) -> Ensemble:
        """Ensemble of shipped bundles or folders (see `load_bundle`), asked for that task or their first."""
        bundles = [load_bundle(name) for name in names]
        return cls(bundles=tuple(b if task is None else b.answering(task) for b in bundles), tta=tta)

    @property
    def name(self) -> str:
        """Names of the bundles."""
        return " + ".join(b.name for b in self.bundles)

    @property
    def legend(self) -> Legend:
        """Classes, in the colours of the first bundle."""
        return self.bundles[0].legend

    @property
    def task(self) -> Task:
        """What the bundles answer."""
        return self.bundles[0].task

    @property
    def has_tasks(self) -> bool:
        """Whether one of them could answer something else."""
        return any(len(bundle.tasks) > 1 for bundle in self.bundles)

    @property
    def forwards(self) -> int:
        """Forward passes per tile: one for each bundle and view."""
        return len(self.bundles) * len(VIEWS[self.tta])

    @property
    def size_multiple(self) -> int:
        """Smallest tile side that fits every network's stride."""
        return math.lcm(*(b.size_multiple for b in self.bundles))

    @property
    def margin(self) -> int:
        """The largest margin, rounded up to a multiple of `size_multiple`."""
        largest = max(b.margin for b in self.bundles)
        return -(-largest // self.size_multiple) * self.size_multiple

    def networks(self, tile: Sides) -> list[tuple[Bundle, Sides]]:
        """Every bundle with every shape of tile that it meets: transposed, an oblong tile has another."""
        turned = any(view.transpose for view in VIEWS[self.tta])
        shapes = dict.fromkeys((tile, tile[::-1]) if turned else (tile,))
        bundles = {bundle.digest: bundle for bundle in self.bundles}
        return [(bundle, sides) for bundle in bundles.values() for sides in shapes]

    def open(self, choice: EngineChoice | None = None) -> Engine:
        """Engine that gives the averaged answer; with one bundle and one view, that bundle's own.

        Parameters and errors are those of `geoseg.engines.opening.open_engine`.
        """
        members = [open_engine(bundle, choice) for bundle in self.bundles]
        return members[0] if self.forwards == 1 else AverageEngine(members, tta=self.tta)


def _require_alike(first: Bundle, other: Bundle) -> None:
    """Nothing, if the probabilities of two bundles can be averaged."""
    a, b = first.contract, other.contract
    if a.plain_band_names != b.plain_band_names:
        raise _cannot(first, other, "take different bands", a.band_names, b.band_names)
    if _kind(a) != _kind(b):
        raise _cannot(first, other, "take different types of pixels", [_kind(a)], [_kind(b)])
    mine, yours = ([f"{c.id} {c.name}" for c in m.legend.classes] for m in (first, other))
    if mine != yours:
        only = [[c for c in side if c not in shared] for side, shared in ((mine, yours), (yours, mine))]
        raise _cannot(first, other, "have different classes", *only)


def _kind(contract: InputContract) -> str:
    return f"{'floating-point' if np.dtype(contract.dtype).kind == 'f' else 'whole'} numbers"


def _cannot(first: Bundle, other: Bundle, what: str, mine: Sequence[str], yours: Sequence[str]) -> UsageError:
    """Error that names both bundles, by their folders where the names are the same, and the difference."""
    if first.name == other.name:
        names = str(first.path), str(other.path)
    else:
        names = first.name, other.name
    words = (f"{n}: {', '.join(side) or 'no others'}" for n, side in zip(names, (mine, yours), strict=True))
    return UsageError(
        f"models {names[0]} and {names[1]} {what} and cannot be averaged",
        why="; ".join(words),
        hint="models of the same bands and classes, or a map of its own for each",
    )
