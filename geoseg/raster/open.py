"""The one place that opens rasters for reading: which files are let in, and one handle per thread.

A raster file can name other files and hosts: a VRT or WMS description hidden in ``scene.tif``, a ``.ovr``
sidecar, an ``.aux.xml`` that replaces CRS and transform. Here a file is opened by the driver that its first
bytes call for, sidecars are not looked for, and every network path of GDAL is closed.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError, stack_errors
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.errors import InputError
from geoseg.raster.members import gdal_name, holder, is_member, read_start, size_of

# GDAL's block cache would grow to 5 % of the machine's memory, so that a larger scene takes more memory than
# a small one; GDAL reads this variable (in MB) once, at its first read.
os.environ.setdefault("GDAL_CACHEMAX", "64")

# GDAL's warnings come through this logger; without a handler, Python would print them to the terminal
logging.getLogger("rasterio").addHandler(logging.NullHandler())

_warnings_lock = threading.RLock()

MAX_BLOCK_BYTES = 64 * 2**20
"""Largest block (tile or strip) that is decompressed; a file of 8 kB can ask for gigabytes."""

MAX_PIXELS = 10**11
"""Largest scene, in pixels of one band: 3000 km by 3000 km at 10 m."""

HANDLES = 32
"""Open files per thread; the least recently used one is closed first."""

_SAFE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{noext}",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
}

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
)

# what a VRT may not name: hosts, GDAL's virtual file systems, sub-dataset and inline descriptions
_REMOTE = re.compile(r"/vsi|[a-z][a-z0-9+.\-]+://|<(?:GDAL_WMS|WMS_|VRTDataset)", re.IGNORECASE)
_VRT_SOURCES = re.compile(r"<(?:SourceFilename|SourceDataset|Filename)\b([^>]*)>([^<]*)<", re.IGNORECASE)
_PREFIXED = re.compile(r"[A-Za-z][A-Za-z0-9+.\-_]+:(?!\\)")  # https:, NETCDF:, GTIFF_DIR:
_OTHER_FORMATS = {
    b"\x89HDF": "HDF5 or netCDF-4",
    b"CDF\x01": "netCDF",
    b"CDF\x02": "netCDF",
    b"EHFA": "Erdas Imagine",
    b"PK\x03\x04": "a zip archive",
    b"RIFF": "WebP or RIFF",
    b"SQLite format 3": "SQLite or GeoPackage",
    b"%PDF": "PDF",
    b"\x1f\x8b": "a gzip archive",
    b"NITF": "NITF",
}
_ALSO_VECTORS = {"a zip archive", "SQLite or GeoPackage", "PDF", "a gzip archive"}
_ITEM_BYTES = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "float32": 4}
_CONVERT = "convert it: gdal_translate -of COG INPUT OUTPUT.tif"


@contextmanager
def safe_gdal() -> Iterator[None]:
    """GDAL closed to sidecars and to the network for this thread; needed at reads too (a VRT opens late)."""
    with rasterio.Env(**_SAFE):
        yield


@contextmanager
def quiet_rasterio() -> Iterator[None]:
    """No warning about missing georeference: geoseg says it itself, as an error with the way out."""
    with _warnings_lock, warnings.catch_warnings():  # the filters are those of the whole process
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def local_file(source: str | os.PathLike[str]) -> Path:
    """Absolute path of an existing, local, non-empty file; InputError says why not."""
    text = os.fspath(source)
    if "\x00" in text:
        raise InputError("path with a NUL character", where=repr(text))
    if text.startswith("/vsi") or (_PREFIXED.match(text) and not Path(text).exists()):
        raise InputError(
            "not a local file",
            where=text,
            why="network paths, archives and sub-datasets are not opened",
            hint="download or extract the file and pass its path",
        )
    path = Path(text).absolute()
    if not path.exists():
        raise InputError("not found", where=path)
    if path.is_dir():
        raise InputError("is a directory", where=path, hint="pass a file or a glob pattern")
    if not path.is_file():
        raise InputError("not a regular file", where=path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError("cannot be read", where=path, why=str(error.strerror)) from None
    if size == 0:
        raise InputError("empty file", where=path, why="0 bytes", hint="copy or download it again")
    return path


def driver_of(path: Path, *, allow_vrt: bool = False) -> str:
    """GDAL driver for a file by its first bytes, whatever its name; InputError for anything not let in."""
    head = read_start(path, 4096)
    for signature, driver in _SIGNATURES:
        if head.startswith(signature):
            return driver
    if b"<VRTDataset" in head or b"<GDAL_WMS" in head:
        kind = "VRT" if b"<VRTDataset" in head else "WMS"
        if kind == "VRT" and allow_vrt:
            return "VRT"
        raise InputError(
            f"content is {kind}",
            where=path,
            why="refused, since such a file can make other files and hosts be read",
            hint="`allow_vrt` if you trust the file" if kind == "VRT" else _CONVERT,
        )
    found = next((name for magic, name in _OTHER_FORMATS.items() if head.startswith(magic)), None)
    if found is None:
        printable = sum(32 <= b < 127 or b in b"\t\r\n" for b in head)
        found = "text" if printable > 0.95 * len(head) else "unknown binary data"
    raise InputError(
        "not a raster that geoseg reads",
        where=path,
        why=f"content is {found}, expected GeoTIFF, COG, JPEG 2000, PNG or JPEG",
        hint=None if found in {"text", "PDF"} else _CONVERT,
    )


def looks_like_raster(path: Path) -> bool:
    """Whether a file's first bytes are those of a raster, let in or not."""
    with path.open("rb") as file:
        head = file.read(4096)
    rasters = [signature for signature, _ in _SIGNATURES]
    rasters += [magic for magic, name in _OTHER_FORMATS.items() if name not in _ALSO_VECTORS]
    return head.startswith(tuple(rasters)) or b"<VRTDataset" in head or b"<GDAL_WMS" in head


