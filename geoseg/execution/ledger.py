"""The ledger: which chunks of a run are done, with their digests. SQLite, written by the driver alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from geoseg.errors import OutputConflictError
from geoseg.files import writing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('done', 'failed')),
    attempts INTEGER NOT NULL,
    record TEXT,
    error TEXT
);
"""


class Ledger:
    """Account of one run; a process that is killed loses nothing of it.

    A power cut may lose the last records, never the order in them: those chunks are computed again, as they
    would be if the chunk itself, which is not flushed either, had been lost. Flushing both would cost more
    than small chunks do.

    A run has an identity (inputs, model, job, code) fixed when the ledger is made. Opening it for another
    identity is refused, with what differs.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        with self._in_words():
            self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._begin(identity)
        except BaseException:
            self._db.close()
            raise

    def _begin(self, identity: Mapping[str, Any]) -> None:
        with self._in_words():
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # shares no memory: works on any disk
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        stored = self.note("identity")
        if stored is None:
            self.set_note("identity", dict(identity))
        elif changed := differences(stored, identity):
            raise OutputConflictError(
                "an unfinished run with another request is here",
                where=self._path.parent.parent,
                why=f"changed: {'; '.join(changed[:5])}",
                hint="the original command to resume it, `overwrite` to start again, or another `out`",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def note(self, key: str) -> Any:
        """Value stored under a key; None where there is none."""
        with self._in_words():
            row = self._db.execute("SELECT value FROM run WHERE key = ?", (key,)).fetchone()
            return None if row is None else json.loads(row[0])

    def set_note(self, key: str, value: Any) -> None:
        """Store a JSON value under a key."""
        self._write("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, json.dumps(value)))

    def done(self) -> dict[int, dict[str, Any]]:
        """Records of the chunks that are done, by chunk index."""
        with self._in_words():
            rows = self._db.execute("SELECT id, record FROM chunk WHERE state = 'done' ORDER BY id")
            return {int(i): json.loads(record) for i, record in rows}

    def failed(self) -> dict[int, str]:
        """Error texts of the chunks that failed, by chunk index."""
        with self._in_words():
            rows = self._db.execute("SELECT id, error FROM chunk WHERE state = 'failed' ORDER BY id")
            return {int(i): str(error) for i, error in rows}

    def set_done(self, chunk: int, record: Mapping[str, Any]) -> None:
        """Mark a chunk done with its record."""
        self._put(chunk, "done", json.dumps(dict(record)), None)

    def set_failed(self, chunk: int, error: str) -> None:
        """Mark a chunk failed with its error."""
        self._put(chunk, "failed", None, error)

    def forget(self, chunk: int) -> None:
        """Drop a chunk whose stored bytes no longer agree with its record."""
        self._write("DELETE FROM chunk WHERE id = ?", (chunk,))

    def _put(self, chunk: int, state: str, record: str | None, error: str | None) -> None:
        self._write(
            "INSERT INTO chunk VALUES (?, ?, 1, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "state = excluded.state, attempts = attempts + 1, "
            "record = excluded.record, error = excluded.error",
            (chunk, state, record, error),
        )

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._in_words():
            self._db.execute(statement, values)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Context in which a disk that fails, and an account that is damaged, are errors that say so."""
        with writing(self._path, sqlite3.OperationalError):
            try:
                yield
            except sqlite3.OperationalError:
                raise
            except (sqlite3.DatabaseError, ValueError, TypeError) as error:
                raise OutputConflictError(
                    "the account of an unfinished run is damaged",
                    where=self._path,
                    why=str(error),
                    hint="`overwrite` to start again, or another `out`",
                ) from None


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Leaves in which two JSON-like values differ, each as ``path: old -> new``."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[str] = []
        for key in sorted({*old, *new}, key=str):
            found += differences(old.get(key), new.get(key), f"{at}.{key}" if at else str(key))
        return found
    if isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        return [
            d for i, (a, b) in enumerate(zip(old, new, strict=True)) for d in differences(a, b, f"{at}[{i}]")
        ]
    return [] if old == new else [f"{at}: {old!r} -> {new!r}"]
