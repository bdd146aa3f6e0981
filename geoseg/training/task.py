"""What differs between trainings: the loss, how a network is judged, and what its card says of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.models.object_rule import ObjectRule
from geoseg.training.batches import Batches

Figures = Mapping[str, float | None]
"""Scores by name, of which the first says how good a network is; None where there is nothing to score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found out about a finished network.

    Attributes
    ----------
    temperature
        With which confidence is calibrated.
    scores
        For ``bundle.json``.
    text
        Markdown under the heading of the scores; it shows the pictures.
    pictures
        Files of the bundle by name; ``samples.png`` is among them.
    objects
        What counts as an object, where the network knows objects.
    sureness
        Quantiles of its mean confidence in the windows that were scored (`models.experience.sureness_of`).
    """

    temperature: float
    scores: Mapping[str, Any]
    text: str
    pictures: Mapping[str, bytes]
    objects: ObjectRule | None = None
    sureness: NDArray[np.float64] | None = None


class Task(Protocol):
    """One kind of training, of one preparation on one device."""

    def check(self, network: nn.Module) -> None:
        """Nothing, if the network answers as this task needs it; else InputError or UsageError."""
        ...

    def loss(self, network: nn.Module, x: Tensor, taught: Any) -> Tensor:
        """Loss of a batch: its pixels, and what is taught of them."""
        ...

    def figures(self, batches: Batches, network: nn.Module) -> Figures:
        """Scores over at most `validation_windows` windows, evenly spread."""
        ...

    def examine(self, network: nn.Module) -> Any:
        """All there is to find out about a finished network on the validation part."""
        ...

    def report(self, parts: Sequence[Any]) -> Report:
        """What `examine` found, of one training or of each fold."""
        ...
