"""`geoseg verify`: are a run's files still what the run wrote."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.say import say


@click.command(name="verify")
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Check every file of the run in FOLDER against its manifest (size and SHA-256).

    Exit code 0 when all agree, 3 when a file is missing or was changed.
    """
    from geoseg.errors import InputError
    from geoseg.execution.manifest import read_manifest, verify_files

    results = verify_files(folder)
    for name, fault in results:
        say(f"{'ok  ' if fault is None else 'BAD '} {name}{f': {fault}' if fault else ''}")
    missing = read_manifest(folder).get("chunks", {}).get("failed", {})
    if missing:
        say(f"note: {len(missing)} chunks failed and were published as nodata on request", err=True)
    broken = [name for name, fault in results if fault]
    if broken:
        raise InputError(
            f"{len(broken)} of {len(results)} files are not what the run wrote",
            where=folder,
            why=", ".join(broken),
            hint="the predict command again with --overwrite",
        )
