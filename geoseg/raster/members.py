"""Files inside archives: a zip or tar archive read as a folder, its members by path, nothing unpacked.

``/data/scene.zip/inner/band.jp2`` is the member ``inner/band.jp2`` of ``/data/scene.zip``.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from geoseg.errors import InputError

_MOST_MEMBERS = 100_000
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)


def holder(path: Path) -> Path:
    """The file on disk that holds a path: itself, or the archive that it lies in."""
    if path.exists():
        return path
    return next((parent for parent in path.parents if parent.is_file()), path)


def is_member(path: Path) -> bool:
    """Whether a path lies in an archive."""
    return holder(path) != path


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive or a tar archive that is not compressed."""
    try:
        with path.open("rb") as file:
            head = file.read(262)
    except OSError:
        return False
    return head.startswith(b"PK\x03\x04") or head[257:262] == b"ustar"


def members_of(archive: Path) -> tuple[Path, ...]:
    """Paths of all files in an archive, below the archive's own; InputError for a damaged one."""
    status = archive.stat()
    return tuple(archive / name for name in _sizes(archive, status.st_size, status.st_mtime_ns))


def size_of(path: Path) -> int:
    """Bytes of a file, also of one in an archive."""
    archive = holder(path)
    status = archive.stat()
    if archive == path:
        return status.st_size
    return _sizes(archive, status.st_size, status.st_mtime_ns)[path.relative_to(archive).as_posix()]


def has(path: Path) -> bool:
    """Whether there is such a file, also in an archive."""
    archive = holder(path)
    return path.is_file() if archive == path else path in members_of(archive)


def read_start(path: Path, count: int) -> bytes:
    """The first bytes of a file, also of one in an archive.

    Raises
    ------
    InputError
        A file that cannot be read.
    """
    archive = holder(path)
    name = path.relative_to(archive).as_posix()
    try:
        if archive == path:
            with path.open("rb") as file:
                return file.read(count)
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened, opened.open(name) as member:
                return member.read(count)
        with tarfile.open(archive, "r:") as tar:
            found = tar.extractfile(name)
            return b"" if found is None else found.read(count)
    except KeyError:
        raise InputError("not found", where=path) from None
    except OSError as error:
        raise InputError("cannot be read", where=path, why=str(error.strerror or error)) from None
    except _DAMAGED as error:
        raise InputError("damaged or protected archive", where=archive, why=str(error)) from None


def gdal_name(path: Path) -> str:
    """Name by which GDAL opens a file: of a member, through its own readers of archives."""
    archive = holder(path)
    if archive == path:
        return str(path)
    kind = "zip" if zipfile.is_zipfile(archive) else "tar"
    return f"/vsi{kind}/{{{archive}}}/{path.relative_to(archive).as_posix()}"


@lru_cache(maxsize=8)
def _sizes(archive: Path, _size: int, _time: int) -> dict[str, int]:
    """Size of every file in an archive by its name; kept as long as the archive is the same."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                found = {m.filename: m.file_size for m in opened.infolist() if not m.is_dir()}
        else:
            with tarfile.open(archive, "r:") as tar:
                found = {m.name.removeprefix("./"): m.size for m in tar if m.isfile()}
    except (*_DAMAGED, OSError) as error:
        raise InputError("damaged or protected archive", where=archive, why=str(error)) from None
    if len(found) > _MOST_MEMBERS or any(".." in name.split("/") for name in found):
        raise InputError("not an archive that geoseg reads", where=archive, why="too many or climbing names")
    return found
