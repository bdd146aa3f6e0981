"""Small rasters for tests, written with rasterio alone."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

UTM = "EPSG:32633"
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    crs: Any = UTM,
    transform: Affine | None = TRANSFORM,
    names: tuple[str, ...] = (),
    mask: NDArray[np.bool_] | None = None,
    colors: dict[int, tuple[int, int, int, int]] | None = None,
    tags: dict[str, str] | None = None,
    **options: Any,
) -> Path:
    """Path of a GeoTIFF of pixels (B, h, w) or (h, w)."""
    bands = pixels[None] if pixels.ndim == 2 else pixels
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", **profile, crs=crs, transform=transform, **options) as file,
        ):
            file.write(bands)
            for number, name in enumerate(names, 1):
                file.set_band_description(number, name)
            if mask is not None:
                file.write_mask(mask)
            if colors is not None:
                file.write_colormap(1, colors)
            if tags is not None:
                file.update_tags(**tags)
    return path


def coordinates(height: int, width: int, bands: int = 2) -> NDArray[np.uint32]:
    """Image whose pixel values are their own (band, row, col), so that a misplacement is a number."""
    b, r, c = np.meshgrid(np.arange(bands), np.arange(height), np.arange(width), indexing="ij")
    return (b * 100_000_000 + r * 10_000 + c).astype(np.uint32)
