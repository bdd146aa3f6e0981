"""Networks of objects on PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.choice import EngineChoice
from geoseg.engines.segments import Detections
from geoseg.engines.torch_engine import Torch
from geoseg.legend import NODATA, Legend
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network


class TorchDetector:
    """A module that maps normalised tiles (n, C, T, T) to n dictionaries of tensors, on a device.

    Each has ``scores`` (k,), ``classes`` (k,) as positions in the legend, ``boxes`` (k, 4) as whole numbers,
    ``masks``, k of them, and with classes of stuff ``stuff`` (T, T), positions too; see `Detections`.
    """

    def __init__(self, bundle: Bundle, choice: EngineChoice) -> None:
        self._torch = Torch(choice)
        self.takes_batches, self.arrays = self._torch.takes_batches, self._torch.arrays
        self._network = self._torch.placed(load_network(bundle))
        self._legend = bundle.legend

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of what it detects."""
        return self._torch.identity

    def detect(self, x: Tensor) -> list[Detections]:
        """What it sees in each normalised tile (n, C, T, T)."""
        return [detections_of(found, self._legend) for found in self._torch.run(self._network, x)]


def detections_of(found: Mapping[str, Any], legend: Legend) -> Detections:
    """What a module sees in one tile, with class ids for positions in the legend."""
    ids = np.full(256, NODATA, np.uint8)
    ids[: len(legend)] = legend.ids
    stuff = found.get("stuff")
    return Detections(
        scores=_array(found["scores"]),
        classes=ids[_array(found["classes"]).astype(np.int64)],
        boxes=_array(found["boxes"]).astype(np.int64).reshape(-1, 4),
        masks=[_array(mask) for mask in found["masks"]],
        stuff=None if stuff is None else ids[_array(stuff).astype(np.int64)],
    )


def _array(tensor: Tensor) -> NDArray[Any]:
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
