"""Plain rasters written from memory: small scenes, samples and figures' sources, not products of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from geoseg.errors import UsageError
from geoseg.files import whole
from geoseg.geometry import Grid

_BLOCK = 512
_COLORS = {name: ColorInterp[name] for name in ("red", "green", "blue")}


def write_geotiff(
    path: str | Path,
    grid: Grid,
    pixels: NDArray[Any],
    *,
    nodata: float | None = None,
    band_names: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Path of a tiled, compressed GeoTIFF of `pixels` (bands, height, width) or (height, width) on a grid.

    It appears under its name when it is whole. A file that is there is replaced.

    Parameters
    ----------
    nodata
        Value without meaning, in every band.
    band_names
        Descriptions of the bands, in order; red, green and blue also are the colours in which it opens.
    tags
        Free metadata of the file.

    Raises
    ------
    UsageError
        Pixels of another size than the grid, or names for another number of bands.
    OutputConflictError, ResourceError
        The folder cannot be written; the disk is full.
    """
    bands = pixels[None] if pixels.ndim == 2 else pixels
    if bands.ndim != 3 or bands.shape[1:] != grid.shape:
        raise UsageError(
            "pixels do not fit the grid", where=path, why=f"found shape {pixels.shape}, expected {grid.shape}"
        )
    if band_names and len(band_names) != len(bands):
        raise UsageError(
            "band names do not fit the bands",
            where=path,
            why=f"{len(band_names)} names for {len(bands)} bands",
        )
    target = Path(path)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": len(bands),
        "height": grid.height,
        "width": grid.width,
        "dtype": bands.dtype.name,
        "crs": rasterio.CRS.from_wkt(grid.crs.to_wkt("WKT2_2019")),
        "transform": grid.transform,
        "nodata": nodata,
        "compress": "deflate",
        "predictor": 3 if bands.dtype.kind == "f" else 2,
        "bigtiff": "if_safer",
    }
    if min(grid.shape) >= _BLOCK:
        profile |= {"tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK}
    with whole(target, RasterioError) as partial, rasterio.open(partial, "w", **profile) as file:
        file.write(np.ascontiguousarray(bands))
        for number, name in enumerate(band_names, start=1):
            file.set_band_description(number, name)
        if {"red", "green", "blue"} <= set(band_names):  # so that a GIS opens it in true colour
            file.colorinterp = [_COLORS.get(name, ColorInterp.undefined) for name in band_names]
        if tags:
            file.update_tags(**tags)
    return target
