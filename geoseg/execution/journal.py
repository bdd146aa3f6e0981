"""The journal: one JSON line per event of a run, in log.jsonl."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg.files import writing

_SECRET = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"']*")


class Journal:
    """Appends events to a JSON-lines file; each line is complete or absent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def event(self, name: str, **fields: Any) -> None:
        """Append one event with its time in UTC; queries of signed addresses are stripped."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, **fields}
        text = _SECRET.sub(r"\1", json.dumps(line, ensure_ascii=False, default=str))
        with writing(self._path):
            if self._path.is_symlink():  # it may lead out of the folder
                self._path.unlink()
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
