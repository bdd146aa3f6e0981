"""The engine of pixels: everything around a network's forward pass, whatever library runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.feed import Feed
from geoseg.engines.pixels import PROBABILITY_SCALE, Array, Arrays, finish, label, quantise, softmax
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle


class Network(Protocol):
    """A bundle's network on one library and device: all that an engine has of its own."""

    @property
    def arrays(self) -> Arrays:
        """What it computes with: `NUMPY`, or torch's tensors on its device."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that can change a bit of a logit: versions, device, precision, threads."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether a whole batch is one forward pass; else its tiles are passed one by one.

        Larger batches are no faster on a CPU, and kernels chosen by a batch's shape would let the last bits
        depend on it.
        """
        ...

    def forward(self, x: Array) -> Array:
        """Logits (n, K, T, T) float32 of normalised tiles (n, C, T, T)."""
        ...


class NetworkEngine:
    """A network with what surrounds it: checks, normalisation, softmax, labels, quantisation, nodata."""

    def __init__(self, bundle: Bundle, network: Network) -> None:
        self.legend: Legend = bundle.legend
        self._network, self._digest = network, bundle.digest
        self._feed = Feed(bundle, network, smaller="a smaller `batch` or `tile`")
        self._temperature = bundle.temperature

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        return {**self._network.identity, "bundle": self._digest}

    @property
    def takes_batches(self) -> bool:
        """Whether a batch is one forward pass."""
        return self._network.takes_batches

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8; 255 where not valid."""
        best, share = self._run(raw, valid, lambda logits, xp: label(logits, self._temperature, xp))
        return finish(best, share, PROBABILITY_SCALE, self.legend, valid)

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """``round(p * 65535)`` (N, K, T, T) uint16."""

        def answer(logits: Array, xp: Any) -> tuple[Array, ...]:
            return tuple(quantise(p, xp) for p in softmax(logits, self._temperature, xp))

        return np.stack(self._run(raw, valid, answer), axis=1, dtype=np.uint16, casting="unsafe")

    def _run(
        self,
        raw: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        answer: Callable[[Array, Any], tuple[Array, ...]],
    ) -> list[NDArray[Any]]:
        """Each of the arrays (N, ...) that `answer` makes of logits, over all tiles."""
        network, arrays = self._network, self._network.arrays
        parts = self._feed.each(
            raw,
            valid,
            lambda x: [arrays.fetch(a) for a in answer(network.forward(x), arrays.xp)],
        )
        return [np.concatenate(part) for part in zip(*parts, strict=True)]
