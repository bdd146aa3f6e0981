"""Which steps are done: what they read and wrote, kept beside their files, so that a second run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.files import write_durably
from geoseg.pipeline.steps import Step
from geoseg.version import __version__

RECORD = ".geoseg-run.json"
"""File beside the output of a step."""


def is_done(step: Step) -> bool:
    """Whether the files of a step are there as it wrote them, from the same job and the same inputs."""
    return bool(step.files) and _recorded(step) == _now(step)


def wrote(step: Step) -> bool:
    """Whether the files of a step are there as it wrote them, from whatever job."""
    return bool(step.files) and _recorded(step).get("files") == _now(step)["files"]


def record(step: Step) -> None:
    """Remember that a step is done, unless it writes nothing."""
    if step.files:
        path = _path(step)
        content = {**_content(path), step.files[0].name: _now(step)}
        write_durably(path, json.dumps(content, indent=1) + "\n")


def _path(step: Step) -> Path:
    return step.files[0].absolute().with_name(RECORD)


def _recorded(step: Step) -> dict[str, Any]:
    found = _content(_path(step)).get(step.files[0].name)
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> dict[str, Any]:
    """What a record says; nothing where there is none, or it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _now(step: Step) -> dict[str, Any]:
    """A step with the state of every file that it reads and writes."""
    values = step.job.model_dump(exclude={"out"})
    return {
        "geoseg": __version__,
        "verb": step.verb,
        "job": step.job.model_dump(mode="json"),
        "inputs": {str(path): _state(path) for path in sorted(set(_paths(values)))},
        # people write into a sample: that it is there is all
        "files": {p.name: p.is_file() if step.verb == "sample" else _state(p) for p in step.files},
    }


def _paths(value: Any) -> Iterator[Path]:
    """Files that are named somewhere in a value, those of a named folder for the folder."""
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, str | Path):
        path = Path(value)
        if isinstance(value, str) and ("\0" in value or len(value) > 255 or not path.exists()):
            return
        yield from (p for p in path.iterdir() if p.name != RECORD) if path.is_dir() else (path,)
        return
    elif not isinstance(value, list | tuple):
        return
    for part in value:
        yield from _paths(part)


def _state(path: Path) -> list[int]:
    """Size and time of a file; nothing where there is none."""
    if not path.is_file():
        return []
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
