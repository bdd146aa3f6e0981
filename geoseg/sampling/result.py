"""What a design came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.legend import Legend
from geoseg.results import as_json
from geoseg.sampling.allocation import Errors
from geoseg.sampling.layout import Stratum


@dataclass(frozen=True, kw_only=True)
class Option:
    """One way to allocate the units, and the standard errors to be expected of it.

    Attributes
    ----------
    n
        Units of each stratum.
    errors
        Expected; None where the design does not say them beforehand.
    """

    n: tuple[int, ...]
    errors: Errors | None


@dataclass(frozen=True, kw_only=True)
class SampleDesign:
    """A sample's design, and the file it was drawn into.

    Attributes
    ----------
    path
        The GeoPackage; None where nothing was drawn.
    n
        Units in all.
    strata
        Each with its units.
    legend
        Classes of the labels.
    options
        Allocations of the same number of units side by side; the chosen one among them.
    chosen
        Its name.
    hectares
        Of the population.
    kept
        Units of an earlier sample that this one extends.
    notes
        What the user should know.
    """

    path: Path | None
    n: int
    strata: tuple[Stratum, ...]
    legend: Legend
    options: Mapping[str, Option]
    chosen: str
    hectares: float
    kept: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)
