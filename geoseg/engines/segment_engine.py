"""The engine of objects: everything around what a network detects, whatever library runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.feed import Feed
from geoseg.engines.painting import paint
from geoseg.engines.pixels import Array, Arrays
from geoseg.engines.segments import Detections, TileSegments
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle
from geoseg.models.object_rule import ObjectRule


class SegmentNetwork(Protocol):
    """A bundle's network on one library and device: all that an engine of objects has of its own."""

    @property
    def arrays(self) -> Arrays:
        """What it computes with."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that can change a bit of what it detects."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether a whole batch is one forward pass; else its tiles are passed one by one."""
        ...

    def detect(self, x: Array) -> list[Detections]:
        """What it sees in each normalised tile (n, C, T, T)."""
        ...


class NetworkSegmentEngine:
    """A network with what surrounds it: checks, normalisation, calibrated scores, painting, nodata."""

    def __init__(self, bundle: Bundle, network: SegmentNetwork) -> None:
        self.legend: Legend = bundle.legend
        self._network, self._digest = network, bundle.digest
        self._feed = Feed(bundle, network, smaller="a smaller `batch` or `tile`")
        self._rule, self._temperature = bundle.objects or ObjectRule(), bundle.temperature

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        return {**self._network.identity, "bundle": self._digest}

    @property
    def takes_batches(self) -> bool:
        """Whether a batch is one forward pass."""
        return self._network.takes_batches

    def segments(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> list[TileSegments]:
        """Segments of each raw tile (N, C, T, T); none where `valid` (N, T, T) is False."""
        passes = self._feed.each(raw, valid, self._network.detect)
        found = [detections for detected in passes for detections in detected]
        return [
            paint(
                detections,
                self._rule,
                shape=raw.shape[-2:],
                valid=None if valid is None else valid[k],
                temperature=self._temperature,
            )
            for k, detections in enumerate(found)
        ]
