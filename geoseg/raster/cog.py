"""Cloud-optimised GeoTIFFs, published whole or not at all.

No reader can tell a finished GeoTIFF from a half-written one, so the final name appears only after every
block has been read back and compared.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.windows import Window as RasterioWindow

from geoseg.errors import GeosegError, InputError, ResourceError
from geoseg.files import require_folder, require_free, whole, writing
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster.classmap import color_table_of, tags_of
from geoseg.raster.open import forget, open_raster, safe_gdal
from geoseg.raster.store import digest
from geoseg.version import __version__

BLOCK = 512
"""Side of a block of every published raster."""

_LEVEL = 5  # half the time of 6, GDAL's own, for files 4 % larger
_SPARSE = 4  # so many times larger than what is written of it, a raster is put together from that part


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterLayer:
    """What the one band of a published raster is, apart from its pixels and their place.

    Attributes
    ----------
    dtype, nodata
        Of the file.
    legend
        Colour table and class names (``CLASS_N`` metadata items).
    crs_wkt
        CRS as the input words it; None writes the grid's.
    tags
        Further metadata items.
    description
        Of the band.
    resampling
        Of the overviews: ``mode`` with a legend, else ``nearest``, so that no value is invented;
        ``average`` for continuous values.
    """

    dtype: str = "uint8"
    nodata: int | None = 255
    legend: Legend | None = None
    crs_wkt: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    resampling: str | None = None


CLASS_LAYER = RasterLayer()
"""Classes without names."""


def publish_cog(
    target: str | Path,
    grid: Grid,
    read: Callable[[Window], NDArray[Any]],
    windows: Iterable[Window],
    layer: RasterLayer = CLASS_LAYER,
    *,
    digests: Mapping[Window, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Path of a one-band COG that was written, read back, compared and only then given its name.

    DEFLATE, blocks of 512, overviews, BigTIFF where needed, AREA_OR_POINT=Area. Memory is that of one window
    and a row of blocks, whatever the size of the grid. The same pixels give the same bytes.

    Parameters
    ----------
    target
        Final file.
    grid
        Where the pixels lie.
    read
        Gives the pixels (h, w) of a window in the layer's dtype.
    windows
        Windows that do not overlap, best in the order of the chunks; pixels in none of them become nodata.
    layer
        What the pixels are.
    digests
        Window to `geoseg.raster.store.digest`; what `read` gives and what the file holds must both match.
    overwrite
        Replace a file of that name.

    Raises
    ------
    OutputConflictError
        The target exists, or its folder cannot be written.
    ResourceError
        The disk is full, or what was written does not read back; nothing is left behind.
    """
    target = Path(target).absolute()
    require_free(target, overwrite=overwrite)
    require_folder(target)
    with whole(target, RasterioError) as partial:
        write_cog(partial, grid, read, windows, layer, target=target, digests=digests)
    return target


def write_cog(
    partial: Path,
    grid: Grid,
    read: Callable[[Window], NDArray[Any]],
    windows: Iterable[Window],
    layer: RasterLayer = CLASS_LAYER,
    *,
    target: Path,
    digests: Mapping[Window, str] | None = None,
) -> None:
    """Nothing, after the COG of `publish_cog` was written at `partial`, read back and compared.

    The caller gives it its name, `target`, which errors speak of.
    """
    windows = list(windows)
    part = _part(windows, grid.window)
    profile = {
        "driver": "GTiff",
        "dtype": layer.dtype,
        "nodata": layer.nodata,
        "count": 1,
        "height": part.height,
        "width": part.width,
        "crs": rasterio.CRS.from_wkt(layer.crs_wkt or grid.crs.to_wkt()),
        "transform": grid.transform * Affine.translation(part.col, part.row),
    }
    tiled, placed = partial.with_name("tiled.tif"), partial.with_name("placed.vrt")
    resampling = layer.resampling or ("mode" if layer.legend else "nearest")
    with writing(target, RasterioError):
        try:
            with _own_errors(), safe_gdal(), rasterio.Env(GDAL_CACHEMAX=_cache_bytes(grid, layer.dtype)):
                blocks = _checked(read, windows, layer.dtype, target, digests)
                written = _write_tiled(
                    tiled, {**profile, **_intermediate(windows, part)}, part, blocks, layer
                )
                if part == grid.window:
                    _copy_as_cog(
                        tiled, partial, overviews="IGNORE_EXISTING", overview_resampling=resampling.upper()
                    )
                else:
                    _place(tiled, placed, part, grid, resampling)
                    _copy_as_cog(placed, partial, overviews="FORCE_USE_EXISTING", sparse_ok=True)
                    placed.unlink()
                tiled.unlink()
            try:
                _verify(partial, target, written, grid)
            except InputError as error:
                raise _spoiled(target, f"it does not read back: {error.what}, {error.why}") from None
        finally:
            for path in (tiled, placed, partial, target):
                forget(path)


