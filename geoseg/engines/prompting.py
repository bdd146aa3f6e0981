"""What answers prompts: one mask for each, in a window of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.models.bundle import Bundle
from geoseg.models.prompt import Prompt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Masked:
    """The answer to one prompt.

    Attributes
    ----------
    mask
        (T, T) bool: pixels of the object.
    score
        How sure the network is of it, in percent.
    """

    mask: NDArray[np.bool_]
    score: int


class PromptEngine(Protocol):
    """What answers prompts in raw windows: bits as for `Engine`, whatever else is asked with a prompt."""

    @property
    def side(self) -> int:
        """Side T of the windows, in pixels."""
        ...

    @property
    def centred(self) -> bool:
        """Whether each prompt is asked in a window around it; else one window answers many."""
        ...

    @property
    def at_once(self) -> int:
        """Windows, if centred, or prompts that are worth one call."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        ...

    def answer(
        self, raw: NDArray[Any], valid: NDArray[np.bool_], prompts: Sequence[Sequence[Prompt]]
    ) -> list[list[Masked]]:
        """Answers to the prompts of each raw window (N, C, T, T), in their order.

        Prompts are in pixels of their window, one in each where the engine is centred; masks are empty where
        `valid` (N, T, T) is False.
        """
        ...


def promptable(bundle: Bundle) -> Bundle:
    """The bundle, asked for what it answers to prompts; UsageError where it answers none."""
    if "promptable" not in bundle.tasks:
        raise UsageError(
            f"model {bundle.name} answers no prompts",
            why=f"it is {' and '.join(bundle.tasks)}",
            hint="geoseg predict, or a promptable model",
        )
    return bundle.answering("promptable")
