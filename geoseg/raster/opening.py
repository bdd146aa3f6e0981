"""Scenes opened: files found, checked, and put together as the bands of one image."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import nearest_pixels
from geoseg.raster.bands import SceneBand, choose_bands, list_bands, tell_apart
from geoseg.raster.cover import Cover, Hiding
from geoseg.raster.georeference import Assumption, locate
from geoseg.raster.notes import remarks
from geoseg.raster.open import in_words, open_raster, safe_gdal
from geoseg.raster.products.find import LAYERS, find_product
from geoseg.raster.products.product import Product
from geoseg.raster.reading import ReadingOptions
from geoseg.raster.resampling import is_coarser
from geoseg.raster.scene import Scene
from geoseg.raster.sidecars import side_mask
from geoseg.raster.sources import Source, find_files

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Pixel types of a scene; 64-bit integers and complex numbers fit no model."""

_CODES = (*DTYPES, "int64", "uint64")
"""Pixel types of class numbers and codes."""


_PROBE = 64
_EXACT_FOR_WHOLE_NUMBERS = 0.5


@safe_gdal()  # whose warnings would be printed at any word asked of a file outside of it
def open_scene(
    source: Source,
    *,
    bands: Sequence[int | str] | None = None,
    categorical: bool = False,
    **reading: Unpack[ReadingOptions],
) -> Scene:
    """Scene from a file, a list of files, a folder or a glob pattern.

    Parameters
    ----------
    source
        The folder or archive of a Sentinel-2 or Landsat product, whose bands are reflectance x 10000; or
        GeoTIFF, COG or JPEG 2000; PNG and JPEG where the georeference is given; files of one band or of many,
        all on one grid, or of larger pixels in the same place: the smallest pixels are the scene's, and the
        others are interpolated. Folders and patterns are sorted naturally.
    bands
        Which bands in which order, by number (from 1, over all files) or name; None for all but alpha.
    categorical
        Pixels are class numbers, of 64 bits too: a border of one value is no collar that nobody declared, and
        beside one band of them a band tagged alpha masks only where it is nothing but 0 and 255.
    reading
        `nodata`, `assume_crs` (anything that pyproj understands), `assume_transform`, `pixel_size`,
        `allow_vrt`, `mask` and `mask_values`; see `geoseg.raster.reading.Reading`.

    Raises
    ------
    InputError
        A file that cannot be used as it is, or files on different grids; the message names the way out.
    UsageError
        An option that cannot work.
    """
    product = find_product(source)
    paths = find_files(source) if product is None else product.paths
    with in_words(paths[0]):
        return _open_files(paths, product, bands, categorical, reading)


def _open_files(
    paths: tuple[Path, ...],
    product: Product | None,
    bands: Sequence[int | str] | None,
    categorical: bool,
    reading: ReadingOptions,
) -> Scene:
    assumed = Assumption.of(reading)
    allow_vrt, nodata = reading.get("allow_vrt", False), reading.get("nodata")
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files from {paths[0]}"
    datasets = [open_raster(path, allow_vrt=allow_vrt) for path in paths]
    available = product.bands if product is not None else _bands_of(datasets, paths)
    chosen = choose_bands(available, bands, where)
    # files that hold none of the chosen bands are not looked at: a sharper band may lie in the folder
    used = tuple(sorted({b.file for b in chosen}))
    for i in used:
        _check_dtypes(datasets[i], paths[i], _CODES if categorical else DTYPES)
    grids, wkts = zip(*(locate(datasets[i], paths[i], assumed) for i in used), strict=True)
    first = min(range(len(used)), key=lambda k: abs(grids[k].transform.a * grids[k].transform.e))
    coarser = tuple(
        _grid_of_larger_pixels(grid, grids[first], paths[i], paths[used[first]], bands)
        for i, grid in zip(used, grids, strict=True)
    )
    types = [datasets[b.file].dtypes[b.number - 1] for b in chosen]
    notes = [*assumed.notes, *(product.notes if product is not None else ())]
    alphas = tuple(
        _alphas(
            datasets[i],
            [b for b in available if b.file == i and b.alpha and b not in chosen],
            notes,
            strict=categorical and len(chosen) == 1,
        )
        for i in used
    )
    if (mask := reading.get("mask")) is not None:
        notes.append(f"pixels under {mask} are no data")
    if categorical:
        notes += [note for i in used for note in _said_of_loss(datasets[i], paths[i])]
    scene = Scene(
        grid=grids[first],
        paths=tuple(paths[i] for i in used),
        bands=tuple(
            replace(_with_tags(b, t, nodata, paths[b.file], notes), file=used.index(b.file))
            for b, t in zip(chosen, types, strict=True)
        ),
        dtype=_common_dtype(
            ["uint16" if b.is_converted else t for b, t in zip(chosen, types, strict=True)],
            where,
            _CODES if categorical else DTYPES,
        ),
        crs_wkt=wkts[first],
        allow_vrt=allow_vrt,
        alphas=alphas,
        masked=tuple(_has_mask(datasets[i].mask_flag_enums) for i in used),
        masks=tuple(side_mask(paths[i], grid.shape) for i, grid in zip(used, grids, strict=True)),
        coarser=coarser,
        cover=_cover(reading, product, grids[first], allow_vrt=allow_vrt),
        product="" if product is None else product.name,
        level="" if product is None else product.level,
    )
    return replace(scene, notes=tuple(dict.fromkeys([*notes, *remarks(scene, collar=not categorical)])))


