"""A product: its bands as reflectance x 10000, and the layers of it that mask pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from geoseg.raster.bands import SceneBand
from geoseg.raster.cover import Hiding

UNIT = 10_000
"""Values of a product's bands are reflectance times this, whatever the product stores."""

Level = Literal["", "top of atmosphere", "surface"]
"""What reflectance is: as the sensor saw it, or with the atmosphere taken out; empty where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product's files put together.

    Attributes
    ----------
    name
        What it is, in words.
    paths
        Files of the bands, absolute; they may lie in an archive.
    bands
        Named bands in the product's order; `SceneBand.file` counts `paths`.
    layers
        Files by the name under which they can mask pixels, like ``scl``, and what of them does.
    notes
        How values were made of what is stored.
    """

    name: str
    level: Level
    paths: tuple[Path, ...]
    bands: tuple[SceneBand, ...]
    layers: Mapping[str, tuple[Path, Hiding]] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
