"""Random fields and lines that landscapes are made of: smooth noise, wandering lines, a meandering river."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Field:
    """Smooth field (height, width) float32 of about zero mean and unit variance, varying over `scale` pixels.

    A coarse lattice of random numbers is spread by cubic B-splines, so its cost does not depend on the scale.
    """
    coarse = rng.standard_normal([int(n / scale) + 5 for n in shape]).astype(np.float32)
    down, across = (
        _splines(n, scale, nodes, rng.random()) for n, nodes in zip(shape, coarse.shape, strict=True)
    )
    fine = (across @ (down @ coarse).T).T
    return np.ascontiguousarray(fine * (315 / 151), np.float32)  # mean square of a cubic B-spline: 151/315


def _splines(length: int, scale: float, nodes: int, offset: float) -> sparse.csr_array:
    """Matrix (length, nodes) of the four cubic B-splines that reach each pixel."""
    at = np.arange(length) / scale + 1 + offset
    first = np.floor(at).astype(np.int64)
    t = at - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], 1) / 6
    columns = first[:, None] + np.arange(-1, 3)
    pointers = np.arange(0, 4 * length + 1, 4)
    return sparse.csr_array(
        (weights.astype(np.float32).ravel(), columns.ravel(), pointers), shape=(length, nodes)
    )


def rough_noise(
    rng: np.random.Generator, shape: tuple[int, int], scale: float, octaves: int = 4, roughness: float = 0.5
) -> Field:
    """Sum of `octaves` smooth fields, each half as wide and `roughness` as strong as the one before."""
    total = np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        weight = roughness**octave
        total += weight * smooth_noise(rng, shape, max(scale / 2**octave, 1.5))
        power += weight**2
    return np.asarray(total / np.sqrt(power), np.float32)


def grain(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Field:
    """White noise blurred to grains of `size` pixels (a Gaussian's sigma), unit variance, float32."""
    white = rng.standard_normal(shape, dtype=np.float32)
    blurred = ndimage.gaussian_filter(white, size, truncate=3, mode="wrap")
    return np.asarray(blurred / max(float(blurred.std()), 1e-6), np.float32)


def wander(rng: np.random.Generator, length: int, scale: float, amplitude: float) -> NDArray[np.float64]:
    """Smooth random line (length,) in pixels: how far a road strays from the ruler."""
    knots = rng.standard_normal(int(length / scale) + 5) * amplitude
    at = np.arange(length) / scale + 1.5
    line: NDArray[np.float64] = ndimage.map_coordinates(knots, at[None], order=3)
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class River:
    """A river seen from every pixel of the scene.

    Attributes
    ----------
    distance
        Distance in pixels to the centre line, float32.
    half_width
        Half the river's width at the nearest point of the line, in pixels, float32.
    inside
        How sharply the river bends towards this pixel at the nearest point, 0 to 1; 0 on the outer bank.
    """

    distance: Field
    half_width: Field
    inside: Field


def meander(
    rng: np.random.Generator, shape: tuple[int, int], heading: float, through: tuple[float, float]
) -> River:
    """River through the point (row, col) that flows along `heading` (radians from the column axis).

    Its line is a sine-generated curve, whose direction swings as a sine of the way along it
    (Langbein & Leopold 1966, "River meanders: theory of minimum variance"), with swing and length varying.
    """
    step = 0.5
    reach = 1.4 * float(np.hypot(*shape))
    n = int(2.2 * reach / step)
    way = np.arange(n) * step
    swing = np.clip(1.05 + wander(rng, n, 600, 0.5), 0.2, 1.8)
    wavelength = np.clip(260 + wander(rng, n, 500, 90), 130, 460)
    phase = np.cumsum(2 * np.pi * step / wavelength) + rng.random() * 6.28
    direction = heading + swing * np.sin(phase) + wander(rng, n, 1300, 0.3) + wander(rng, n, 160, 0.22)
    cols = np.cumsum(np.cos(direction)) * step
    rows = np.cumsum(np.sin(direction)) * step
    middle = n // 2
    rows += through[0] - rows[middle]
    cols += through[1] - cols[middle]
    bend = np.gradient(direction, way)
    width = np.clip(6.0 + wander(rng, n, 700, 0.9) - 12 * np.abs(bend), 3.8, 8.5)

    pad = 48  # the line continues outside the scene, and so must its banks
    nearest = np.full((shape[0] + 2 * pad, shape[1] + 2 * pad), -1, np.int32)
    r, c = np.rint(rows).astype(int) + pad, np.rint(cols).astype(int) + pad
    seen = (r >= 0) & (r < nearest.shape[0]) & (c >= 0) & (c < nearest.shape[1])
    nearest[r[seen], c[seen]] = np.flatnonzero(seen)
    if not seen.any():  # a line that misses the scene altogether leaves it dry
        nothing = np.zeros(shape, np.float32)
        return River(distance=nothing + np.float32(reach), half_width=nothing, inside=nothing)
    _, (i, j) = ndimage.distance_transform_edt(nearest < 0, return_indices=True)
    index = nearest[i, j][pad:-pad, pad:-pad]
    y = np.arange(shape[0], dtype=np.float32)[:, None] - rows[index].astype(np.float32)
    x = np.arange(shape[1], dtype=np.float32)[None, :] - cols[index].astype(np.float32)
    left = np.cos(direction)[index] * y - np.sin(direction)[index] * x  # > 0 where the direction turns to
    towards = np.sign(left) * bend[index] * 30.0
    return River(
        distance=np.hypot(x, y).astype(np.float32),
        half_width=width[index].astype(np.float32),
        inside=np.clip(towards, 0, 1).astype(np.float32),
    )