def _bands_of(datasets: Sequence[Any], paths: Sequence[Path]) -> Sequence[SceneBand]:
    """Bands of all files, with names that tell them apart."""
    return tell_apart(
        [
            band
            for i, (dataset, path) in enumerate(zip(datasets, paths, strict=True))
            for band in list_bands(dataset, path, i, alone=len(paths) == 1)
        ]
    )


def _said_of_loss(dataset: Any, path: Path) -> list[str]:
    """A note, where class numbers were stored with loss."""
    how = _loss(dataset)
    said = (
        f"{path.name}: stored with loss ({how}): class numbers may be others than were drawn, above all "
        "along edges; take the original, or a copy without loss"
    )
    return [said] if how else []


def _grid_of_larger_pixels(
    grid: Grid, fine: Grid, path: Path, finest: Path, bands: Sequence[int | str] | None
) -> Grid | None:
    """The grid if it shows the place of `fine` in larger pixels, None if it is the same; else InputError."""
    difference = fine.difference(grid)
    if difference is None:
        return None
    if is_coarser(grid, fine):
        return grid
    others = "" if bands is not None else "`bands` of one grid, or "
    raise InputError(
        "files are not on one grid",
        where=path,
        why=f"against {finest.name}: {difference}",
        hint=f"{others}warp it onto the other: gdalwarp -te ... -tr ... -t_srs ... INPUT OUTPUT.tif",
    )


def _cover(reading: ReadingOptions, product: Product | None, grid: Grid, *, allow_vrt: bool) -> Cover | None:
    """What hides pixels of a scene on that grid.

    Raises
    ------
    UsageError
        A layer that the product has not, or values of a layer of bits.
    InputError
        A raster of several bands, or one that lies elsewhere.
    """
    given, values = reading.get("mask"), reading.get("mask_values")
    if given is None:
        return None
    mask = os.fspath(given)
    hiding = Hiding(values=None if values is None else tuple(values))
    layers = {} if product is None else product.layers
    source: Source = mask
    if mask.casefold() in layers:
        source, own = layers[mask.casefold()]
        if values is not None and own.bits:
            raise UsageError(f"`mask_values` are not for {mask}", why="its values are made of bits")
        hiding = own if values is None else hiding
    elif mask.casefold() in LAYERS and not Path(mask).exists():
        raise UsageError(
            f"`mask={mask}` is a layer that the scene has not",
            why=f"it is {'no product' if product is None else product.name}"
            + (f", with {', '.join(layers)}" if layers else ""),
            hint="`mask` with a raster, such as the map of a cloud model",
        )
    layer = open_scene(source, categorical=True, allow_vrt=allow_vrt)
    if layer.count != 1:
        raise InputError("a mask has one band", where=mask, why=f"found {layer.count}")
    if not _meet(grid, layer.grid):
        raise InputError("mask lies elsewhere", where=mask, why="no part of the scene is under it")
    return Cover(name=mask, layer=layer, hiding=hiding)


def _meet(grid: Grid, other: Grid) -> bool:
    """Whether some pixel out of 33 x 33 that are spread over a grid lies inside another."""
    rows, cols = (sorted({round(i * (n - 1) / 32) for i in range(33)}) for n in grid.shape)
    for row in rows:
        for col in cols:
            r, c = nearest_pixels(grid, Window(row, col, 1, 1), other)
            if 0 <= r.min() < other.height and 0 <= c.min() < other.width:
                return True
    return False


