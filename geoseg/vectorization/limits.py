"""From the cleaning that a user names to that of pixels and class numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from geoseg.geometry import HECTARE
from geoseg.regions.clean import Cleaning
from geoseg.regions.morphology import Sides
from geoseg.regions.sieve import Sieve
from geoseg.vectorization.job import Sizes, VectorizeJob

_CLASSES = range(255)


def cleaning_of(
    job: VectorizeJob, area_unit: float, numbers: Callable[[tuple[int | str, ...]], tuple[int, ...] | None]
) -> Cleaning:
    """Cleaning that a job asks for; `numbers` finds the class numbers of what an option names."""
    sieves = []
    if job.fill_holes:
        sieves.append(Sieve(kind="fill", least=job.fill_holes))
    if job.min_area:
        least = math.ceil(job.min_area * HECTARE / area_unit)
        sieves.append(Sieve(kind=job.small, least=least, by_area=True))
    elif job.min_pixels:
        sieves.append(Sieve(kind=job.small, least=job.min_pixels))
    return Cleaning(
        majority=job.majority,
        opening=_sides(job.opening, numbers),
        closing=_sides(job.closing, numbers),
        sieves=tuple(sieves),
    )


def _sides(sizes: Sizes, numbers: Callable[[tuple[int | str, ...]], tuple[int, ...] | None]) -> Sides:
    """Sides by class number; without a class they hold for all."""
    sides: dict[int, int] = {}
    for name, side in sizes:
        chosen = _CLASSES if name is None else numbers((name,)) or ()
        sides.update(dict.fromkeys(chosen, side))
    return tuple(sorted((c, side) for c, side in sides.items() if side > 1))
