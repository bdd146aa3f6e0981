"""One command for many files, in one process: what fails is named, the rest is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from geoseg.cli.say import in_flags, say, shown
from geoseg.errors import ChunksFailedError, GeosegError, InputError, UsageError
from geoseg.files import require_apart, require_out, write_durably, writing
from geoseg.tables import csv_text

SUMMARY = "summary.csv"
_NAMED = 3
_OF_A_RUN = "classes.tif"


def each_file(given: Iterable[str | Path]) -> dict[str, Path]:
    """Files of paths, folders and patterns by the names that their outputs get: theirs, without the suffix.

    The map of a run is called after the run's folder.

    Raises
    ------
    UsageError
        Two files of one name.
    """
    found: dict[str, Path] = {}
    for path in (path for source in given for path in _files(Path(source))):
        name = path.parent.name if path.name == _OF_A_RUN else path.stem
        if found.setdefault(name, path) != path:
            raise UsageError(
                f"two files are called {name}",
                where=path,
                why=f"the other is {found[name]}; outputs are named after their files",
                hint="one call for each folder",
            )
    return found


def _files(source: Path) -> tuple[Path, ...]:
    """Files of a folder or pattern; a file as it is, so that a broken one fails alone."""
    from geoseg.raster.sources import find_files

    return (source.absolute(),) if source.is_file() else find_files(source)


def run_each(files: Mapping[str, Path], run: Callable[[str, Path], Mapping[str, Any]], out: Path) -> None:
    """Call `run` with the name and path of every file; write what it says of each into ``out/summary.csv``.

    Raises
    ------
    ChunksFailedError
        At the end, when some failed; their rows say why.
    """
    rows: list[dict[str, Any]] = []
    _require_summary(out, files.values())
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        for number, (name, path) in enumerate(files.items(), 1):
            started = time.perf_counter()
            row: dict[str, Any] = {"file": str(path), "state": "done"}
            try:
                row |= run(name, path)
            except GeosegError as error:
                row |= {"state": "failed", "error": in_flags(str(error), None)}
            except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
                row |= {"state": "failed", "error": f"{type(error).__name__}: {error}"}
            row["seconds"] = round(time.perf_counter() - started, 2)
            rows.append(row)
            said = row.get("error") or f"{row['state']}, {row['seconds']:.1f} s"
            say(f"{number}/{len(files)} {name}: {said}", err=row["state"] == "failed")
    finally:
        write_durably(out / SUMMARY, _table(rows))
        say(f"  {shown(out / SUMMARY)}")
    failed = [Path(row["file"]).name for row in rows if row["state"] == "failed"]
    if failed:
        more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        raise ChunksFailedError(
            f"{len(failed)} of {len(rows)} files failed",
            where=out / SUMMARY,
            why=f"{', '.join(failed[:_NAMED])}{more}",
            hint="the same command, which does only what is missing",
        )


def _require_summary(out: Path, inputs: Iterable[Path]) -> None:
    """OutputConflictError where the summary cannot be written, or would replace an input."""
    require_out(out)
    require_apart(out / SUMMARY, inputs)


def run_each_pair(
    one: Path, other: Path, run: Callable[[str, Path, Path], Mapping[str, Any]], out: Path
) -> None:
    """`run_each` over files of two folders or patterns that have one name; one file goes with all others."""
    _require_summary(out, (one, other))
    firsts = each_file([one])
    seconds = dict.fromkeys(firsts, other) if other.is_file() else each_file([other])

    def run_pair(name: str, _: Path) -> dict[str, Any]:
        for side, where in ((firsts, one), (seconds, other)):
            if name not in side:
                raise InputError(
                    f"no file is called {name}", where=where, why="files are paired by their names"
                )
        return {"with": str(seconds[name]), **run(name, firsts[name], seconds[name])}

    run_each(seconds | firsts, run_pair, out)


def named(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Options in whose paths the name stands for ``{}``."""
    return {
        key: Path(str(value).replace("{}", name)) if isinstance(value, Path) else value
        for key, value in options.items()
    }


def require_placeholder(options: Mapping[str, Any], *outputs: str) -> None:
    """UsageError where a file that is written for each has the same name for all."""
    for key in outputs:
        if options.get(key) is not None and "{}" not in str(options[key]):
            raise UsageError(
                f"`{key}={options[key]}` would be written by each file anew",
                hint=f"`{key}={Path(options[key]).with_stem('{}')}`, where {{}} stands for the file's name",
            )


def _table(rows: list[dict[str, Any]]) -> str:
    """CSV of rows, their columns in order of appearance, the error last."""
    names = [*dict.fromkeys(name for row in rows for name in row if name != "error"), "error"]
    return csv_text([names, *([row.get(name) for name in names] for row in rows)])
