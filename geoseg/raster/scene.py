"""Scenes: one or more rasters read as one (bands, height, width) image on one grid, window by window."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.raster.bands import SceneBand, choose_bands
from geoseg.raster.cover import Cover
from geoseg.raster.members import holder, is_member, size_of
from geoseg.raster.open import gdal_reason, open_raster, safe_gdal, vrt_sources
from geoseg.raster.products.product import Level
from geoseg.raster.resampling import read_bilinear

if TYPE_CHECKING:
    import xarray as xr

WHOLE_DIGEST_BYTES = 256 * 2**20
"""Files up to this size are hashed whole, larger ones by their ends and their time."""

_END_BYTES = 16 * 2**20
_NO_REFLECTANCE = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One or more rasters of one place, read as one image; holds no open file, so it can be pickled.

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
    alphas, masked, masks
        Of each file what masks its pixels: alpha bands, a mask inside, a mask beside it.
    coarser
        Of each file the grid that it lies on, where its pixels are larger than the scene's; else None.
    cover
        What hides pixels of it, which are then not valid.
    product, level
        What product it is, as ``Sentinel-2 Level-1C``, and what reflectance it has; empty for plain rasters.
    """

    grid: Grid
    paths: tuple[Path, ...]
    bands: tuple[SceneBand, ...]
    dtype: np.dtype[Any]
    crs_wkt: str
    notes: tuple[str, ...] = ()
    allow_vrt: bool = False
    alphas: tuple[tuple[int, ...], ...] = field(default=(), repr=False)
    masked: tuple[bool, ...] = field(default=(), repr=False)
    masks: tuple[Path | None, ...] = field(default=(), repr=False)
    coarser: tuple[Grid | None, ...] = field(default=(), repr=False)
    cover: Cover | None = None
    product: str = ""
    level: Level = ""

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
        values = {float(_NO_REFLECTANCE) if b.is_converted else b.nodata for b in self.bands}
        if len(values) == 1:
            return values.pop()
        return math.nan if all(v is not None and math.isnan(v) for v in values) else None

    @property
    def uncovered(self) -> Scene:
        """The same scene with nothing hidden."""
        return self if self.cover is None else replace(self, cover=None)

    @property
    def scaling(self) -> tuple[float, float] | None:
        """(scale, offset) by which a file says what its values mean, else (1, 0); None if bands differ."""
        found = {(b.scale, b.offset) for b in self.bands}
        return found.pop() if len(found) == 1 else None

    def with_constants(self, bands: Sequence[tuple[int, str, float]]) -> Scene:
        """The same scene with bands that are in no file, each (position, name, value of all its pixels).

        Pixels are floating-point then, so that they hold these values, too.
        """
        own = list(self.bands)
        for position, name, value in sorted(bands):  # as to nodata and scale they are like the others
            own.insert(position, replace(self.bands[0], number=0, name=name, alpha=False, constant=value))
        return replace(self, bands=tuple(own), dtype=np.result_type(self.dtype, np.float32))

    def read(
        self, window: Window, bands: Sequence[int | str] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (B, h, w) in the native dtype, and where they are valid (h, w).

        A pixel is valid when it is so in every band read: not the nodata value, not masked by the file's
        internal mask, alpha band or ``.msk`` beside it, finite, and not hidden by the scene's cover. What
        invalid pixels hold is not defined.
        Bands of larger pixels are interpolated by `read_bilinear`.

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
        constants = [i for i, b in enumerate(chosen) if b.constant is not None]
        files = sorted({b.file for b in chosen if b.constant is None})
        together = len(files) > 1 or bool(constants)
        pixels = np.empty((len(chosen), *window.shape) if together else 0, self.dtype)
        for i in constants:
            pixels[i] = chosen[i].constant
        valid = np.ones(window.shape, np.bool_)
        for file in files:
            places = [i for i, b in enumerate(chosen) if b.file == file and b.constant is None]
            read = partial(self._read_file, file, [chosen[i] for i in places])
            source = self.coarser[file] if self.coarser else None
            part, held = read(window) if source is None else read_bilinear(self.grid, window, source, read)
            valid &= held
            part = _converted(part, held, [chosen[i] for i in places])
            if together:
                pixels[places] = part
            else:
                pixels = part.astype(self.dtype, copy=False)
        if self.cover is not None:
            valid &= self.cover.seen(self.grid, window)
        return pixels, valid

    def _read_file(
        self, file: int, bands: Sequence[SceneBand], window: Window
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Some bands of one file as stored, and where all are valid, in a window of the file's own grid."""
        path = self.paths[file]
        part = self._read(path, [b.number for b in bands], window)
        valid = np.ones(window.shape, np.bool_)
        for band, pixels in zip(bands, part, strict=True):
            _mark_nodata(valid, pixels, band.nodata)
        if self.alphas and self.alphas[file]:
            valid &= (self._read(path, list(self.alphas[file]), window) != 0).all(axis=0)
        elif self.masked and self.masked[file]:
            valid &= self._read(path, [bands[0].number], window, mask=True)[0] != 0
        if self.masks and (beside := self.masks[file]) is not None:
            valid &= self._read(beside, [1], window)[0] != 0
        return part, valid

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
        files = dict.fromkeys(map(holder, (*self.paths, *(m for m in self.masks if m is not None))))
        scaled = [[b.scale, b.offset] for b in self.bands]
        converted = [[repr(b.gain), repr(b.addend)] for b in self.bands]
        coarser = {
            path.name: {"size": list(grid.shape), "transform": [repr(float(v)) for v in grid.transform[:6]]}
            for path, grid in zip(self.paths, self.coarser, strict=bool(self.coarser))
            if grid is not None
        }
        for path in self.paths:
            if self.allow_vrt and not is_member(path) and _is_vrt(path):
                files.update(dict.fromkeys(vrt_sources(path)))
        return {
            "files": [_file_digest(path) for path in files],
            "bands": [
                [b.file, b.number, b.name] if b.constant is None else [repr(b.constant), b.name]
                for b in self.bands
            ],
            "nodata": [None if b.nodata is None else repr(b.nodata) for b in self.bands],
            **({} if self.scaling == (1.0, 0.0) else {"scaling": scaled}),
            "size": list(self.grid.shape),
            "transform": [repr(float(v)) for v in self.grid.transform[:6]],
            "crs": hashlib.sha256(self.crs_wkt.encode()).hexdigest()[:16],
            **({"bilinear": coarser} if coarser else {}),
            **({} if self.cover is None else {"mask": self.cover.fingerprint()}),
            **({"conversion": converted} if any(b.is_converted for b in self.bands) else {}),
        }

    def to_xarray(self, chunks: Any = None) -> xr.DataArray:
        """Lazy DataArray (band, y, x) in native values, with x and y at pixel centres and the CRS.

        The nodata value stands in ``attrs["_FillValue"]``. `chunks` as in ``DataArray.chunk``, for Dask.
        """
        from geoseg.raster.view import placed, windowed_view

        view = windowed_view(
            lambda window, bands: self.read(window, [b + 1 for b in bands])[0],
            shape=self.shape,
            dtype=self.dtype,
            name=self.paths[0].stem,
            band_names=self.band_names,
            attrs={} if self.nodata is None else {"_FillValue": self.dtype.type(self.nodata)},
        )
        return placed(view, self.grid, self.crs_wkt, chunks)

    def _read(self, path: Path, numbers: list[int], window: Window, *, mask: bool = False) -> NDArray[Any]:
        dataset = open_raster(path, allow_vrt=self.allow_vrt)
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            with safe_gdal():
                read = dataset.read_masks if mask else dataset.read
                result: NDArray[Any] = read(numbers, window=place)
                return result
        except RasterioError as error:
            raise _unreadable(dataset, path, numbers, window, error) from None


def _converted(stored: NDArray[Any], valid: NDArray[np.bool_], bands: Sequence[SceneBand]) -> NDArray[Any]:
    """Values as they are read: as stored, or what the bands' gain and addend make of them, uint16.

    Below 0 is 0, as in products that could not store less; what is not valid is 65535.
    """
    if not any(band.is_converted for band in bands):
        return stored
    read = np.full(stored.shape, _NO_REFLECTANCE, np.uint16)
    for band, own, out in zip(bands, stored, read, strict=True):  # one by one, for less memory
        values = own.astype(np.float32) * np.float32(band.gain) + np.float32(band.addend + 0.5)
        np.copyto(out, np.clip(np.floor(values), 0, _NO_REFLECTANCE - 1), where=valid, casting="unsafe")
    return read


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
                    at = f" at byte {offset} of {size_of(path)}" if offset else ""
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
