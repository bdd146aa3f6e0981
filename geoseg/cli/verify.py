"""`geoseg verify`: are a run's files still what the run wrote."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.paths import FilePath
from geoseg.cli.say import say


@click.command(name="verify")
@click.argument("path", type=FilePath(path_type=Path))
def command(path: Path) -> None:
    """Check the files of the run in the folder PATH, of all runs below it, or one file, by size and SHA-256.

    What other commands wrote beside a run's own files, such as polygons and scores, is checked too.

    Exit code 0 when all agree, 3 when a file is missing or was changed, or a run did not finish.
    """
    from geoseg.errors import InputError
    from geoseg.execution.manifest import read_manifest, runs_in, verify_file, verify_files

    broken: list[str] = []
    count = 0
    runs = [path.parent] if path.is_file() else runs_in(path) or [path]
    for run in runs:
        at = "" if run in (path, path.parent) else f"{run.relative_to(path).as_posix()}/"
        try:
            results = verify_file(path) if path.is_file() else verify_files(run)
            missing = read_manifest(run).get("chunks", {}).get("failed", {})
        except InputError as error:
            if len(runs) == 1:
                raise
            results, missing = [("manifest.json", f"{error.what}")], {}
        for name, fault in results:
            say(f"{'ok  ' if fault is None else 'BAD '} {at}{name}{f': {fault}' if fault else ''}")
        if missing:
            say(f"note: {at}{len(missing)} chunks failed and were published as nodata on request", err=True)
        count += len(results)
        broken += [f"{at}{name}" for name, fault in results if fault]
    if broken:
        raise InputError(
            f"{len(broken)} of {count} files are not what was written",
            where=path,
            why=", ".join(broken),
            hint="the command that wrote them again, with --overwrite",
        )
