"""What a Sentinel-2-like sensor sees of a land: reflectance per class, light, haze, blur and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.demo.landscape import BARE, BUILT_UP, CROPLAND, FOREST, PASTURE, ROAD, WATER, Land, Layout
from geoseg.demo.terrain import Field, Mask, grain, rough_noise, smooth_noise

BANDS = ("blue", "green", "red", "nir")
"""Bands in order: Sentinel-2 B02, B03, B04, B08."""

SCALE = 10_000
"""Digital number of reflectance 1, as in Sentinel-2 Level-2A."""

# Surface reflectance (blue, green, red, nir), typical of Sentinel-2 over the south-western Amazon in the
# dry season; the second row of a pair is the other end of a class's natural range.
_SPECTRA: dict[str, tuple[tuple[float, float, float, float], tuple[float, float, float, float]]] = {
    "forest": ((0.022, 0.042, 0.022, 0.285), (0.030, 0.054, 0.030, 0.355)),
    "pasture": ((0.044, 0.078, 0.066, 0.315), (0.064, 0.102, 0.128, 0.245)),
    "crop": ((0.030, 0.068, 0.034, 0.450), (0.088, 0.124, 0.172, 0.255)),
    "river": ((0.058, 0.088, 0.082, 0.036), (0.052, 0.078, 0.066, 0.028)),
    "track": ((0.078, 0.118, 0.190, 0.270), (0.070, 0.105, 0.160, 0.255)),
    "asphalt": ((0.088, 0.100, 0.112, 0.165), (0.096, 0.112, 0.126, 0.190)),
    "town": ((0.066, 0.090, 0.102, 0.225), (0.118, 0.136, 0.162, 0.225)),
    "clearing": ((0.042, 0.062, 0.078, 0.135), (0.066, 0.104, 0.150, 0.225)),
    "sand": ((0.150, 0.195, 0.240, 0.320), (0.190, 0.240, 0.285, 0.365)),
}

_PSF_SIGMA = 0.62  # Sentinel-2's 10 m bands reach an MTF of about 0.2 at Nyquist: a Gaussian of 0.6 pixel


def look(rng: np.random.Generator, land: Land, layout: Layout, date: int) -> NDArray[np.uint16]:
    """Image (4, height, width) uint16 of a land, reflectance times 10 000, at least 1 everywhere."""
    shape = land.classes.shape
    mix = _mixing(rng, land, layout, date)
    image = np.empty((len(BANDS), *shape), np.float32)
    masks = _surfaces(land)
    shade = _shading(layout, land, date)
    texture = _texture(rng, land, layout)
    haze = np.clip(0.6 + smooth_noise(rng, shape, 0.45 * max(shape)), 0, None) * (0.004, 0.007)[date]
    gain = (1.0, 0.965)[date]
    stripes = 1 + 0.003 * rng.standard_normal((len(BANDS), shape[1])).astype(np.float32)
    for band in range(len(BANDS)):
        plane = np.zeros(shape, np.float32)
        for name, mask in masks.items():
            low, high = _SPECTRA[name]
            plane[mask] = (low[band] + (high[band] - low[band]) * mix)[mask]
        plane *= (1 + texture * (1.0 if band == 3 else 0.7)) * shade
        plane = ndimage.gaussian_filter(plane, _PSF_SIGMA, truncate=3, mode="nearest")
        plane = gain * plane + haze * (1.5, 1.0, 0.7, 0.3)[band]
        plane *= stripes[band]
        noise = rng.standard_normal(shape, dtype=np.float32)
        plane += noise * (0.0011 + 0.008 * np.clip(plane, 0, 1))
        image[band] = plane
    numbers: NDArray[np.uint16] = np.clip(np.rint(image * SCALE), 1, 20_000).astype(np.uint16)
    return numbers


def footprint(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Where the swath saw the ground (True): a rectangle turned by a few degrees, as an orbit's track is."""
    height, width = shape
    turn = np.radians(rng.uniform(3.5, 5.5))
    rows = np.arange(height)[:, None] - (height - 1) / 2
    cols = np.arange(width)[None, :] - (width - 1) / 2
    u = cols * np.cos(turn) + rows * np.sin(turn)
    v = rows * np.cos(turn) - cols * np.sin(turn)
    half_u, half_v = width * rng.uniform(0.492, 0.502), height * rng.uniform(0.492, 0.502)
    mask: Mask = (np.abs(u) < half_u) & (np.abs(v) < half_v)
    return mask


