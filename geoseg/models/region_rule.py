"""Region rules: how a tile is cut into regions, each of which gets one class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from geoseg.errors import UsageError

REGION_METHODS: dict[str, dict[str, float]] = {
    "watershed": {"sigma": 1.0},
    "canny": {"sigma": 1.0, "low": 0.3, "high": 0.8},
    "slic": {"spacing": 8.0, "compactness": 0.5, "sigma": 0.5},
    "felzenszwalb": {"scale": 255.0, "sigma": 0.5, "min_size": 20.0},
}
"""Methods with their parameters and defaults; colours are in standard deviations, lengths in pixels."""

SPACINGS = (4, 8, 16, 32)
"""Pixels between the seeds of superpixels: divisors of 32, of which tiles and margins are multiples."""

_POSITIVE = frozenset(["spacing", "compactness", "scale", "low", "high"])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRule:
    """How a raw tile is cut into regions.

    Attributes
    ----------
    method
        ``watershed``: of the Sobel gradient, flooded from its minima. ``canny``: of the distance to Canny's
        edges. ``slic``: superpixels (Achanta et al. 2012) from seeds on a global lattice. ``felzenszwalb``:
        merging of a graph (Felzenszwalb & Huttenlocher 2004).
    parameters
        All of the method's parameters (see `REGION_METHODS`).
    mean, std
        Per band, in raw values: what the tile is normalised by before it is cut.
    """

    method: str
    parameters: Mapping[str, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        known = REGION_METHODS.get(self.method)
        if known is None:
            raise UsageError(
                f"unknown way to make regions {self.method!r}", why=f"known are {', '.join(REGION_METHODS)}"
            )
        unknown = sorted(set(self.parameters) - set(known))
        if unknown:
            raise UsageError(
                f"regions by {self.method} have no parameter {unknown[0]!r}",
                why=f"known are {', '.join(known)}",
            )
        values = {key: float(self.parameters.get(key, value)) for key, value in known.items()}
        for key, value in values.items():
            if not math.isfinite(value) or value < 0 or (key in _POSITIVE and value == 0):
                raise UsageError(f"regions: {key} has to be positive", why=f"found {value}")
        if values.get("spacing", 8) not in SPACINGS:
            raise UsageError(
                "regions: seeds would not fall on the same pixels in every tile",
                why=f"found a spacing of {values['spacing']:g}, expected {', '.join(map(str, SPACINGS))}",
            )
        if len(self.mean) != len(self.std) or not self.std or min(self.std) <= 0:
            raise UsageError("regions: mean and std need one number per band, std positive")
        if not np.isfinite([*self.mean, *self.std]).all():
            raise UsageError("regions: mean and std have to be finite")
        object.__setattr__(self, "parameters", MappingProxyType(values))

    def to_json(self) -> dict[str, Any]:
        """Form in ``bundle.json``."""
        return {
            "method": self.method,
            "parameters": dict(self.parameters),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> RegionRule:
        """Rule from its form in ``bundle.json``."""
        return cls(
            method=str(raw["method"]),
            parameters=dict(raw.get("parameters", {})),
            mean=_numbers(raw["mean"]),
            std=_numbers(raw["std"]),
        )

    def __str__(self) -> str:
        """Method and parameters in words."""
        return f"{self.method} ({', '.join(f'{k} {v:g}' for k, v in self.parameters.items())})"


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
