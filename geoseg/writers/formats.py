"""Output files by suffix, each written in one pass from a stream of Arrow batches.

A writer gets a partial path in the output's own folder and leaves nothing under the final name; `write_layer`
renames.
"""

from __future__ import annotations

import errno
import glob
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import BaseFileLock, FileLock

from geoseg.errors import GeosegError, OutputConflictError, ResourceError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_WRITERS = {
    ".gpkg": "geoseg.writers.geopackage:write_geopackage",
    ".shp": "geoseg.writers.shapefile:write_shapefile",
    ".fgb": "geoseg.writers.ogr:write_flatgeobuf",
    ".parquet": "geoseg.writers.geoparquet:write_geoparquet",
    ".geojson": "geoseg.writers.ogr:write_geojson",
    ".pmtiles": "geoseg.writers.pmtiles:write_pmtiles",
}

GEOMETRY = "geometry"
"""Name of the column that holds well-known binary."""

GEOGRAPHIC = (".geojson", ".pmtiles")
"""Formats that hold longitude and latitude on WGS 84, whatever the map's CRS."""

_LOCK = "lock"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

BOUNDS = ("xmin", "ymin", "xmax", "ymax")
"""Columns of a batch that hold each polygon's bounding box; not an attribute of the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What every writer needs to know beside the batches.

    Attributes
    ----------
    name
        Layer name.
    crs_wkt
        CRS of the coordinates, as WKT.
    schema
        Columns of the batches.
    style
        QML text of the classes seen, asked for when all batches are written.
    metadata
        Facts about the data, as texts.
    pixel_metres
        Size of the map's pixels on the ground.
    neighbours
        Table of pairs with a common border, asked for when all batches are written; None leaves it out.
    """

    name: str
    crs_wkt: str
    schema: pa.Schema
    style: Callable[[], str]
    metadata: Mapping[str, str]
    pixel_metres: float
    neighbours: Callable[[], pa.Table] | None = None


Batches = Iterator["pa.RecordBatch"]
Writer = Callable[[Path, Batches, Layer], "list[tuple[Path, str]]"]
"""(partial file, batches, layer) -> [(file written, its final name)], the file that users open last."""


def writer_for(path: Path) -> Writer:
    """Writer of a file's format; UsageError lists the suffixes that are known."""
    target = _WRITERS.get(path.suffix.lower())
    if target is None:
        raise UsageError(
            f"unknown vector format {path.suffix!r}" if path.suffix else "output without a suffix",
            where=path,
            why=f"the suffix is the format: {' '.join(_WRITERS)}",
            hint=f"{path.with_suffix('.gpkg').name}",
        )
    module, _, name = target.partition(":")
    writer: Writer = getattr(import_module(module), name)
    return writer


def write_layer(path: Path, batches: Batches, layer: Layer, *, overwrite: bool) -> tuple[Path, ...]:
    """Paths of the files written, the one to open first; they appear whole or not at all.

    Raises
    ------
    OutputConflictError
        The file exists, or its folder cannot be written.
    ResourceError
        The disk is full.
    """
    writer = writer_for(path)
    check_free(path, overwrite=overwrite)
    if layer.neighbours is not None and path.suffix.lower() != ".gpkg":
        check_free(path.with_name(neighbours_name(path)), overwrite=overwrite)
    try:
        with _partial_folder(path) as folder:
            written = writer(folder / path.name, batches, layer)
            if layer.neighbours is not None and path.suffix.lower() != ".gpkg":
                written = [_write_neighbours(folder / neighbours_name(path), layer.neighbours()), *written]
            for file, _ in written:
                _flush(file)
            _clear(path, written)
            for file, name in written:
                file.replace(path.with_name(name))
            _flush(path.parent)
    except OSError as error:
        raise _cannot_write(error, path) from None
    return tuple(path.with_name(name) for _, name in reversed(written))


@contextmanager
def _partial_folder(path: Path) -> Iterator[Path]:
    """Folder for unfinished files beside an output, removed at the end; what killed runs left goes first.

    Its lock tells a run that is alive: the system lets go of it when the process ends, however it ends.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 12}.partial"):
        _remove_left(left)
    folder = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.partial"
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        folder.mkdir()
        with suppress(OSError, NotImplementedError):  # no locks on this disk: nobody removes it either
            lock.acquire()
        yield folder
    finally:
        _remove(folder, lock)


def _remove_left(folder: Path) -> None:
    """Remove the partial folder of a run that is dead; nothing of one that lives, or may live."""
    if not (folder / _LOCK).is_file():
        return
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except (OSError, NotImplementedError):  # held, or not to be known
        return
    _remove(folder, lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    """Remove a partial folder, its lock last: interrupted, the rest is removed by a later run."""
    with suppress(OSError):
        for file in folder.iterdir():
            if file.name != _LOCK:
                file.unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def _cannot_write(error: OSError, path: Path) -> GeosegError:
    why = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return ResourceError("cannot be written", where=path, why=why, hint="check the free disk space")
    return OutputConflictError("cannot be written", where=path, why=why)


def check_free(path: Path, *, overwrite: bool) -> None:
    """OutputConflictError where the output exists, or its folder is missing or cannot be written."""
    if path.is_dir():
        raise OutputConflictError("is a folder", where=path, hint="name a file")
    if path.exists() and not overwrite:
        raise OutputConflictError("exists", where=path, hint="another name, or `overwrite`")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputConflictError("cannot be written", where=path, why=f"no writable folder {path.parent}")


def neighbours_name(path: Path) -> str:
    """Name of the CSV file with the neighbours beside an output; a GeoPackage holds them itself."""
    return f"{path.name}_neighbours.csv"


def _write_neighbours(file: Path, table: pa.Table) -> tuple[Path, str]:
    from pyarrow.csv import WriteOptions, write_csv

    write_csv(table, file, WriteOptions(quoting_style="none"))
    return file, file.name


def _clear(path: Path, written: list[tuple[Path, str]]) -> None:
    """Remove journals and side files of an older output, which would be taken for the new one's.

    Of several files the one to open comes last, and the older one goes first: killed in between there is
    none, rather than one beside files of another.
    """
    if len(written) > 1:
        path.unlink(missing_ok=True)
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    names = {name for _, name in written}
    if neighbours_name(path) not in names:
        path.with_name(neighbours_name(path)).unlink(missing_ok=True)
    if path.suffix.lower() == ".shp":
        for suffix in (".qix", ".sbn", ".sbx", ".shp.xml", ".qml", ".cpg", ".prj"):
            old = path.with_suffix(suffix)
            if old.name not in names:
                old.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def without(batch: Any, names: tuple[str, ...]) -> Any:
    """Record batch without these columns."""
    return batch.select([name for name in batch.schema.names if name not in names])
