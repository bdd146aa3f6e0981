"""What hides pixels of a scene: another raster, whose values say where, on whatever grid it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest

_HIDDEN, _SEEN = 1, 0


class Layer(Protocol):
    """A raster of one band."""

    @property
    def grid(self) -> Grid:
        """Where its pixels lie."""
        ...

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (1, h, w) and where they are valid (h, w)."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What identifies its content."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiding:
    """Which values of a layer hide the pixel that they lie over.

    Attributes
    ----------
    values
        Those that do; None for all but 0.
    bits
        Instead, those with one of these bits set; 0 for none.
    """

    values: tuple[int, ...] | None = None
    bits: int = 0

    def hides(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where values hide, in the shape of `pixels`; what the layer does not know (but 0) hides too."""
        if self.bits:
            return np.asarray((pixels & self.bits) != 0)
        if self.values is None:
            return np.asarray(pixels != 0)
        return np.asarray(np.isin(pixels, self.values) | (~valid & (pixels != 0)))

    def to_json(self) -> dict[str, Any]:
        """Form in manifests."""
        if self.bits:
            return {"bits": self.bits}
        return {"values": "all but 0" if self.values is None else list(self.values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A layer over a scene.

    Attributes
    ----------
    name
        What the user calls it.
    """

    name: str
    layer: Layer
    hiding: Hiding

    def seen(self, grid: Grid, window: Window) -> NDArray[np.bool_]:
        """Where nothing hides a window's pixels (h, w): by the layer's pixel under the centre of each.

        Beyond the layer's edge pixels are hidden, since nobody looked there. A pixel's answer depends on its
        global (row, col) alone.
        """
        found = sample_nearest(grid, window, self.layer.grid, self._hidden, fill=_HIDDEN)
        return np.asarray(found == _SEEN)

    def fingerprint(self) -> Mapping[str, Any]:
        """What identifies it; JSON-ready."""
        return {"hides": self.hiding.to_json(), **self.layer.fingerprint()}

    def _hidden(self, window: Window) -> NDArray[np.uint8]:
        (pixels,), valid = self.layer.read(window)
        return np.where(self.hiding.hides(pixels, valid), _HIDDEN, _SEEN).astype(np.uint8)
