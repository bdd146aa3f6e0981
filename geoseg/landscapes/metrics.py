"""Landscape metrics as functions of the patches: names and units of FRAGSTATS 4 (McGarigal et al. 2012)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RULES: Mapping[str, str] = {
    "CA": "ha of the class",
    "TA": "ha of the landscape: all classes, without nodata",
    "PLAND": "% of the landscape",
    "NP": "patches",
    "PD": "patches per 100 ha of the landscape",
    "LPI": "largest patch in % of the landscape",
    "TE": "m of edge with other classes; of the landscape every edge once",
    "ED": "TE in m per ha of the landscape",
    "AREA_MN": "mean ha of a patch",
    "AREA_SD": "standard deviation of the patches' ha, with n",
    "AREA_CV": "AREA_SD in % of AREA_MN",
    "TCA": "ha of core",
    "CPLAND": "core in % of the landscape",
    "NDCA": "connected parts of cores",
    "DCAD": "NDCA per 100 ha of the landscape",
    "CORE_MN": "mean ha of core of a patch",
    "DIVISION": "chance that two random places are in different patches",
    "MESH": "effective mesh size, ha",
    "SPLIT": "effective number of patches",
    "PLADJ": "% of the sides of pixels that lie between two of the class",
    "AI": "those sides in % of the most that so many pixels can have",
    "COHESION": "% of cohesion, from the patches' sides and pixels",
    "SHAPE_MN": "mean of the patches' sides over the fewest that so many pixels can have",
    "SHDI": "Shannon's diversity",
    "SIDI": "Simpson's diversity",
    "SHEI": "Shannon's evenness",
}
"""Every metric with its unit, in the order in which they are told."""

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """Patches of one class, or of all.

    Attributes
    ----------
    hectares, core
        (n,) area of each, and of its core.
    pixels, sides
        (n,) pixels of each, and sides of pixels along its outline.
    parts
        Connected parts of their cores.
    edge
        Metres of edge.
    """

    hectares: Real
    core: Real
    pixels: Whole
    sides: Whole
    parts: int
    edge: float


def of_class(patches: Patch, total: float, pixels: int) -> dict[str, float]:
    """Metrics of a class in a landscape of `total` hectares and so many pixels; NaN where there is none."""
    area, cells = float(math.fsum(patches.hectares)), int(patches.pixels.sum())
    like = 4 * cells - int(patches.sides.sum())
    most = _most_like(cells)
    found = {
        "CA": area,
        "PLAND": 100 * area / total,
        **_common(patches, total),
        "PLADJ": 100 * like / (4 * cells),
        "AI": 100 * (like // 2) / most if most else math.nan,
        "COHESION": _cohesion(patches, pixels),
        "SHAPE_MN": float(np.mean(patches.sides / _fewest_sides(patches.pixels))),
    }
    return _ordered(found)


def of_landscape(patches: Patch, shares: Real, total: float, pixels: int) -> dict[str, float]:
    """Metrics of the landscape whose classes have these shares of it."""
    like = 4 * pixels - int(patches.sides.sum())
    diversity = -math.fsum(p * math.log(p) for p in shares.tolist() if p > 0)
    found = {
        "TA": total,
        **_common(patches, total),
        "PLADJ": 100 * like / (4 * pixels),
        "COHESION": _cohesion(patches, pixels),
        "SHAPE_MN": float(np.mean(patches.sides / _fewest_sides(patches.pixels))),
        "SHDI": diversity,
        "SIDI": 1 - math.fsum(p * p for p in shares.tolist()),
        "SHEI": diversity / math.log(len(shares)) if len(shares) > 1 else 0.0,
    }
    return _ordered(found)


def _common(patches: Patch, total: float) -> dict[str, float]:
    number = len(patches.hectares)
    mean, squares = math.fsum(patches.hectares) / number, math.fsum(patches.hectares**2)
    spread = math.sqrt(math.fsum((patches.hectares - mean) ** 2) / number)
    core = math.fsum(patches.core)
    return {
        "NP": number,
        "PD": 100 * number / total,
        "LPI": 100 * float(patches.hectares.max()) / total,
        "TE": patches.edge,
        "ED": patches.edge / total,
        "AREA_MN": mean,
        "AREA_SD": spread,
        "AREA_CV": 100 * spread / mean,
        "TCA": core,
        "CPLAND": 100 * core / total,
        "NDCA": patches.parts,
        "DCAD": 100 * patches.parts / total,
        "CORE_MN": core / number,
        "DIVISION": 1 - squares / total**2,
        "MESH": squares / total,
        "SPLIT": total**2 / squares,
    }


def _ordered(found: Mapping[str, float]) -> dict[str, float]:
    return {name: found[name] for name in RULES if name in found}


def _cohesion(patches: Patch, pixels: int) -> float:
    """Schumaker (1996); NaN where the landscape is one pixel."""
    if pixels <= 1:
        return math.nan
    sides = patches.sides.astype(np.float64)
    weighted = math.fsum(sides * np.sqrt(patches.pixels))
    return 100 * (1 - math.fsum(sides) / weighted) / (1 - 1 / math.sqrt(pixels))


def _most_like(pixels: int) -> int:
    """Most sides that so many pixels can have in common (He et al. 2000)."""
    n = math.isqrt(pixels)
    rest = pixels - n * n
    if rest == 0:
        return 2 * n * (n - 1)
    return 2 * n * (n - 1) + 2 * rest - (1 if rest <= n else 2)


def _fewest_sides(pixels: Whole) -> Whole:
    """Fewest sides that an outline around so many pixels can have, (n,)."""
    n = np.array([math.isqrt(v) for v in pixels.tolist()], np.int64)
    return np.where(pixels == n * n, 4 * n, np.where(pixels <= n * (n + 1), 4 * n + 2, 4 * n + 4))
