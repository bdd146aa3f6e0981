"""Files that appear whole or not at all, however the process, the disk or the machine fails.

What is unfinished lies in a hidden folder beside its target. A lock in it tells whether its writer lives: the
system lets go of it when the process ends, however it ends. The next writer of the same target removes what
dead ones left, and nothing else. A finished file is flushed, gets its name, and its folder is flushed.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from geoseg.errors import GeosegError, InputError, OutputConflictError, ResourceError, UsageError

_LOCK, _REPLACED = "lock", ".replaced"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ROOM = {*_FULL, errno.EIO}
_LONGEST = 255 - len("...partial") - 12
_OF_IMAGES = (".wld", ".aux", ".aux.xml", ".ovr", ".msk", ".rrd")
_PARTS = {
    "shp": (".shx", ".dbf", ".prj", ".cpg", ".qpj", ".qix", ".sbn", ".sbx", ".shp.xml"),
    "tif": (".tfw", *_OF_IMAGES),
    "tiff": (".tfw", ".tiffw", *_OF_IMAGES),
    "png": (".pgw", *_OF_IMAGES),
    "jpg": (".jgw", *_OF_IMAGES),
    "jpeg": (".jgw", *_OF_IMAGES),
    "jp2": (".j2w", *_OF_IMAGES),
}
_DENIED = (
    *("Permission denied", "Read-only file system", "No such file or directory"),
    *("readonly database", "unable to open database"),  # SQLite's words
)


def cache_folder() -> Path:
    """The user's folder for what can be made again at any time; made by whoever writes into it.

    It is ``$XDG_CACHE_HOME/geoseg``, by default ``~/.cache/geoseg``.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "geoseg"


def keep_newest(files: Iterable[Path], count: int) -> None:
    """Nothing, once only so many of the files are left, those that were touched last.

    Meant for the cache folder: a file that another process takes away meanwhile is no error.
    """
    with suppress(OSError):
        for file in sorted(files, key=lambda file: file.stat().st_mtime)[:-count]:
            file.unlink(missing_ok=True)


@contextmanager
def whole(target: Path, *kinds: type[Exception]) -> Iterator[Path]:
    """Path to write a file or make a folder at; it becomes the target when the context ends without an error.

    What stood under that name is replaced; the folders above are made. An OSError inside, or an error of
    `kinds`, is taken for one of writing and raised in words (see `cannot_write`).
    """
    with writing(target, *kinds):
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(target) as folder:
            partial = folder / target.name
            yield partial
            commit([(partial, target)])


def write_durably(target: Path, text: str) -> None:
    """Write a text file, UTF-8, as `whole` does."""
    with whole(target) as partial:
        partial.write_text(text, encoding="utf-8")


def write_together(texts: Mapping[Path, str]) -> None:
    """Write text files of one folder, UTF-8, all or none; the last, which users open, gets its name last."""
    *_, last = texts
    with writing(last):
        last.parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(last) as folder:
            for target, text in texts.items():
                (folder / target.name).write_text(text, encoding="utf-8")
            commit((folder / target.name, target) for target in texts)


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Folder for what is unfinished of a target, in the target's own folder; removed at the end."""
    remove_left(target)
    while True:
        folder = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.partial"
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            if _take(folder, lock):
                yield folder
                return
        finally:
            _remove(folder, lock, target)


def remove_left(target: Path) -> None:
    """Remove what dead writers of a target left; nothing of one that lives, or may live."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 12}.partial"):
        if not (folder / _LOCK).is_file():
            continue
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except (OSError, NotImplementedError):  # held, or not to be known
            continue
        _remove(folder, lock, target)


def commit(finished: Iterable[tuple[Path, Path]]) -> None:
    """Flush files or folders and give them their names, in this order: the one that users open comes last.

    Parameters
    ----------
    finished
        (partial path inside a `partial_folder`, target) of each. A folder that stands under a folder's name
        is moved aside first: a reader finds the one, the other or none, never a mixture.
    """
    pairs = list(finished)
    for partial, _ in pairs:
        flush(partial)
    for partial, target in pairs:
        if partial.is_dir() and target.exists():
            target.rename(partial.with_name(_REPLACED))
        partial.replace(target)
    for folder in dict.fromkeys(target.parent for _, target in pairs):
        _sync(folder)


def flush(path: Path) -> None:
    """Write a file, or a folder with all that is in it, from the system's memory to the disk."""
    if path.is_dir():
        for inside in path.iterdir():
            flush(inside)
    _sync(path)


