"""The manifest: the last file of a run, naming every other file with its size and SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from geoseg.errors import InputError
from geoseg.files import sha256_of, write_durably

MANIFEST = "manifest.json"


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON-like value in canonical form, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_manifest(folder: Path, content: Mapping[str, Any], files: Iterable[str]) -> Path:
    """Write `manifest.json` last, with size and SHA-256 of each named file in the folder."""
    listed = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in files
    }
    path = folder / MANIFEST
    write_durably(path, json.dumps({**content, "files": listed}, indent=2, ensure_ascii=False) + "\n")
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Content of a run's manifest; InputError where there is none or it is not readable."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError("not found", where=folder.absolute())
    if not path.is_file():
        raise InputError(
            "no manifest.json: this run did not finish",
            where=folder,
            why="the manifest is written last",
            hint="run the same predict command again; it resumes",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError("not valid JSON", where=path, why=str(error)) from None
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise InputError("not a manifest of geoseg", where=path, why="no 'files' in it")
    return content


def verify_files(folder: Path) -> list[tuple[str, str | None]]:
    """(file, what is wrong or None) for every file that a run's manifest names."""
    results: list[tuple[str, str | None]] = []
    for name, expected in read_manifest(folder)["files"].items():
        if Path(name).name != name:
            results.append((name, "name leads outside the folder"))
            continue
        path = folder / name
        if not path.is_file():
            results.append((name, "missing"))
        elif path.stat().st_size != expected["bytes"]:
            results.append((name, f"{path.stat().st_size} bytes, expected {expected['bytes']}"))
        elif sha256_of(path) != expected["sha256"]:
            results.append((name, "content changed: SHA-256 differs"))
        else:
            results.append((name, None))
    return results
