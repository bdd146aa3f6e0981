"""An engine without a network, for tests of tiling, stitching and scheduling and for measuring their cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.engine import check_tiles
from geoseg.engines.pixels import PROBABILITY_SCALE, finish
from geoseg.legend import Legend


class FakeEngine:
    """Labels are a pixel's own values: class number (sum of the bands) modulo (number of classes).

    A pixel that a tiler puts in the wrong place, drops or computes twice shows as a wrong label.
    `open_engine` does not know this engine; it has to be built on purpose.
    """

    def __init__(self, legend: Legend, *, bands: int, multiple: int = 32) -> None:
        self.legend = legend
        self._bands, self._multiple = bands, multiple

    @property
    def takes_batches(self) -> bool:
        """False: every tile by itself."""
        return False

    @property
    def identity(self) -> dict[str, Any]:
        """Says that no network was run."""
        return {"engine": "fake", "classes": list(self.legend.ids)}

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and a confidence of 100, both (N, T, T) uint8; 255 where not valid."""
        check_tiles(raw, valid, bands=self._bands, multiple=self._multiple)
        positions = self._positions(raw).astype(np.uint8)
        return finish(positions, np.ones(positions.shape, np.int64), 1, self.legend, valid)

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """65535 for the label's class and 0 for the others, (N, K, T, T) uint16."""
        check_tiles(raw, valid, bands=self._bands, multiple=self._multiple)
        classes = np.arange(len(self.legend))[:, None, None]
        return np.where(self._positions(raw)[:, None] == classes, PROBABILITY_SCALE, 0).astype(np.uint16)

    def _positions(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        total = np.nan_to_num(raw).astype(np.int64).sum(axis=1)
        return np.asarray(total % len(self.legend))
