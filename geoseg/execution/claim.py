"""Claims: one run at a time in one output folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from geoseg.errors import OutputConflictError
from geoseg.files import write_durably


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    OutputConflictError
        Another live process holds it, with its host and process id; or the folder cannot be written.
    """
    if folder.is_symlink() or (folder / "lock").is_symlink():
        raise OutputConflictError(
            "is a symbolic link", where=folder, why="a run's work stays in its folder", hint="remove it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        raise OutputConflictError(
            "another run is writing here",
            where=folder.parent,
            why=_holder(folder),
            hint="wait for it, or another `out`",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise OutputConflictError(
            "the output folder cannot be written", where=folder.parent, why=str(error), hint="another `out`"
        ) from None
    try:
        write_durably(folder / "holder.json", json.dumps({"host": platform.node(), "pid": os.getpid()}))
        yield
    finally:
        lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / "holder.json").read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError):
        return "its lock is held"
