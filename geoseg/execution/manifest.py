"""The manifest: the last file of a run, naming every other file with its size and SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from filelock import FileLock

from geoseg.errors import InputError
from geoseg.files import sha256_of, write_durably

MANIFEST = "manifest.json"
WORK = ".work"
"""Folder of what a run needs until it is finished."""


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value in canonical form, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(folder: Path, content: Mapping[str, Any], files: Iterable[str]) -> Path:
    """Write `manifest.json` last, with size and SHA-256 of each named file in the folder, and of itself."""
    path = folder / MANIFEST
    _write(path, {**content, "files": {name: _listed(folder / name) for name in files}})
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Content of a run's manifest.

    Raises
    ------
    InputError
        There is none, or it is not the one that was written.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError("not found", where=folder.absolute())
    if not path.is_file():
        if is_unfinished(folder):
            raise InputError(
                "no manifest.json: this run did not finish",
                where=folder,
                why="the manifest is written last",
                hint="the same predict command again; it resumes",
            )
        raise InputError(
            "no manifest.json",
            where=folder,
            why="a run that finished has one, so it was removed, or this is no folder of a run",
            hint="the folder of a predict or series, or one above; else the manifest from where it is",
        )
    again = "a copy of it, or the run computed anew with `overwrite`"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        said = content.pop("digest")
        sound = said == digest_of(content) and isinstance(content["files"], dict)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError("cannot be read as JSON", where=path, why=str(error)[:200], hint=again) from None
    except (AttributeError, TypeError, LookupError):
        raise InputError("not a manifest of geoseg", where=path, hint=again) from None
    if not sound:
        raise InputError("was changed after it was written", where=path, why="its digest differs", hint=again)
    return content  # type: ignore[no-any-return]


def is_unfinished(folder: Path) -> bool:
    """Whether a run in this folder began and did not end."""
    return (folder / WORK).is_dir() and not (folder / MANIFEST).exists()


def add_files(verb: str, files: Iterable[Path]) -> None:
    """List what another verb wrote into the folder of a finished run in that run's manifest.

    A folder without a manifest stays without; a manifest that is damaged stays as it is.
    """
    for folder, group in groupby(sorted(files), key=lambda path: path.absolute().parent):
        if (folder / MANIFEST).is_file():
            with _alone(folder), suppress(InputError):
                content = read_manifest(folder)
                added = {path.name: {**_listed(path), "by": verb} for path in group}
                _write(folder / MANIFEST, {**content, "added": {**content.get("added", {}), **added}})


def verify_files(folder: Path, *, added: bool = True) -> list[tuple[str, str | None]]:
    """(file, what is wrong or None) for every file that a run's manifest names.

    `added`: also for what other verbs wrote into the folder since.
    """
    listed = _all_listed(folder, added=added)
    return [(name, _fault(folder, name, expected)) for name, expected in listed.items()]


def verify_file(path: Path) -> list[tuple[str, str | None]]:
    """(file, what is wrong or None) for one file of a run's folder; InputError where no manifest names it."""
    if path.name == MANIFEST:
        return verify_files(path.parent)
    known = (path.parent / MANIFEST).is_file()
    listed = _all_listed(path.parent, added=True) if known else {}
    if path.name not in listed:
        raise InputError(
            "no manifest says what was written here",
            where=path,
            why=f"{MANIFEST} beside it does not name it" if known else f"there is no {MANIFEST} beside it",
            hint="the folder of a predict or series; what other commands write there is listed, too",
        )
    return [(path.name, _fault(path.parent, path.name, listed[path.name]))]


def runs_in(folder: Path, *, depth: int = 3) -> list[Path]:
    """Folders of runs, finished or not: this one, or those below it."""
    if (folder / MANIFEST).exists() or is_unfinished(folder):
        return [folder]
    if depth == 0 or not folder.is_dir():
        return []
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
    return [run for path in inside for run in runs_in(path, depth=depth - 1)]


def _all_listed(folder: Path, *, added: bool) -> dict[str, Any]:
    content = read_manifest(folder)
    return {**content["files"], **(content.get("added", {}) if added else {})}


def _listed(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _fault(folder: Path, name: str, expected: Mapping[str, Any]) -> str | None:
    path = folder / name
    if Path(name).name != name:
        return "name leads outside the folder"
    if not path.is_file():
        return "missing"
    if path.stat().st_size != expected["bytes"]:
        return f"{path.stat().st_size} bytes, expected {expected['bytes']}"
    return None if sha256_of(path) == expected["sha256"] else "content changed: SHA-256 differs"


def _write(path: Path, content: Mapping[str, Any]) -> None:
    plain = json.loads(json.dumps(content))
    whole = {**plain, "digest": digest_of(plain)}
    write_durably(path, json.dumps(whole, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Context in which nobody else changes the manifest."""
    path = folder / f".{MANIFEST}.lock"
    while True:
        with FileLock(path):
            if path.exists():  # else whoever had it before has removed it
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
