"""Engines of known answers: an object is what is of the same value as the pixel under the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.prompting import Masked
from geoseg.models.prompt import Prompt


@dataclass(slots=True, kw_only=True)
class SameValue:
    """The pixels whose first band is that of the first point inside, or of the box's centre; 0 is none."""

    side: int = 64
    centred: bool = True
    at_once: int = 3
    identity: dict[str, Any] = field(default_factory=dict)
    windows: int = 0
    asked: list[int] = field(default_factory=list)

    def answer(
        self, raw: NDArray[Any], valid: NDArray[np.bool_], prompts: Sequence[Sequence[Prompt]]
    ) -> list[list[Masked]]:
        assert raw.shape[2:] == valid.shape[1:] == (self.side, self.side)
        assert len(raw) == len(prompts) <= (self.at_once if self.centred else 1)
        self.windows += len(raw)
        self.asked += [len(several) for several in prompts]
        return [
            [self._one(raw[i, 0], valid[i], prompt) for prompt in several]
            for i, several in enumerate(prompts)
        ]

    def _one(self, band: NDArray[Any], valid: NDArray[np.bool_], prompt: Prompt) -> Masked:
        inside = prompt.points[prompt.inside]
        row, col = inside[0] if len(inside) else prompt.centre
        value = band[row, col]
        mask = (band == value) & valid & (value > 0)
        for r, c in prompt.points[~prompt.inside].tolist():
            mask &= ~((np.arange(self.side)[:, None] == r) & (np.arange(self.side)[None, :] == c))
        return Masked(mask=mask, score=int(value) % 101)
