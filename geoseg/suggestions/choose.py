"""Squares chosen one after the other: the most unsure, and far from all that were chosen before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def choose(
    unsure: NDArray[np.float64],
    shares: NDArray[np.float64],
    places: NDArray[np.float64],
    count: int,
    known: Sequence[int] = (),
) -> list[int]:
    """Indices of at most `count` squares, the best first; the same for the same input.

    Each is the one with the largest product of how unsure the model is and how far it lies from the nearest
    one before it. The distance is the mean of two in 0 to 1: half the sum of differences of class shares, and
    the one on the ground over the diagonal of all. Farthest-first covering after Gonzalez (1985), as Sener &
    Savarese (2018) use it to choose what to label, weighted by uncertainty.

    Parameters
    ----------
    unsure
        (n,) from 0 (certain) to 1; squares of 0 are never chosen.
    shares
        (n, K) shares of the classes, each row adding up to 1.
    places
        (n, 2) positions in any unit.
    count
        How many.
    known
        Squares that are labelled: not chosen, but kept away from.
    """
    diagonal = float(np.hypot(*np.ptp(places, axis=0))) if len(places) else 0.0
    near = np.ones(len(unsure))  # as far as can be while nothing is chosen
    left = unsure > 0

    def take(index: int) -> None:
        mix = np.abs(shares - shares[index]).sum(axis=1) / 2
        way = np.hypot(*(places - places[index]).T) / diagonal if diagonal else np.zeros(len(unsure))
        np.minimum(near, (mix + way) / 2, out=near)
        left[index] = False

    for index in known:
        take(index)
    chosen: list[int] = []
    while len(chosen) < count and left.any():
        # rounded, so that no processor's last bit decides between equals; the first of them is taken
        best = int(np.argmax(np.where(left, np.round(unsure * near, 9), -1.0)))
        take(best)
        chosen.append(best)
    return chosen