def _alphas(dataset: Any, bands: Sequence[SceneBand], notes: list[str], *, strict: bool) -> tuple[int, ...]:
    """Numbers of a file's bands that mask pixels, of those tagged alpha that are not chosen.

    `strict`: only such as hold nothing but 0 and 255. A stack of four class maps has one tagged so, too.
    """
    found = []
    for band in bands:
        values = _sampled(dataset, band.number)
        if _is_measured(values) or (strict and not np.isin(values, (0, 255)).all()):
            notes.append(
                f"{band.name} is tagged alpha but holds {'class numbers' if strict else 'many values'}: it "
                "masks nothing, and is read as a band only where it is named among the bands"
            )
        else:
            found.append(band.number)
    return tuple(found)


def _sampled(dataset: Any, number: int) -> NDArray[Any]:
    """Values (n,) of windows spread over a band; of one that cannot be read anywhere a single 0."""
    rows, cols = (np.linspace(0, max(n - _PROBE, 0), 5).astype(int) for n in dataset.shape)
    parts = []
    for row, col in {(int(r), int(c)) for r in rows for c in cols}:
        height, width = (min(_PROBE, n - start) for n, start in zip(dataset.shape, (row, col), strict=True))
        try:
            with safe_gdal():
                parts.append(dataset.read(number, window=RasterioWindow(col, row, width, height)).ravel())
        except RasterioError:
            continue  # a damaged block is reported by the read that needs it
    return np.concatenate(parts) if parts else np.zeros(1)


def _is_measured(values: NDArray[Any]) -> bool:
    """Whether more than a quarter of values are some of many between the least and largest.

    A mask has two values, and a few between them at its edges; near infrared that a writer of four bands took
    for alpha has not.
    """
    between = (values > values.min()) & (values < values.max())
    return bool(between.mean() > 0.25 and np.unique(values[between]).size > 16)


def _loss(dataset: Any) -> str:
    """Name of the compression that changed values of the file, as GDAL tells it; nothing if none did."""
    how = dataset.tags(ns="IMAGE_STRUCTURE")
    compression = str(how.get("COMPRESSION", dataset.driver))
    if compression.endswith("JPEG") and dataset.driver != "JP2OpenJPEG":
        return "JPEG"
    if how.get("COMPRESSION_REVERSIBILITY", "").startswith("LOSSY"):
        return {"JP2OpenJPEG": "JPEG 2000"}.get(dataset.driver, compression)
    exact = _EXACT_FOR_WHOLE_NUMBERS if np.dtype(dataset.dtypes[0]).kind in "iu" else 0
    return compression if float(how.get("MAX_Z_ERROR", 0)) > exact else ""


def _has_mask(flags: Sequence[Sequence[Any]]) -> bool:
    names = {flag.name for flag in flags[0]}
    return "per_dataset" in names and "alpha" not in names


def _check_dtypes(dataset: Any, path: Path, known: Sequence[str]) -> None:
    bad = next((d for d in dataset.dtypes if d not in known), None)
    if bad is not None:
        raise InputError(
            f"pixel type {bad} is not supported",
            where=path,
            why=f"expected one of {', '.join(known)}",
            hint="convert it: gdal_translate -ot Float32 INPUT OUTPUT.tif",
        )


def _common_dtype(types: Sequence[DTypeLike], where: object, known: Sequence[str]) -> np.dtype[Any]:
    common = np.result_type(*types)
    if common.name not in known:
        raise InputError(
            "bands of pixel types without a common one",
            where=where,
            why=f"found {', '.join(sorted({str(t) for t in types}))}",
            hint="convert them to one type: gdal_translate -ot Float32 INPUT OUTPUT.tif",
        )
    return common


def _with_tags(
    band: SceneBand, dtype: str, override: float | None, path: Path, notes: list[str]
) -> SceneBand:
    """Band with the tags that hold: nodata as the user says, else what of the file's tags can be meant."""
    value = band.nodata if override is None else float(override)
    if value is not None and not _can_occur(value, np.dtype(dtype)):
        if override is not None:
            raise UsageError(
                f"`nodata={override:g}` cannot occur", where=path, why=f"band {band.name!r} holds {dtype}"
            )
        notes.append(f"{path.name}: nodata {value:g} cannot occur in {dtype}; ignored")
        value = None
    if not (math.isfinite(band.scale) and math.isfinite(band.offset)) or band.scale == 0:
        notes.append(f"{path.name}: scale {band.scale:g} and offset {band.offset:g} mean nothing; ignored")
        band = replace(band, scale=1.0, offset=0.0)
    return replace(band, nodata=value)


def _can_occur(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        # float32 tags are often written as the nearest double
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max) * (1 + 1e-6)
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
