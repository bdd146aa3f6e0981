"""Networks of prompts on PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.choice import EngineChoice
from geoseg.engines.feed import Feed
from geoseg.engines.prompting import Masked
from geoseg.engines.torch_engine import Torch
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network
from geoseg.models.prompt import Prompt

_BATCH = 64
"""Windows or prompts of one pass on a GPU; fewer are filled up, since kernels go by the shape of a batch."""

_SURE = 255
_HALF = 128  # a probability of one half, rounded


class PromptNetwork(Protocol):
    """The module of a promptable bundle."""

    side: int
    centred: bool

    def embed(self, x: Tensor) -> Any:
        """What is computed once of normalised windows (n, C, T, T)."""
        ...

    def answer(self, embedded: Any, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor | None]:
        """(probabilities (n, T, T), scores (n,) of 0 to 1 or None) of n prompts.

        Of one window together, or of n windows with one each where the network is centred.
        """
        ...


class TorchPrompter:
    """A promptable bundle's network on a device: a `PromptEngine`.

    On a CPU windows and prompts are passed one by one, as tiles are.
    """

    def __init__(self, bundle: Bundle, choice: EngineChoice) -> None:
        self._torch = Torch(choice)
        self.takes_batches, self.arrays = self._torch.takes_batches, self._torch.arrays
        network = self._torch.placed(load_network(bundle))
        self._network = cast(PromptNetwork, network)
        self.side, self.centred = int(self._network.side), bool(self._network.centred)
        self._feed, self._digest = Feed(bundle, self, smaller="a machine with more memory"), bundle.digest

    @property
    def at_once(self) -> int:
        """Windows or prompts of one pass."""
        return _BATCH if self.takes_batches else 1

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        return {**self._torch.identity, "bundle": self._digest}

    def answer(
        self, raw: NDArray[Any], valid: NDArray[np.bool_], prompts: Sequence[Sequence[Prompt]]
    ) -> list[list[Masked]]:
        """Answers to the prompts of each raw window; see `PromptEngine`."""
        size = self.at_once if self.centred else 1
        masked: list[list[Masked]] = []
        for begin in range(0, len(raw), size):
            part = slice(begin, begin + size)
            masked += self._windows(raw[part], valid[part], prompts[part], size)
        return masked

    def _windows(
        self, raw: NDArray[Any], valid: NDArray[np.bool_], prompts: Sequence[Sequence[Prompt]], size: int
    ) -> list[list[Masked]]:
        full = np.arange(size) % len(raw)
        (embedded,) = self._feed.each(
            raw[full], valid[full], lambda x: self._torch.run(self._network.embed, x)
        )
        if self.centred:
            asked = [prompts[i][0] for i in full.tolist()]
            answers = self._asked(embedded, asked)
            return [[_masked(*next(answers), valid[i])] for i in range(len(raw))]
        found = []
        for begin in range(0, len(prompts[0]), self.at_once):
            part = prompts[0][begin : begin + self.at_once]
            asked = [part[i % len(part)] for i in range(self.at_once)]
            answers = self._asked(embedded, asked)
            found += [_masked(*next(answers), valid[0]) for _ in part]
        return [found]

    def _asked(self, embedded: Any, prompts: Sequence[Prompt]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """(probabilities (T, T), score) of each prompt."""
        with self._torch.inference():
            masks, scores = self._network.answer(embedded, prompts)
        for i in range(len(prompts)):
            yield masks[i], None if scores is None else scores[i]


def _masked(probability: Tensor, score: Tensor | None, valid: NDArray[np.bool_]) -> Masked:
    """Rounded to whole numbers before anything is decided by them."""
    sure = np.floor(probability.float().cpu().numpy() * _SURE + 0.5).astype(np.int64)
    mask = (sure >= _HALF) & valid
    if score is None:
        pixels = max(int(mask.sum()), 1)
        percent = (200 * int(sure[mask].sum()) + _SURE * pixels) // (2 * _SURE * pixels)
    else:
        percent = int(np.floor(np.clip(float(score), 0, 1) * 100 + 0.5))
    return Masked(mask=mask, score=percent)
