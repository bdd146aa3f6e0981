"""The classes of two dates brought together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from geoseg.legend import Legend, as_compared
from geoseg.raster.united import united

UNKNOWN = "unknown"
"""Kind of a transition that has no class at one of the two dates, and the name of that lack."""


def name_of_unknown(names: Collection[str]) -> str:
    """Name of the row and column without a class: ``unknown``, or another where a class is called that."""
    taken = {as_compared(n) for n in names}
    numbered = (f"no class ({i})" for i in count(2))
    return next(n for n in chain((UNKNOWN, "no class"), numbered) if as_compared(n) not in taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of one map in terms of the classes of both dates together.

    Attributes
    ----------
    legend
        Classes of both dates, unique by name.
    before, after
        (256,) int64 from a map's label to the position in `legend`; K (unknown) for 255, K + 1 for labels
        outside the map's own legend.
    """

    legend: Legend
    before: NDArray[np.int64]
    after: NDArray[np.int64]


def join(before: Legend, after: Legend) -> Classes:
    """Classes of two maps together; see `united`."""
    legend, (of_before, of_after) = united((before, after))
    return Classes(legend=legend, before=of_before, after=of_after)
