"""What an engine is, and what every engine does alike."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.legend import Legend

Tiles = tuple[NDArray[Any], NDArray[np.bool_]]
"""Raw tiles (N, C, T, T) and which of their pixels are data (N, T, T)."""


class Engine(Protocol):
    """What answers for every pixel of raw tiles.

    On a CPU a tile's answer is the same, bit for bit, at every position in a batch and for every batch size,
    at equal precision and threads. A GPU may pick another kernel for another batch size, so there the
    batch that every forward is padded to belongs to the promise (`takes_batches`).
    """

    @property
    def legend(self) -> Legend:
        """Classes, in the order of axis K of `probabilities`."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer: all there is to say of the engine but what cannot matter."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether a batch is one forward pass: its size may decide bits, so that short ones are filled up."""
        ...

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8, of raw tiles (N, C, T, T).

        Where `valid` (N, T, T) is False the network sees the contract's fill value, and both are 255.
        The label is the likeliest class, the legend's first among equals; confidence is its quantised
        probability as a percent, rounded in integers, halves up.
        """
        ...

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """``round(p * 65535)`` (N, K, T, T) uint16 of raw tiles (N, C, T, T).

        Invalid pixels are filled as in `classify` and keep the probabilities that the network gives them.
        """
        ...


def check_tiles(raw: NDArray[Any], valid: NDArray[np.bool_] | None, *, bands: int, multiple: int) -> None:
    """Nothing, if the arrays have the shapes that an engine takes; UsageError says found and expected."""
    if raw.ndim != 4 or raw.shape[1] != bands or raw.shape[2] % multiple or raw.shape[3] % multiple:
        raise UsageError(
            "tiles of a shape that the model cannot take",
            why=f"found {raw.shape}, expected (tiles, {bands}, T, T) with T a multiple of {multiple}",
        )
    if valid is not None and valid.shape != (raw.shape[0], *raw.shape[2:]):
        raise UsageError("validity mask does not fit the tiles", why=f"found {valid.shape} for {raw.shape}")
