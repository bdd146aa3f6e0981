"""Scenes: one or more aligned rasters read as one (bands, height, width) image, window by window."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.raster.bands import Band, choose_bands, list_bands, tell_apart
from geoseg.raster.georeference import locate, parse_crs, parse_transform
from geoseg.raster.open import gdal_reason, open_raster, safe_gdal, vrt_sources
from geoseg.raster.sources import Source, find_files

if TYPE_CHECKING:
    import xarray as xr

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
"""Pixel types of a scene; 64-bit integers and complex numbers fit no model."""

WHOLE_DIGEST_BYTES = 256 * 2**20
"""Files up to this size are hashed whole, larger ones by their ends and their time."""

_END_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One or more aligned rasters, read as one image; holds no open file, so it can be pickled.

    Attributes
    ----------
    grid
        Where the pixels lie.
    paths
        Its files, absolute, in band order.
    bands
        The chosen bands, in order.
    dtype
        Common pixel type of the chosen bands.
    crs_wkt
        CRS as the file words it, for outputs that must carry it unchanged.
    notes
        What the user should know: a sidecar that was ignored, pixels that are not square, and the like.
    """

    grid: Grid
    paths: tuple[Path, ...]
    bands: tuple[Band, ...]
    dtype: np.dtype[Any]
    crs_wkt: str
    notes: tuple[str, ...] = ()
    allow_vrt: bool = False
    alphas: tuple[tuple[int, ...], ...] = field(default=(), repr=False)
    masked: tuple[bool, ...] = field(default=(), repr=False)

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.bands)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(bands, height, width)."""
        return self.count, *self.grid.shape

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands, in order."""
        return tuple(b.name for b in self.bands)

    @property
    def nodata(self) -> float | None:
        """Value that means no data in every band; None if there is none, or if bands differ."""
        values = {b.nodata for b in self.bands}
        if len(values) == 1:
            return values.pop()
        return math.nan if all(v is not None and math.isnan(v) for v in values) else None

    def read(
        self, window: Window, bands: Sequence[int | str] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (B, h, w) in the native dtype, and where they are valid (h, w).

        A pixel is valid when it is so in every band read: not the nodata value, not masked by the file's
        internal mask or alpha band, and finite. What invalid pixels hold is not defined.

        Parameters
        ----------
        window
            Part of the scene; must lie inside it.
        bands
            Some of this scene's bands, by position from 1 or by name; None for all.

        Raises
        ------
        UsageError
            A window that reaches outside, an unknown band.
        InputError
            A block that cannot be read, with its row, column and place in the file.
        """
        if not window or not self.grid.window.contains(window):
            raise UsageError(
                "window is not inside the scene",
                where=self.name,
                why=f"rows {window.row} to {window.row_end}, columns {window.col} to {window.col_end} "
                f"of {self.grid.height} x {self.grid.width}",
            )
        chosen = self.bands if bands is None else choose_bands(self.bands, bands, self.name)
        files = sorted({b.file for b in chosen})
        pixels = np.empty((len(chosen), *window.shape) if len(files) > 1 else 0, self.dtype)
        valid = np.ones(window.shape, np.bool_)
        for file in files:
            places = [i for i, b in enumerate(chosen) if b.file == file]
            part = self._read(file, [chosen[i].number for i in places], window)
            for i, band in zip(places, part, strict=True):
                _mark_nodata(valid, band, chosen[i].nodata)
            if len(files) > 1:
                pixels[places] = part
            else:
                pixels = part.astype(self.dtype, copy=False)
            if self.alphas and self.alphas[file]:
                valid &= (self._read(file, list(self.alphas[file]), window) != 0).all(axis=0)
            elif self.masked and self.masked[file]:
                valid &= self._read(file, [chosen[places[0]].number], window, mask=True)[0] != 0
        return pixels, valid

    @property
    def name(self) -> str:
        """Path of the scene, for messages."""
        return (
            str(self.paths[0]) if len(self.paths) == 1 else f"{self.paths[0]} and {len(self.paths) - 1} more"
        )

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the scene's content: files by digest, bands, grid and nodata; JSON-ready.

        A file up to 256 MB is hashed whole (``method: sha256``); a larger one by its first and last 16 MB
        with its modification time (``sha256 of both ends``), so that a changed file is noticed without
        reading a terabyte.
        """
        files = dict.fromkeys(self.paths)
        for path in self.paths:
            if self.allow_vrt and _is_vrt(path):
                files.update(dict.fromkeys(vrt_sources(path)))
        return {
            "files": [_file_digest(path) for path in files],
            "bands": [[b.file, b.number, b.name] for b in self.bands],
            "nodata": [None if b.nodata is None else repr(b.nodata) for b in self.bands],
            "size": list(self.grid.shape),
            "transform": [repr(float(v)) for v in self.grid.transform[:6]],
            "crs": hashlib.sha256(self.crs_wkt.encode()).hexdigest()[:16],
        }

    def to_xarray(self, chunks: Any = None) -> xr.DataArray:
        """Lazy DataArray (band, y, x) in native values, with x and y at pixel centres and the CRS.

        The nodata value stands in ``attrs["_FillValue"]``. `chunks` as in ``DataArray.chunk``, for Dask.
        """
        from geoseg.raster.view import windowed_view

        return windowed_view(
            lambda window, bands: self.read(window, [b + 1 for b in bands])[0],
            shape=self.shape,
            dtype=self.dtype,
            name=self.paths[0].stem,
            grid=self.grid,
            crs_wkt=self.crs_wkt,
            band_names=self.band_names,
            attrs={} if self.nodata is None else {"_FillValue": self.dtype.type(self.nodata)},
            chunks=chunks,
        )

    def _read(self, file: int, numbers: list[int], window: Window, *, mask: bool = False) -> NDArray[Any]:
        path = self.paths[file]
        dataset = open_raster(path, allow_vrt=self.allow_vrt)
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            with safe_gdal():
                read = dataset.read_masks if mask else dataset.read
                result: NDArray[Any] = read(numbers, window=place)
                return result
        except RasterioError as error:
            raise _unreadable(dataset, path, numbers, window, error) from None


def open_scene(
    source: Source,
    *,
    bands: Sequence[int | str] | None = None,
    assume_crs: Any = None,
    assume_transform: str | Sequence[float] | Affine | None = None,
    allow_vrt: bool = False,
    nodata: float | None = None,
) -> Scene:
    """Scene from a file, a list of files, a folder or a glob pattern.

    Parameters
    ----------
    source
        GeoTIFF, COG or JPEG 2000; PNG and JPEG where the georeference is given; files of one band or of many,
        all on one grid. Folders and patterns are sorted naturally.
    bands
        Which bands in which order, by number (from 1, over all files) or name; None for all but alpha.
    assume_crs
        CRS where the file has none: anything that pyproj understands.
    assume_transform
        Transform where the file has none: ``a, b, c, d, e, f`` in affine's order.
    allow_vrt
        Open VRT files, which can make any local raster be read.
    nodata
        Value that means no data, instead of the file's own tag.

    Raises
    ------
    InputError
        A file that cannot be used as it is, or files on different grids; the message names the way out.
    UsageError
        An option that cannot work.
    """
    paths = find_files(source)
    crs = None if assume_crs is None else parse_crs(assume_crs)
    transform = None if assume_transform is None else parse_transform(assume_transform)
    grids: list[Grid] = []
    available: list[Band] = []
    wkt = ""
    datasets = []
    for i, path in enumerate(paths):
        dataset = open_raster(path, allow_vrt=allow_vrt)
        _check_dtypes(dataset, path)
        grid, own_wkt = locate(dataset, path, crs=crs, transform=transform)
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
    notes: list[str] = []
    chosen = tuple(
        _with_nodata(b, t, nodata, paths[b.file], notes) for b, t in zip(chosen, types, strict=True)
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
    from geoseg.raster.notes import remarks

    object.__setattr__(scene, "notes", tuple(dict.fromkeys([*notes, *remarks(scene)])))
    return scene


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
                f"--nodata {override:g} cannot occur", where=path, why=f"band {band.name!r} holds {dtype}"
            )
        notes.append(f"{path.name}: nodata {value:g} cannot occur in {dtype}; ignored")
        value = None
    return Band(file=band.file, number=band.number, name=band.name, alpha=band.alpha, nodata=value)


def _can_occur(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        # float32 tags are often written as the nearest double
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max) * (1 + 1e-6)
    return value.is_integer() and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _mark_nodata(valid: NDArray[np.bool_], band: NDArray[Any], nodata: float | None) -> None:
    if band.dtype.kind == "f":
        valid &= np.isfinite(band)
        if nodata is not None and math.isfinite(nodata):
            with np.errstate(over="ignore"):
                valid &= band != band.dtype.type(nodata)
    elif nodata is not None:
        valid &= band != band.dtype.type(int(nodata))


def _unreadable(
    dataset: Any, path: Path, numbers: Sequence[int], window: Window, error: BaseException
) -> InputError:
    """InputError that names the first block of the window that cannot be read."""
    reason = gdal_reason(error)
    for number in numbers:
        height, width = dataset.block_shapes[number - 1]
        for row in range(window.row // height, (window.row_end - 1) // height + 1):
            for col in range(window.col // width, (window.col_end - 1) // width + 1):
                inside = Window(row * height, col * width, height, width).intersect(window)
                place = RasterioWindow(inside.col, inside.row, inside.width, inside.height)
                try:
                    with safe_gdal():
                        dataset.read(number, window=place)
                except RasterioError as failed:
                    offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=number)
                    at = f" at byte {offset} of {path.stat().st_size}" if offset else ""
                    return InputError(
                        f"block row {row} column {col} of band {number} cannot be read{at}",
                        where=path,
                        why=gdal_reason(failed),
                        hint="the file is truncated or damaged; copy or download it again",
                    )
    return InputError("cannot be read", where=path, why=reason, hint="copy or download it again")


def _is_vrt(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<VRTDataset" in file.read(4096)


def _file_digest(path: Path) -> Mapping[str, Any]:
    status = path.stat()
    digest = hashlib.sha256()
    whole = status.st_size <= WHOLE_DIGEST_BYTES
    with path.open("rb") as file:
        if whole:
            while block := file.read(2**20):
                digest.update(block)
        else:
            digest.update(file.read(_END_BYTES))
            file.seek(-_END_BYTES, 2)
            digest.update(file.read(_END_BYTES))
    entry: dict[str, Any] = {
        "name": path.name,
        "size": status.st_size,
        "sha256": digest.hexdigest(),
        "method": "sha256" if whole else "sha256 of both ends",
    }
    if not whole:
        entry["mtime_ns"] = status.st_mtime_ns
    return entry
