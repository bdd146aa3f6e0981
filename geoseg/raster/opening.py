"""Scenes opened: files found, checked, and put together as the bands of one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import DTypeLike

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid
from geoseg.raster.bands import Band, choose_bands, list_bands, tell_apart
from geoseg.raster.georeference import Assumption, locate
from geoseg.raster.notes import remarks
from geoseg.raster.open import open_raster
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.scene import Scene
from geoseg.raster.sources import Source, find_files

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Pixel types of a scene; 64-bit integers and complex numbers fit no model."""


def open_scene(
    source: Source, *, bands: Sequence[int | str] | None = None, **reading: Unpack[ReadingOptions]
) -> Scene:
    """Scene from a file, a list of files, a folder or a glob pattern.

    Parameters
    ----------
    source
        GeoTIFF, COG or JPEG 2000; PNG and JPEG where the georeference is given; files of one band or of many,
        all on one grid. Folders and patterns are sorted naturally.
    bands
        Which bands in which order, by number (from 1, over all files) or name; None for all but alpha.
    reading
        `nodata`, `assume_crs` (anything that pyproj understands), `assume_transform`, `pixel_size` and
        `allow_vrt`; see `geoseg.raster.reading.Reading`.

    Raises
    ------
    InputError
        A file that cannot be used as it is, or files on different grids; the message names the way out.
    UsageError
        An option that cannot work.
    """
    paths = find_files(source)
    assumed = Assumption.of(reading)
    allow_vrt = reading.get("allow_vrt", False)
    grids: list[Grid] = []
    available: list[Band] = []
    wkt = ""
    datasets = []
    for i, path in enumerate(paths):
        dataset = open_raster(path, allow_vrt=allow_vrt)
        _check_dtypes(dataset, path)
        grid, own_wkt = locate(dataset, path, assumed)
        wkt = wkt or own_wkt
        grids.append(grid)
        difference = grids[0].difference(grid)
        if difference:
            raise InputError(
                "files are not on one grid",
                where=path,
                why=f"against {paths[0].name}: {difference}",
                hint="warp it onto the other: gdalwarp -te ... -tr ... -t_srs ... INPUT OUTPUT.tif",
            )
        available += list_bands(dataset, path, i, alone=len(paths) == 1)
        datasets.append((dataset.dtypes, list(dataset.mask_flag_enums)))
    available = tell_apart(available)
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files from {paths[0]}"
    chosen = choose_bands(available, bands, where)
    types = [datasets[b.file][0][b.number - 1] for b in chosen]
    notes = list(assumed.notes)
    chosen = tuple(
        _with_nodata(b, t, reading.get("nodata"), paths[b.file], notes)
        for b, t in zip(chosen, types, strict=True)
    )
    taken = {(b.file, b.number) for b in chosen}
    scene = Scene(
        grid=grids[0],
        paths=paths,
        bands=chosen,
        dtype=_common_dtype(types, where),
        crs_wkt=wkt,
        allow_vrt=allow_vrt,
        alphas=tuple(
            tuple(b.number for b in available if b.file == i and b.alpha and (i, b.number) not in taken)
            for i in range(len(paths))
        ),
        masked=tuple(_has_mask(flags) for _, flags in datasets),
    )
    return replace(scene, notes=tuple(dict.fromkeys([*notes, *remarks(scene)])))


def _has_mask(flags: Sequence[Sequence[Any]]) -> bool:
    names = {flag.name for flag in flags[0]}
    return "per_dataset" in names and "alpha" not in names


def _check_dtypes(dataset: Any, path: Path) -> None:
    bad = next((d for d in dataset.dtypes if d not in DTYPES), None)
    if bad is not None:
        raise InputError(
            f"pixel type {bad} is not supported",
            where=path,
            why=f"expected one of {', '.join(DTYPES)}",
            hint="convert it: gdal_translate -ot Float32 INPUT OUTPUT.tif",
        )


def _common_dtype(types: Sequence[DTypeLike], where: object) -> np.dtype[Any]:
    common = np.result_type(*types)
    if common.name not in DTYPES:
        raise InputError(
            "bands of pixel types without a common one",
            where=where,
            why=f"found {', '.join(sorted({str(t) for t in types}))}",
            hint="convert them to one type: gdal_translate -ot Float32 INPUT OUTPUT.tif",
        )
    return common


def _with_nodata(band: Band, dtype: str, override: float | None, path: Path, notes: list[str]) -> Band:
    """Band with the nodata value that holds: the user's, else the file's if it can occur at all."""
    value = band.nodata if override is None else float(override)
    if value is not None and not _can_occur(value, np.dtype(dtype)):
        if override is not None:
            raise UsageError(
                f"`nodata={override:g}` cannot occur", where=path, why=f"band {band.name!r} holds {dtype}"
            )
        notes.append(f"{path.name}: nodata {value:g} cannot occur in {dtype}; ignored")
        value = None
    return Band(file=band.file, number=band.number, name=band.name, alpha=band.alpha, nodata=value)


def _can_occur(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        # float32 tags are often written as the nearest double
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max) * (1 + 1e-6)
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