def require_free(
    target: Path,
    *,
    overwrite: bool,
    inputs: Iterable[Path] = (),
    marks: Collection[str] = (),
    beside: Path | None = None,
) -> None:
    """Nothing, if an output may be written under this name.

    Parameters
    ----------
    overwrite
        Whatever file has the name may be replaced.
    inputs
        Files that must not be replaced in any case, nor what belongs to them (see `require_apart`).
    marks
        A JSON file that holds these keys is an earlier result, and may be replaced.
    beside
        The file that users open, where this one only comes with it.

    Raises
    ------
    OutputConflictError
        The name is taken, or is a folder's, or writing it would destroy an input.
    """
    require_apart(target, inputs)
    if target.is_dir():
        raise OutputConflictError("is a folder", where=target, hint="name a file")
    if not target.exists():
        return
    if overwrite or (marks and _holds(target, marks)):
        return
    why = f"it is no earlier result: not a JSON file with {' and '.join(sorted(marks))}" if marks else None
    if beside is not None:
        why = f"it would be written beside {beside.name}"
    raise OutputConflictError("exists", where=target, why=why, hint="another name, or `overwrite`")


def require_report(
    out: Path,
    beside: Iterable[Path],
    *,
    overwrite: bool,
    inputs: Iterable[Path],
    marks: Collection[str],
) -> None:
    """Nothing, if a report in JSON and the files beside it may be written.

    Parameters
    ----------
    beside
        Files that come with it; those of an earlier report may be replaced.
    overwrite, inputs, marks
        As in `require_free`.

    Raises
    ------
    UsageError
        The report's name is not one of JSON.
    OutputConflictError
        A name is taken, the place cannot be written, or an input would be destroyed.
    """
    if out.suffix.casefold() != ".json":
        raise UsageError(f"`out={out}` is not a .json file", hint=f"`out={out.with_suffix('.json')}`")
    given = tuple(inputs)
    require_place(out)
    require_free(out, overwrite=overwrite, inputs=given, marks=marks)
    for path in beside:
        require_free(path, overwrite=overwrite or out.exists(), inputs=given, beside=out)


def require_apart(target: Path, inputs: Iterable[Path]) -> None:
    """Nothing, if writing a file, or replacing a folder, destroys no input.

    Parameters
    ----------
    target
        By any name: relative, through a link, or in letters of another case, which many disks do not tell
        from it.
    inputs
        Files and folders; of a file also what belongs to it, like the .dbf of a Shapefile.

    Raises
    ------
    OutputConflictError
        The target is one of them, belongs to one, or is a folder with one in it.
    """
    _require_name(target)
    place = target.resolve()
    for given in filter(_is_there, inputs):
        found = given.resolve()
        if (place.exists() and place.samefile(found)) or _folded(place) == _folded(found):
            raise OutputConflictError("the output is one of the inputs", where=target, hint="another name")
        if found.is_file() and _belongs(place, found):
            raise OutputConflictError(
                "the output is a part of an input",
                where=target,
                why=f"{place.name} belongs to {found.name}",
                hint="another name",
            )
        if place in found.parents:
            why = f"{found.relative_to(place)} lies in it, and it is replaced as a whole"
            raise OutputConflictError("the output holds an input", where=target, why=why, hint="another name")


def require_new_folder(
    target: Path, *, overwrite: bool, inputs: Iterable[Path] = (), marks: Collection[str] = ()
) -> None:
    """Nothing, if a folder may be made under this name.

    Parameters
    ----------
    overwrite
        A folder of that name may be replaced as a whole, if it is empty or holds all files of `marks`.
    inputs
        Files and folders that must not be replaced in any case.

    Raises
    ------
    OutputConflictError
        The name is taken, the place cannot be written, or an input would be destroyed.
    """
    require_out(target)
    require_apart(target, inputs)
    if not target.exists():
        return
    ours = not any(target.iterdir()) or all((target / name).is_file() for name in marks)
    if not (overwrite and ours):
        why = None if ours else f"it holds no {' and '.join(marks)}, so `overwrite` does not replace it"
        hint = "another name, or `overwrite`" if ours else "another name"
        raise OutputConflictError("exists already", where=target, why=why, hint=hint)