def _surfaces(land: Land) -> dict[str, Mask]:
    classes = land.classes
    road, bare = classes == ROAD, classes == BARE
    return {
        "forest": classes == FOREST,
        "pasture": classes == PASTURE,
        "crop": classes == CROPLAND,
        "river": classes == WATER,
        "track": road & ~land.highway,
        "asphalt": road & land.highway,
        "town": classes == BUILT_UP,
        "clearing": bare & ~land.sand,
        "sand": bare & land.sand,
    }


def _mixing(rng: np.random.Generator, land: Land, layout: Layout, date: int) -> Field:
    """Where between the two ends of its class's spectrum a pixel lies, about 0 to 1."""
    shape = land.classes.shape
    mix = 0.5 + 0.22 * rough_noise(rng, shape, 90, octaves=5, roughness=0.7)
    owner = rng.random(int(land.plot.max()) + 1).astype(np.float32)
    own = owner[land.plot]
    lot = rng.random(layout.lots).astype(np.float32)[layout.lot]
    classes = land.classes
    grass = classes == PASTURE
    mix[grass] += ((lot - 0.5) * 0.7 + 0.16 * date)[grass]  # the second date is later in the dry season
    crop = classes == CROPLAND
    mix[crop] = (0.1 * (mix - 0.5) + own)[crop]
    fresh = (classes == BARE) & ~land.sand
    mix[fresh] += (1.1 * lot - 0.6)[fresh]
    return np.asarray(np.clip(mix, -0.25, 1.3), np.float32)


def _texture(rng: np.random.Generator, land: Land, layout: Layout) -> Field:
    """Relative brightness (about zero): crowns, tussocks, rows, roofs, ripples."""
    shape = land.classes.shape
    classes = land.classes
    fine, coarse = grain(rng, shape, 0.7), grain(rng, shape, 1.8)
    texture = np.zeros(shape, np.float32)
    crowns = 0.085 * fine + 0.05 * coarse
    for class_id, value in (
        (FOREST, crowns),
        (PASTURE, 0.03 * fine + 0.045 * coarse),
        (WATER, 0.012 * fine),
        (ROAD, 0.05 * fine),
        (BARE, 0.05 * fine + 0.07 * coarse),
    ):
        mask = classes == class_id
        texture[mask] = value[mask]
    lone_trees = (classes == PASTURE) & (fine + 0.8 * layout.patchy < -3.0)
    texture[lone_trees] -= 0.3

    crop = classes == CROPLAND
    period = 4.0 + 3.0 * rng.random(int(land.plot.max()) + 1).astype(np.float32)
    rows = np.sin(layout.from_side_road * (2 * np.pi / period[land.plot]))
    texture[crop] = (0.045 * rows + 0.02 * fine)[crop]

    town = classes == BUILT_UP
    street = (np.mod(layout.along, 13) < 1.2) | (np.mod(layout.across, 10) < 1.2)
    roofs = np.clip(0.24 * fine + 0.20 * coarse - 0.05, -0.45, 1.1)
    texture[town] = np.where(street, 0.22, roofs)[town]
    return texture


def _shading(layout: Layout, land: Land, date: int) -> Field:
    """Light on slopes, and the forest's shadow on the clearing beside it; the sun stands north-east."""
    slope_row, slope_col = np.gradient(layout.relief)
    azimuth = np.radians((38, 52)[date])
    lit = 1 + 1.6 * (slope_row * np.cos(azimuth) - slope_col * np.sin(azimuth))
    forest = land.classes == FOREST
    shadow = np.zeros_like(forest)
    shadow[1:, :-1] = forest[:-1, 1:]
    lit = np.clip(lit, 0.8, 1.2)
    lit[shadow & ~forest] *= 0.86
    return np.asarray(lit, np.float32)
