"""What an engine is, and what every engine does alike."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import UsageError
from geoseg.legend import NODATA, Legend

Precision = Literal["auto", "fp32", "bf16", "fp16"]

PROBABILITY_SCALE = 65535
"""Probabilities leave an engine as ``round(p * 65535)`` in uint16."""


class Engine(Protocol):
    """Runs a network on raw tiles.

    On a CPU a tile's answer is the same, bit for bit, at every position in a batch and for every batch size,
    at equal precision and threads. A GPU may pick another kernel for another batch size, so there the
    batch that every forward is padded to belongs to the promise.
    """

    @property
    def legend(self) -> Legend:
        """Classes, in the order of axis K of `probabilities`."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer: engine, versions, device, precision, threads, bundle."""
        ...

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8, of raw tiles (N, C, T, T).

        Where `valid` (N, T, T) is False the network sees the contract's fill value, and both are 255.
        Confidence is ``round(100 * probability of the label)``.
        """
        ...

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """``round(p * 65535)`` (N, K, T, T) uint16 of raw tiles (N, C, T, T).

        Invalid pixels are filled as in `classify` and keep the probabilities that the network gives them.
        """
        ...


def decide(
    probabilities: NDArray[np.uint16], legend: Legend, valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels and confidence in percent, both (N, T, T) uint8, of quantised probabilities (N, K, T, T).

    The legend's first class wins among equals; the percent is rounded in integers, halves up; both are 255
    where `valid` is False.
    """
    best = probabilities.argmax(axis=1)
    share = np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0].astype(np.uint32)
    labels = np.asarray(legend.ids, np.uint8)[best]
    confidence = ((share * 100 + PROBABILITY_SCALE // 2) // PROBABILITY_SCALE).astype(np.uint8)
    if valid is not None:
        labels[~valid] = NODATA
        confidence[~valid] = NODATA
    return labels, confidence


def check_tiles(raw: NDArray[Any], valid: NDArray[np.bool_] | None, *, bands: int, multiple: int) -> None:
    """Nothing, if the arrays have the shapes that an engine takes; UsageError says found and expected."""
    if raw.ndim != 4 or raw.shape[1] != bands or raw.shape[2] % multiple or raw.shape[3] % multiple:
        raise UsageError(
            "tiles of a shape that the model cannot take",
            why=f"found {raw.shape}, expected (tiles, {bands}, T, T) with T a multiple of {multiple}",
        )
    if valid is not None and valid.shape != (raw.shape[0], *raw.shape[2:]):
        raise UsageError("validity mask does not fit the tiles", why=f"found {valid.shape} for {raw.shape}")
