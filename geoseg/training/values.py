"""Raw values of scenes as a network takes them, by its input contract."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.pixels import normalise
from geoseg.geometry import Window
from geoseg.models.contract import InputContract
from geoseg.raster.scene import Scene
from geoseg.training.light import Frame
from geoseg.training.statistics import Tone


class Values:
    """What crops hold before and after a contract normalises them."""

    def __init__(self, contract: InputContract) -> None:
        self._contract, self._fill = contract, np.array(contract.fill)
        self._gain, self._shift = torch.from_numpy(contract.gain), torch.from_numpy(contract.shift)

    def read(self, scene: Scene, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Raw pixels (B, h, w) float32, and which are valid (h, w).

        Others hold each band's mean, as they will when a model is used.
        """
        raw, valid = scene.read(window)
        pixels = raw.astype(np.float32)
        for band, value in zip(pixels, self._fill, strict=True):
            band[~valid] = value
        return pixels, valid

    def normalised(self, raw: Tensor) -> Tensor:
        """What a network takes, of raw values (B, H, W) or such as broadcast with them."""
        x: Tensor = normalise(raw, None, self._gain, self._shift, torch)
        return x

    def stored(self, x: Tensor) -> Tensor:
        """Normalised values (B, H, W) as a file of the contract's data type would hold them."""
        if np.dtype(self._contract.dtype).kind not in "ui":
            return x
        return self.normalised(((x - self._shift) / self._gain).round())

    def frame(self, tone: Tone) -> Frame:
        """What light is measured against in a scene of this tone."""
        low, high = (self.normalised(torch.tensor(v)) for v in self._contract.value_range)
        level, dark = (self.normalised(torch.from_numpy(v).view(-1, 1, 1)) for v in (tone.level, tone.dark))
        return Frame(zero=self._shift, level=level, dark=dark - self._shift, low=low, high=high)
