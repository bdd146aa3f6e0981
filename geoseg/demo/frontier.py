"""A synthetic frontier: a Sentinel-2-like scene of forest and settlement at two dates, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.demo.landscape import FRONTIER_LEGEND, lay_out, settle
from geoseg.demo.optics import BANDS, footprint, look
from geoseg.errors import UsageError
from geoseg.geometry import Grid
from geoseg.legend import NODATA, Legend

DEMO_SEED = 2024
"""Seed of the demo's scene; no model is trained on it."""

DEMO_SHAPE = (1543, 1789)
"""(height, width) of the demo's scene: both prime, so that nothing divides it evenly."""

PIXEL_SIZE = 10.0
_LEAST = 64
_ORIGIN = (478_200.0, 8_903_600.0)  # near Ariquemes, Rondonia


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """A scene at two dates with the exact class of every pixel.

    Attributes
    ----------
    before, after
        Images (4, height, width) uint16: blue, green, red, nir reflectance x 10 000; 0 is nodata.
    reference_before, reference_after
        Class ids (height, width) uint8; 255 where that date's image is nodata.
    grid
        UTM zone 20 south, 10 m.
    legend
        Seven classes.
    band_names
        Bands in order.
    seed
        What it grew from.
    """

    before: NDArray[np.uint16]
    after: NDArray[np.uint16]
    reference_before: NDArray[np.uint8]
    reference_after: NDArray[np.uint8]
    grid: Grid
    legend: Legend
    band_names: tuple[str, ...]
    seed: int


def make_frontier(seed: int = DEMO_SEED, shape: tuple[int, int] = DEMO_SHAPE) -> Frontier:
    """Frontier scene of `shape` (height, width); the same seed and shape give the same pixels.

    Raises
    ------
    UsageError
        A side under 64 pixels, or a negative seed.
    """
    if min(shape) < _LEAST:
        raise UsageError(
            "scene too small for a landscape",
            why=f"found {shape[0]} x {shape[1]}, expected at least {_LEAST}",
        )
    if seed < 0:
        raise UsageError("seed is negative", why=f"found {seed}", hint="a whole number from 0")
    place, people, *sensors = np.random.SeedSequence(seed).spawn(4)
    layout = lay_out(np.random.default_rng(place), shape)
    images, references = [], []
    for date, land in enumerate(settle(np.random.default_rng(people), layout)):
        rng = np.random.default_rng(sensors[date])
        seen = footprint(rng, shape)
        image = look(rng, land, layout, date)
        image[:, ~seen] = 0
        images.append(image)
        references.append(np.where(seen, land.classes, np.uint8(NODATA)))
    x, y = _ORIGIN
    return Frontier(
        before=images[0],
        after=images[1],
        reference_before=references[0],
        reference_after=references[1],
        grid=Grid(
            crs=CRS.from_epsg(32720),
            transform=Affine(PIXEL_SIZE, 0, x, 0, -PIXEL_SIZE, y),
            height=shape[0],
            width=shape[1],
        ),
        legend=FRONTIER_LEGEND,
        band_names=BANDS,
        seed=seed,
    )
