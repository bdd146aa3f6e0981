"""A vector file in a zip archive, unpacked beside nothing and gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from geoseg.errors import GeosegError, InputError, UsageError

_LAYERS = {".shp", ".gpkg", ".geojson", ".json", ".fgb", ".parquet", ".geoparquet", ".csv"}
OF_SHAPEFILE = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})
"""Suffixes of its files."""
_MOST_BYTES = 4 * 2**30


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """Path of the one vector file in an archive, with what belongs to it; errors name the archive.

    Raises
    ------
    InputError
        No vector file inside, a damaged or protected archive, or more than 4 GiB of content.
    UsageError
        Several vector files.
    """
    with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
        inside = _unpack(file, Path(folder))
        try:
            yield inside
        except GeosegError as error:
            raise type(error)(
                error.what, where=f"{file} ({inside.name})", why=error.why, hint=error.hint
            ) from None


def _unpack(file: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            chosen = _choose(file, members)
            stem = chosen.with_suffix("")
            wanted = [
                m
                for m in members
                if PurePosixPath(m.filename) == chosen
                or (
                    PurePosixPath(m.filename).with_suffix("") == stem
                    and PurePosixPath(m.filename).suffix.lower() in OF_SHAPEFILE
                )
            ]
            if sum(m.file_size for m in wanted) > _MOST_BYTES:
                raise InputError("too large to be unpacked", where=file, hint="extract it")
            for member in wanted:  # by its own name alone: a member's folders are not to be trusted
                target = folder / PurePosixPath(member.filename).name
                with archive.open(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
            return folder / chosen.name
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError("damaged or protected zip archive", where=file, why=str(error)) from None


def _choose(file: Path, members: list[zipfile.ZipInfo]) -> PurePosixPath:
    found = [PurePosixPath(m.filename) for m in members]
    layers = [p for p in found if p.suffix.lower() in _LAYERS and not p.name.startswith(".")]
    if not layers:
        named = ", ".join(p.name for p in found[:10]) or "nothing"
        raise InputError(
            "a zip archive without a vector file", where=file, why=f"found {named}", hint="extract it"
        )
    if len(layers) > 1:
        raise UsageError(
            f"{len(layers)} vector files in one zip archive",
            where=file,
            why=f"found {', '.join(p.name for p in layers[:10])}",
            hint="extract the one that is meant",
        )
    return layers[0]