def _checked(
    read: Callable[[Window], NDArray[Any]],
    windows: Sequence[Window],
    dtype: str,
    target: Path,
    digests: Mapping[Window, str] | None,
) -> Iterator[tuple[Window, NDArray[Any], str]]:
    """(window, pixels, their digest) of every window, if they are what was computed."""
    for window in windows:
        array = np.asarray(read(window))
        if array.shape != window.shape or array.dtype != np.dtype(dtype):
            raise ValueError(f"{window}: read gave {array.dtype} {array.shape}")
        found = digest(array)
        if digests is not None and found != digests[window]:
            raise GeosegError(
                f"chunk at row {window.row} column {window.col} is not what was computed",
                where=target,
                why=f"digest {found}, expected {digests[window]}",
                hint="resume the run; the chunk is computed again",
            )
        yield window, array, found


def _write_tiled(
    path: Path,
    profile: Mapping[str, Any],
    part: Window,
    blocks: Iterable[tuple[Window, NDArray[Any], str]],
    layer: RasterLayer,
) -> dict[Window, str]:
    """Digest of every window, written into a tiled GeoTIFF of a part, whose blocks no two windows share."""
    written: dict[Window, str] = {}
    with rasterio.open(path, "w", **profile) as sink:
        names = {} if layer.legend is None else tags_of(layer.legend)
        own = {"AREA_OR_POINT": "Area", "TIFFTAG_SOFTWARE": f"geoseg {__version__}"}
        sink.update_tags(**{**layer.tags, **names, **own})
        if layer.description:
            sink.set_band_description(1, layer.description)
        if layer.legend is not None and layer.dtype == "uint8":
            sink.write_colormap(1, color_table_of(layer.legend))
        for window, array, found in blocks:
            if not part.contains(window):
                raise ValueError(f"{window} is not inside {part}")
            row, col = window.row - part.row, window.col - part.col
            sink.write(array, 1, window=RasterioWindow(col, row, window.width, window.height))
            written[window] = found
    return written


def _cache_bytes(grid: Grid, dtype: str) -> int:
    """GDAL's block cache while publishing: three rows of blocks, since the COG driver copies row by row."""
    return max(32 * 2**20, 3 * BLOCK * grid.width * np.dtype(dtype).itemsize)


