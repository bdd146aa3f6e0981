"""From raw tiles to what a network takes, and from its logits to answers: the same for every engine.

Written once for arrays of numpy and of torch: `xp` is the module that the arrays belong to, so that a GPU
computes all of it beside the network and only small integers leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import NODATA, Legend

PROBABILITY_SCALE = 65535
"""Probabilities leave an engine as ``round(p * 65535)`` in uint16."""

Array = Any
"""An array of numpy or of torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """The arrays that a network computes with.

    Attributes
    ----------
    xp
        Their module, numpy or torch.
    send
        From a numpy array to one on the network's device, in its own data type.
    fetch
        And back.
    """

    xp: Any
    send: Callable[[NDArray[Any]], Array]
    fetch: Callable[[Array], NDArray[Any]]


NUMPY = Arrays(xp=np, send=np.asarray, fetch=np.asarray)
"""For libraries that take numpy's arrays as they are."""


def normalise(raw: Array, valid: Array | None, gain: Array, shift: Array, xp: Any) -> Array:
    """What the network takes (N, C, T, T) float32: ``raw * gain + shift``, and 0 where not valid."""
    x = xp.asarray(raw, dtype=xp.float32) * gain + shift
    if valid is None:
        return x
    return xp.where(valid[:, None], x, 0.0)  # a product would keep NaN


def softmax(logits: Array, temperature: float, xp: Any) -> list[Array]:
    """Probabilities of each class, K arrays (N, T, T) float32, of logits (N, K, T, T)."""
    powers = _powers(logits, xp, temperature, _largest(_planes(logits), xp)[1])
    total = sum(powers[1:], powers[0])
    return [power / total for power in powers]


def quantise(probability: Array, xp: Any) -> Array:
    """``round(p * 65535)``, halves up, int32."""
    return xp.asarray(xp.floor(probability * PROBABILITY_SCALE + 0.5), dtype=xp.int32)


def label(logits: Array, temperature: float, xp: Any) -> tuple[Array, Array]:
    """(position of the largest logit uint8, quantised probability of that class int32), both (N, T, T)."""
    best, top = _largest(_planes(logits), xp)
    powers = _powers(logits, xp, temperature, top)
    return best, quantise(1 / sum(powers[1:], powers[0]), xp)


def decide(
    shares: NDArray[Any], one: int, legend: Legend, valid: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(labels, confidence in percent), both uint8 of shape S, of integer shares (K, *S) of `one`.

    Parameters
    ----------
    shares
        Unsigned; quantised probabilities, their sums or their means.
    valid
        Of shape S; where it is False, both are 255.
    """
    best, share = _largest(list(shares), np)
    return finish(best, share.astype(np.uint64), one, legend, valid)


def finish(
    best: NDArray[np.uint8], share: NDArray[Any], one: int, legend: Legend, valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(labels, confidence) of the classes' positions and shares: the one place where a percent is rounded.

    To the nearest, in integers, halves up.
    """
    labels = np.asarray(legend.ids, np.uint8)[best]
    confidence = ((share * 100 + one // 2) // one).astype(np.uint8)
    if valid is not None:
        labels[~valid] = NODATA
        confidence[~valid] = NODATA
    return labels, confidence


def _planes(logits: Array) -> list[Array]:
    return [logits[:, k] for k in range(logits.shape[1])]


def _largest(planes: Sequence[Array], xp: Any) -> tuple[Array, Array]:
    """(position uint8, value) of the largest of K arrays; the first among equals, as in the legend."""
    top = planes[0]
    best = xp.zeros_like(top, dtype=xp.uint8)
    for position, plane in enumerate(planes[1:], start=1):
        larger = plane > top
        best = xp.where(larger, position, best)
        top = xp.where(larger, plane, top)
    return best, top


def _powers(logits: Array, xp: Any, temperature: float, top: Array) -> list[Array]:
    return [xp.exp((plane - top) / temperature) for plane in _planes(logits)]