def vrt_sources(path: Path) -> tuple[Path, ...]:
    """Files that a VRT names, relative names resolved beside it; InputError for remote or nested ones."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) > 50_000_000:
        raise InputError("VRT too large", where=path, why=f"{len(text)} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("VRT with a document type", where=path, why="entities are not expanded")
    sources: dict[Path, None] = {}
    for attributes, raw in _VRT_SOURCES.findall(text):
        name = _unescape(raw.strip())
        if _REMOTE.search(name) or re.match(r"[A-Za-z_]{2,}:", name):
            raise InputError("VRT names something that is not a local file", where=path, why=repr(name))
        relative = re.search(r"relativeToVRT\s*=\s*[\"']1", attributes, re.IGNORECASE)
        source = local_file(path.parent / name if relative else name)
        driver_of(source)
        sources[source] = None
    return tuple(sources)


def _unescape(text: str) -> str:
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        text = text.replace(entity, char)
    return text


class _Handles(threading.local):
    """Open datasets of one thread, least recently used first."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.open: OrderedDict[tuple[object, ...], Any] = OrderedDict()


_handles = _Handles()


def open_raster(path: Path, *, allow_vrt: bool = False) -> Any:
    """Rasterio dataset of a local raster, opened for reading and shared within this thread.

    A GDAL handle must not be used by two threads, so every thread and every process has its own. The file's
    size and time are part of the key: a file that was replaced is opened anew. Do not close the dataset;
    `close_handles` does.

    Raises
    ------
    InputError
        A file that is missing, not a raster of the known formats, a VRT without `allow_vrt`, or damaged.
    """
    try:
        status = holder(path).stat()
    except OSError:
        status = local_file(path).stat()
    key = (str(path), allow_vrt, status.st_size, status.st_mtime_ns, status.st_ino)
    if _handles.pid != os.getpid():  # forked: the parent's file positions are not ours to move
        _handles.__init__()  # type: ignore[misc]
    held = _handles.open
    if key in held:
        held.move_to_end(key)
        return held[key]
    for stale in [k for k in held if k[0] == key[0] and k != key]:
        held.pop(stale).close()
    dataset = _open(path, allow_vrt=allow_vrt)
    held[key] = dataset
    while len(held) > HANDLES:
        held.popitem(last=False)[1].close()
    return dataset


def close_handles() -> None:
    """Close every raster that this thread holds open."""
    while _handles.open:
        _handles.open.popitem()[1].close()


def forget(path: Path) -> None:
    """Close this thread's handles of one file, before it is renamed or removed."""
    for key in [k for k in _handles.open if k[0] == str(path)]:
        _handles.open.pop(key).close()


