"""Plain rasters written from memory: small scenes, samples and figures' sources, not products of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from geoseg.errors import OutputConflictError, UsageError
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

    It appears under its name when it is whole: it is written beside it and renamed. A file that is there is
    replaced.

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
    OutputConflictError
        The folder cannot be written.
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
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with rasterio.open(partial, "w", **profile) as file:
                file.write(np.ascontiguousarray(bands))
                for number, name in enumerate(band_names, start=1):
                    file.set_band_description(number, name)
                if {"red", "green", "blue"} <= set(band_names):  # so that a GIS opens it in true colour
                    file.colorinterp = [_COLORS.get(name, ColorInterp.undefined) for name in band_names]
                if tags:
                    file.update_tags(**tags)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RasterioError) as error:
        raise OutputConflictError("cannot be written", where=target, why=str(error)) from None
    return target
