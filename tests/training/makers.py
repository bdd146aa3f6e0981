"""Small labelled scenes with known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

CLASSES = {1: "dark", 2: "middle", 7: "bright"}
_LEVEL = {1: 40, 2: 110, 7: 200}


def stripes(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Labels in blobs of 16 px: 1, 2 and rarely 7."""
    rng = np.random.default_rng(seed)
    small = rng.choice([1, 2, 7], p=[0.5, 0.45, 0.05], size=(-(-height // 16), -(-width // 16)))
    return np.kron(small, np.ones((16, 16)))[:height, :width].astype(np.uint8)


def image_of(labels: NDArray[np.uint8], *, bands: int = 2, seed: int = 1) -> NDArray[np.uint8]:
    """Bands whose level is the class's, with noise."""
    rng = np.random.default_rng(seed)
    level = np.zeros(256)
    level[list(_LEVEL)] = list(_LEVEL.values())
    noise = rng.normal(0, 6, (bands, *labels.shape))
    return np.clip(level[labels] + noise + 5 * np.arange(bands)[:, None, None], 1, 255).astype(np.uint8)


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    pixel: float = 10,
    nodata: float | None = None,
    east: float = 500000,
) -> Path:
    """GeoTIFF in UTM zone 20 S with its corner at (east, 9000000)."""
    stack = pixels if pixels.ndim == 3 else pixels[None]
    transform = Affine(pixel, 0, east, 0, -pixel, 9000000)
    profile = {"driver": "GTiff", "dtype": stack.dtype, "count": len(stack), "crs": "EPSG:32720"}
    with rasterio.open(
        path, "w", height=stack.shape[1], width=stack.shape[2], transform=transform, nodata=nodata, **profile
    ) as file:
        file.write(stack)
    return path


def write_pair(
    folder: Path, *, height: int = 160, width: int = 240, seed: int = 0, east: float = 500000
) -> dict[str, str]:
    """A scene and its labels as files, in the form that a job takes."""
    labels = stripes(height, width, seed=seed)
    image = write(folder / f"image{seed}.tif", image_of(labels, seed=seed + 1), east=east)
    return {"image": str(image), "labels": str(write(folder / f"labels{seed}.tif", labels, east=east))}


def job(folder: Path, **fields: Any) -> dict[str, Any]:
    """Fields of a job on one pair that takes a second."""
    return {
        "scenes": [write_pair(folder)],
        "out": folder / "model",
        "classes": CLASSES,
        "model": "linear",
        "steps": 60,
        "batch": 4,
        "crop": 32,
        "validate_every": 30,
        "learning_rate": 0.05,
        "split": {"by": "region", "columns": ["60%", "100%"]},
        **fields,
    }
