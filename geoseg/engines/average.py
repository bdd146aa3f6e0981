"""An engine that averages: over several engines, and over several views of every tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import Tta
from geoseg.engines.engine import Engine
from geoseg.engines.pixels import PROBABILITY_SCALE, decide
from geoseg.engines.views import VIEWS
from geoseg.errors import UsageError


class AverageEngine:
    """Mean of the quantised probabilities of all members and views.

    The mean is over integers: sums in uint32, then one division rounded to the nearest, halves up. So neither
    the order of the members nor that of the views changes a bit, and the average of equal answers is that
    answer. Every member takes raw pixels and normalises them by its own contract.
    """

    def __init__(self, members: Sequence[Engine], *, tta: Tta = "none") -> None:
        if not members:
            raise UsageError("an average needs at least one engine")
        self.legend = members[0].legend
        if any(m.legend.ids != self.legend.ids for m in members):
            raise UsageError("engines with different classes cannot be averaged")
        self._members, self._tta, self._views = tuple(members), tta, VIEWS[tta]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer: every member's identity, and the views."""
        members = [dict(m.identity) for m in self._members]
        devices = dict.fromkeys(str(m.get("device", "")) for m in members)
        return {"engine": "average", "device": ", ".join(devices), "tta": self._tta, "members": members}

    @property
    def takes_batches(self) -> bool:
        """Whether any member does."""
        return any(m.takes_batches for m in self._members)

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8; 255 where not valid.

        The label is the class with the largest of the averaged `probabilities`, the legend's first among
        equals; confidence is its share, rounded.
        """
        shares = np.moveaxis(self.probabilities(raw, valid), 1, 0)
        return decide(shares, PROBABILITY_SCALE, self.legend, valid)

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """Averaged ``round(p * 65535)`` (N, K, T, T) uint16 of raw tiles (N, C, T, T)."""
        total: NDArray[np.uint32] | None = None
        for view in self._views:
            seen = np.ascontiguousarray(view.of(raw))
            mask = None if valid is None else np.ascontiguousarray(view.of(valid))
            for member in self._members:
                answer = view.undo(member.probabilities(seen, mask))
                if total is None:
                    total = answer.astype(np.uint32)
                else:
                    total += answer
        assert total is not None
        answers = len(self._members) * len(self._views)
        total += answers // 2
        total //= answers
        return total.astype(np.uint16)