def _part(windows: Sequence[Window], whole: Window) -> Window:
    """Part of a grid that holds all windows, where it is a small one; else the grid itself.

    What lies outside is nodata, and costs nothing. The part begins and ends where pixels of all overviews do,
    so that it may reach over the grid's edge.
    """
    step = max(_factors(whole), default=1)
    held = windows or [Window(0, 0, 1, 1)]
    row, col = (n // step * step for n in (min(w.row for w in held), min(w.col for w in held)))
    bottom, right = max(w.row_end for w in held), max(w.col_end for w in held)
    part = Window(row, col, -((row - bottom) // step) * step, -((col - right) // step) * step)
    return part if part.area * _SPARSE < whole.area else whole


def _factors(whole: Window) -> list[int]:
    """By how much overviews are smaller: halved until the smallest is one block."""
    return [2**level for level in range(1, math.ceil(math.log2(max(*whole.shape, BLOCK) / BLOCK)) + 1)]


def _place(tiled: Path, placed: Path, part: Window, grid: Grid, resampling: str) -> None:
    """Write a virtual raster of the whole grid in which a part, with its overviews, lies in its place."""
    if factors := _factors(grid.window):
        with rasterio.open(tiled, "r+") as file:
            file.build_overviews(factors, Resampling[resampling])
    forget(tiled)
    rasterio.shutil.copy(tiled, placed, driver="VRT")
    root = ET.parse(placed).getroot()  # noqa: S314 (GDAL wrote it just now)
    for element in root.findall("OverviewList"):
        root.remove(element)
    root.set("rasterXSize", str(grid.width))
    root.set("rasterYSize", str(grid.height))
    t = grid.transform
    for element in root.iter("GeoTransform"):
        element.text = ", ".join(f"{v:.17g}" for v in (t.c, t.a, t.b, t.f, t.d, t.e))
    for element in root.iter("DstRect"):
        element.attrib |= {"xOff": str(part.col), "yOff": str(part.row)}
    ET.ElementTree(root).write(placed)


def _intermediate(windows: Sequence[Window], part: Window) -> dict[str, Any]:
    """GTiff options under which every block lies in one window, so that none is written twice."""
    starts = (n for w in windows for n in (w.row - part.row, w.col - part.col))
    step = math.gcd(*starts) if windows else 0
    sides = [s for s in range(128, BLOCK + 1, 16) if step % s == 0]  # a step of 0 fits all: one window
    options = {"tiled": True, "bigtiff": "IF_SAFER", "sparse_ok": True}
    if not sides:
        # a compressed block that grows on its second writing would leave a hole behind it
        return {**options, "blockxsize": BLOCK, "blockysize": BLOCK}
    return {**options, "blockxsize": sides[-1], "blockysize": sides[-1], "compress": "ZSTD", "zstd_level": 1}


@contextmanager
def _own_errors() -> Iterator[None]:
    """Context in which GDAL's own errors, some of which rasterio lets through, are rasterio's."""
    try:
        yield
    except CPLE_BaseError as error:
        raise RasterioIOError(str(error)) from error


def _copy_as_cog(source: Path, target: Path, **options: Any) -> None:
    rasterio.shutil.copy(
        source,
        target,
        driver="COG",
        compress="DEFLATE",
        level=_LEVEL,
        blocksize=BLOCK,
        bigtiff="IF_SAFER",
        num_threads=1,  # several wait for each other over overviews, which doubles the processor time
        **options,
    )


def _verify(path: Path, target: Path, written: Mapping[Window, str], grid: Grid) -> None:
    """ResourceError unless every window reads back as it was written and the layout is a COG's."""
    forget(path)
    dataset = open_raster(path)
    if (dataset.height, dataset.width) != grid.shape:
        raise _spoiled(target, f"size {dataset.height} x {dataset.width}, expected {grid.shape}")
    for window, expected in written.items():
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        with safe_gdal():
            found = digest(dataset.read(1, window=place))
        if found != expected:
            raise _spoiled(
                target, f"pixels at row {window.row} column {window.col} do not read back as written"
            )
    problems = cog_problems(path)
    if problems:
        raise _spoiled(target, "; ".join(problems))


def _spoiled(target: Path, why: str) -> ResourceError:
    return ResourceError(
        "was not written as it should be", where=target, why=why, hint="check the disk and its free space"
    )


@safe_gdal()
def cog_problems(path: str | Path) -> list[str]:
    """Ways in which a file is not a cloud-optimised GeoTIFF; empty for a valid one.

    As GDAL's ``validate_cloud_optimized_geotiff``: tiled, overviews where it is larger than 512, directories
    before pixels, and the pixels of smaller overviews before those of larger ones. Pixels are not judged.
    """
    dataset = open_raster(Path(path).absolute())
    problems = []
    height, width = dataset.block_shapes[0]
    if dataset.driver != "GTiff":
        return [f"driver {dataset.driver}"]
    if width == dataset.width and max(height, width) > 1024:
        problems.append("not tiled")
    factors = dataset.overviews(1)
    if max(dataset.shape) > BLOCK and not factors:
        problems.append("no overviews")
    levels: list[int | None] = [None, *range(len(factors))]

    def offset(item: str, level: int | None) -> int | None:
        text = dataset.get_tag_item(item, "TIFF", bidx=1, ovr=level)
        return int(text) if text else None

    directories = [offset("IFD_OFFSET", level) or 0 for level in levels]
    if directories != sorted(directories):
        problems.append("directories out of order")
    pixels = [p for p in (offset("BLOCK_OFFSET_0_0", level) for level in levels) if p is not None]
    if pixels != sorted(pixels, reverse=True):
        problems.append("pixels of overviews behind those of larger levels")
    if pixels and min(pixels) < max(directories):
        problems.append("pixels before directories")
    return problems
