"""Results of commands read back from the files that they wrote."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geoseg.errors import InputError
from geoseg.files import sha256_of

Kind = Literal["estimates", "change", "series", "scores"]

_MARKS: Mapping[Kind, frozenset[str]] = {
    "estimates": frozenset({"design", "matrix", "strata", "overall"}),
    "series": frozenset({"dates", "loss", "legend"}),
    "change": frozenset({"transitions", "matrix", "total"}),
    "scores": frozenset({"confusion", "overall", "classes"}),
}
"""Keys by which a result is known, whatever its file is called."""

_TABLES = ("areas.csv", "transitions.csv", "losses.csv")
_LARGEST = 256 * 2**20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One result.

    Attributes
    ----------
    kind
        Which command wrote it.
    path, sha256
        Its file.
    content
        What the file says.
    tables
        Rows of the tables beside it that belong to it, by name.
    """

    kind: Kind
    path: Path
    sha256: str
    content: Mapping[str, Any]
    tables: Mapping[str, list[list[Any]]]


def read_sources(results: Sequence[Path]) -> list[Source]:
    """Results of files and folders, in the order given.

    Raises
    ------
    InputError
        A file that is no result, or a folder without any.
    """
    found: dict[Path, Source] = {}
    for path in results:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        sources = [s for f in files if (s := _read(f)) is not None]
        if not sources:
            raise InputError(
                "no result of a command that is reported",
                where=path,
                hint="estimates.json, transitions.json, series.json or scores.json, or the folder with it",
            )
        found |= {s.path.absolute(): s for s in sources}
    return list(found.values())


def _read(file: Path) -> Source | None:
    if not file.is_file():
        raise InputError("not found", where=file.absolute())
    if file.stat().st_size > _LARGEST:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "geoseg" not in content:
        return None
    kind = next((k for k, marks in _MARKS.items() if marks <= content.keys()), None)
    if kind is None:
        return None
    names = _TABLES if kind == "series" else ()
    beside = {name: file.with_name(name) for name in names}
    return Source(
        kind=kind,
        path=file,
        sha256=sha256_of(file),
        content=content,
        tables={Path(name).stem: _rows(p) for name, p in beside.items() if p.is_file()},
    )


def _rows(path: Path) -> list[list[Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [[_number(text) for text in row] for row in csv.reader(file)]


def _number(text: str) -> Any:
    """A number where the text is one; other text as it is."""
    try:
        value = float(text)
    except ValueError:
        return text or None
    return int(value) if value.is_integer() and text.lstrip("-").isdecimal() else value
