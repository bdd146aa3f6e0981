"""Disagreement of two maps by its kinds: quantity and allocation, and of that exchange and shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Disagreement of each class, in the unit of the matrix: pixels, hectares or shares.

    What disagrees counts in both of its classes, so that sums over the classes are twice the `whole`.

    Attributes
    ----------
    quantity
        (K,) difference of the two totals of the class.
    exchange
        (K,) class i for j as often as j for i.
    shift
        (K,) the rest: three classes or more in a round.
    """

    quantity: Numbers
    exchange: Numbers
    shift: Numbers

    @property
    def allocation(self) -> Numbers:
        """(K,) exchange and shift together; between two dates it is called swap."""
        return self.exchange + self.shift

    @property
    def whole(self) -> dict[str, float]:
        """``total``, ``quantity``, ``allocation``, ``exchange`` and ``shift`` over all classes."""
        quantity, exchange, shift = (float(v.sum()) / 2 for v in (self.quantity, self.exchange, self.shift))
        return {
            "total": quantity + exchange + shift,
            "quantity": quantity,
            "allocation": exchange + shift,
            "exchange": exchange,
            "shift": shift,
        }


def disagreement(matrix: NDArray[np.generic]) -> Disagreement:
    """Disagreement of a (K, K) matrix, either map along either axis.

    Pontius & Millones (2011); Pontius & Santacruz (2014).
    """
    m = matrix.astype(np.float64)
    rows, columns, same = m.sum(1), m.sum(0), np.diagonal(m)
    quantity = np.abs(rows - columns)
    exchange = 2 * (np.minimum(m, m.T).sum(1) - same)
    shift = rows + columns - 2 * same - quantity - exchange
    return Disagreement(quantity=quantity, exchange=exchange, shift=np.maximum(shift, 0.0))