def require_out(folder: Path) -> None:
    """Nothing, if files can be written into this folder, or one made for them; else OutputConflictError."""
    _require_name(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputConflictError("is a file", where=folder, hint="`out=FOLDER`")
    require_place(folder / "_")


def require_folder(target: Path) -> None:
    """Nothing, if the target's folder is there and can be written; else OutputConflictError."""
    _require_name(target)
    if not target.parent.is_dir():
        raise OutputConflictError(
            "cannot be written", where=target, why=f"no writable folder {target.parent}"
        )
    require_place(target)


def require_place(target: Path) -> None:
    """Nothing, if the target's folder can be written or made; else OutputConflictError."""
    _require_name(target)
    nearest = nearest_existing(target.absolute().parent)
    refused = _refusal(nearest) if nearest.is_dir() else "it is a file"
    if refused is not None:
        why = f"{nearest} is no writable folder: {refused}"
        raise OutputConflictError("cannot be written", where=target, why=why, hint="another place")


@contextmanager
def writing(target: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Context in which an OSError, or one of `kinds`, is taken for one of writing the target, in words."""
    caught: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except caught as error:
        raise cannot_write(error, target) from None


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or the largest size of a file is used up."""
    return isinstance(error, OSError) and error.errno in _FULL


def cannot_write(error: BaseException, target: Path) -> GeosegError:
    """ResourceError for a disk that is full or failing, OutputConflictError for a place that is not ours.

    An error of a library that hides the system's number is judged by the words of its first cause.
    """
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or _first_cause(error)
    if number in _NO_ROOM or (number is None and not any(text in reason for text in _DENIED)):
        free = shutil.disk_usage(nearest_existing(target)).free
        return ResourceError(
            "cannot be written",
            where=target,
            why=f"{reason}; {free / 2**20:.0f} MiB free on the disk",
            hint="free some disk space, then the same again",
        )
    return OutputConflictError("cannot be written", where=target, why=reason, hint="another place")


def refuse_locked(error: BaseException, path: Path) -> None:
    """Nothing, if an error of SQLite's does not say that another program holds the file; else InputError."""
    if "database is locked" in str(error) or "database table is locked" in str(error):
        raise InputError(
            "another program is writing it", where=path, why="it is locked", hint="close it there first"
        ) from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:300].rstrip(".")


def nearest_existing(path: Path) -> Path:
    """The path or the nearest folder above it that is there."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no name of a file; whoever opens it says so
        return False


def _require_name(target: Path) -> None:
    """Nothing, if a disk can hold the names of a path, and what is unfinished under it; else UsageError."""
    for name in target.parts:
        if "\0" in name:
            raise UsageError("a name with a NUL character", where=repr(str(target)))
        if (size := len(os.fsencode(name))) > _LONGEST:
            raise UsageError("a name that is too long", where=target, why=f"{size} bytes, at most {_LONGEST}")


def _refusal(folder: Path) -> str | None:
    """Why no file can be made in a folder, in the system's words; None where one can.

    It is tried: permissions say nothing to an administrator, and nothing of disks that are only read.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return None if is_full_disk(error) else (error.strerror or str(error))


def _folded(path: Path) -> tuple[Path, str]:
    return path.parent, path.name.casefold()


def _belongs(path: Path, file: Path) -> bool:
    """Whether a path is that of a part of a file, like ``a.dbf`` of ``a.shp``, ``a.tif.msk`` of ``a.tif``."""
    (folder, name), (home, whole) = _folded(path), _folded(file)
    if folder != home:
        return False
    stem, _, kind = whole.rpartition(".")
    return name.startswith(f"{whole}.") or name in {f"{stem}{suffix}" for suffix in _PARTS.get(kind, ())}


def _holds(path: Path, marks: Collection[str]) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.keys() >= set(marks)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return  # the system cannot open folders
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take(folder: Path, lock: BaseFileLock) -> bool:
    """Whether the folder was made and is ours; before it is locked, another may take it for a dead one's."""
    folder.mkdir()
    try:
        lock.acquire()
    except Timeout:
        return False
    except (OSError, NotImplementedError):  # no locks on this disk: nobody removes it either
        return True
    return (folder / _LOCK).exists()


def _remove(folder: Path, lock: BaseFileLock, target: Path) -> None:
    """Remove a partial folder, its lock last: interrupted, the rest is removed by a later writer."""
    with suppress(OSError):
        if (folder / _REPLACED).exists() and not target.exists():  # stopped between the two names
            (folder / _REPLACED).rename(target)
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK:
                path.unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()
