"""A small multispectral place with water, field and forest, and polygons over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry import Point, box

TRANSFORM = Affine(10, 0, 500000, 0, -10, 9000000)
NAMES = ("blue", "green", "red", "nir", "swir1")
_SPECTRA = {1: (700, 600, 400, 200, 100), 2: (800, 1100, 1500, 2600, 3000), 3: (300, 500, 350, 3600, 1500)}


def truth(height: int = 150, width: int = 210, seed: int = 0) -> NDArray[np.uint8]:
    """Classes 1 to 3 in blocks of 30 pixels."""
    small = np.random.default_rng(seed).integers(1, 4, (-(-height // 30), -(-width // 30)))
    small.ravel()[:3] = (1, 2, 3)
    return np.kron(small, np.ones((30, 30), int))[:height, :width].astype(np.uint8)


def pixels(classes: NDArray[np.uint8], *, noise: float = 60, seed: int = 1) -> NDArray[np.uint16]:
    """Reflectance x 10000, (5, h, w)."""
    spectra = np.zeros((256, 5))
    for key, values in _SPECTRA.items():
        spectra[key] = values
    image = np.moveaxis(spectra[classes], -1, 0)
    drawn = np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.clip(image + drawn, 1, 10000).round().astype(np.uint16)


def write(
    path: Path, image: NDArray[Any], *, names: tuple[str, ...] = NAMES, nodata: float | None = 0
) -> Path:
    """GeoTIFF with band names."""
    count, height, width = image.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=image.dtype,
        crs="EPSG:32720", transform=TRANSFORM, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(image)
        file.descriptions = names
    return path


def polygons(path: Path, classes: NDArray[np.uint8], *, points: bool = False) -> Path:
    """A polygon (or point) inside every block of 30 pixels, with its class as text."""
    names = {1: "water", 2: "field", 3: "forest"}
    shapes, labels = [], []
    for row in range(0, classes.shape[0] - 29, 30):
        for col in range(0, classes.shape[1] - 29, 30):
            x, y = (
                TRANSFORM @ (col + 8, row + 8)
                if hasattr(TRANSFORM, "__matmul__")
                else TRANSFORM * (col + 8, row + 8)
            )
            shapes.append(Point(x + 5, y - 5) if points else box(x, y - 120, x + 120, y))
            labels.append(names[int(classes[row + 10, col + 10])])
    gpd.GeoDataFrame({"kind": labels}, geometry=shapes, crs="EPSG:32720").to_file(path)
    return path
