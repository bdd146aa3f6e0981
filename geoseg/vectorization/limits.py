"""From the sizes that a user names to the sizes that pixels have."""

from __future__ import annotations

import math

import numpy as np

from geoseg.errors import UsageError
from geoseg.geometry import HECTARE, Grid, Window, pixel_areas
from geoseg.regions.clean import Cleaning
from geoseg.vectorization.job import VectorizeJob

FARTHEST = 8192
"""Most pixels around a chunk that are read to clean it."""

_SAMPLES = 17
_SAFETY = 0.99  # areas of pixels vary smoothly between the samples


def cleaning_of(job: VectorizeJob, grid: Grid, area_unit: float) -> Cleaning:
    """Cleaning that a job asks for on a grid.

    Raises
    ------
    UsageError
        A size whose regions reach too far for one chunk's surroundings.
    """
    pixels, units = job.min_pixels, 0
    if job.min_area:
        units = math.ceil(job.min_area * HECTARE / area_unit)
        pixels = math.ceil(job.min_area * HECTARE / _smallest_pixel(grid)) + 1
    cleaning = Cleaning(
        majority=job.majority, fill=job.fill_holes, least_pixels=pixels, least_area=units, small=job.small
    )
    if cleaning.reach > FARTHEST:
        most = pixels * FARTHEST // cleaning.reach
        raise UsageError(
            f"regions of {pixels} pixels are too large to clean away",
            where=job.classes,
            why=f"they reach {cleaning.reach} pixels around a chunk, at most {FARTHEST} are read",
            hint=f"--min-pixels {most} at most, or --small drop, which looks less far",
        )
    return cleaning


def _smallest_pixel(grid: Grid) -> float:
    """A lower bound of the area of a grid's pixels, in m²."""
    rows = np.unique(np.linspace(0, grid.height - 1, _SAMPLES).astype(int)).tolist()
    cols = np.unique(np.linspace(0, grid.width - 1, _SAMPLES).astype(int)).tolist()
    found = [float(pixel_areas(grid, Window(r, c, 1, 1)).min()) for r in rows for c in cols]
    positive = [area for area in found if area > 0]
    return _SAFETY * min(positive) if positive else math.inf