def _open(path: Path, *, allow_vrt: bool) -> Any:
    path = path if is_member(path) else local_file(path)
    driver = driver_of(path, allow_vrt=allow_vrt)
    if driver == "VRT":
        for source in vrt_sources(path):
            _open(source, allow_vrt=False).close()  # the limits below hold for what a VRT reads as well
    with quiet_rasterio(), safe_gdal(), in_words(path, driver):
        dataset = rasterio.open(gdal_name(path), driver=driver, sharing=False)
    try:
        with in_words(path, driver):
            _check_limits(dataset, path)
            if driver == "JP2OpenJPEG":
                _check_codestream(path)
            _check_ends(dataset, path)
    except InputError:
        dataset.close()
        raise
    return dataset


@contextmanager
def in_words(path: Path, driver: str = "GTiff") -> Iterator[None]:
    """Context in which what GDAL finds wrong with a file is an InputError.

    A damaged directory is noticed by whatever needs it first: the opening, a colour, a tag. What GDAL still
    holds of another file, such as one that it could not write, is not held against this one.
    """
    with stack_errors():
        pass  # forgets
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        raise InputError(
            "damaged or not readable",
            where=path,
            why=f"GDAL ({driver}): {gdal_reason(error)}",
            hint="copy or download it again",
        ) from None


def _check_limits(dataset: Any, path: Path) -> None:
    """InputError for a file that asks for more memory than any scene needs."""
    if dataset.count == 0:
        raise InputError("no bands", where=path, why="the file holds sub-datasets or nothing at all")
    if dataset.width * dataset.height > MAX_PIXELS:
        raise InputError(
            "too many pixels",
            where=path,
            why=f"found {dataset.height} x {dataset.width}, the limit is {MAX_PIXELS:.0e} pixels",
            hint="cut it into parts",
        )
    together = dataset.count if str(dataset.interleaving).upper().endswith("PIXEL") else 1
    height, width = dataset.block_shapes[0]
    size = height * width * together * _ITEM_BYTES.get(dataset.dtypes[0], 8)
    if dataset.driver == "GTiff" and size > MAX_BLOCK_BYTES:
        raise InputError(
            f"one block of {height} x {width} pixels takes {size / 2**20:.0f} MiB to decompress",
            where=path,
            why=f"the decompression limit is {MAX_BLOCK_BYTES // 2**20} MiB",
            hint="tile it again: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE INPUT OUTPUT.tif",
        )


def _check_codestream(path: Path) -> None:
    """InputError for a JPEG 2000 of one huge tile, which every small window would decode anew.

    The size of its tiles stands in the SIZ marker (ISO/IEC 15444-1, A.5.1), which GDAL does not tell.
    """
    head = read_start(path, 1_000_000)
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 42:
        return
    width, height, left, top, across, down = struct.unpack_from(">6I", head, at + 8)
    components = struct.unpack_from(">H", head, at + 40)[0]
    size = min(across, width - left) * min(down, height - top) * components
    if size > MAX_BLOCK_BYTES:
        raise InputError(
            f"one tile of {min(down, height)} x {min(across, width)} pixels in {components} bands",
            where=path,
            why=f"every window would decode it whole; the limit is {MAX_BLOCK_BYTES // 2**20} Mi values",
            hint=_CONVERT,
        )


def _check_ends(dataset: Any, path: Path) -> None:
    """InputError where the first or last block of a band lies beyond the end of the file.

    A truncated GeoTIFF opens without a word and fails hours later; this is the cheap part of that check, the
    rest is found when the block is read.
    """
    size = size_of(path)
    for number, (height, width) in enumerate(dataset.block_shapes, 1):
        for row, col in ((0, 0), ((dataset.height - 1) // height, (dataset.width - 1) // width)):
            place = [
                dataset.get_tag_item(f"BLOCK_{k}_{col}_{row}", "TIFF", bidx=number)
                for k in ("OFFSET", "SIZE")
            ]
            if all(place) and sum(map(int, place)) > size:
                raise InputError(
                    "truncated",
                    where=path,
                    why=f"block row {row} column {col} of band {number} ends at byte {sum(map(int, place))}, "
                    f"the file at byte {size}",
                    hint="copy or download it again",
                )


def gdal_reason(error: BaseException) -> str:
    """First cause of a GDAL error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300].rstrip(".")
