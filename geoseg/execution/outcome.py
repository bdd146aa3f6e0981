"""What becomes of an item that a task is run on, and what runs tasks elsewhere."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from geoseg.errors import GeosegError
from geoseg.files import cannot_write, is_full_disk

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T, R]):
    """What became of one item: a value, or the error that it ended in.

    Attributes
    ----------
    item
        The item as it was given.
    value
        The task's return value; None where it failed.
    error
        None, or a `GeosegError`; any other exception is wrapped in one, with its last line as reason and the
        traceback in `detail`.
    detail
        Traceback text of an unexpected exception, or the last words of processes that died.
    """

    item: T
    value: R | None = None
    error: GeosegError | None = None
    detail: str | None = None

    def result(self) -> R:
        """The value; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def guarded(task: Callable[[T], R], item: T) -> Outcome[T, R]:
    """Outcome of one call; errors become values."""
    try:
        return Outcome(item=item, value=task(item))
    except GeosegError as error:
        return Outcome(item=item, error=error)
    except Exception as error:
        return Outcome(item=item, error=unexpected(error), detail=traceback.format_exc())


def unexpected(error: BaseException) -> GeosegError:
    """GeosegError around an exception that nobody foresaw; a full disk is told as one, whoever met it."""
    if is_full_disk(error):
        return cannot_write(error, Path(getattr(error, "filename", None) or "."))
    reason = " ".join(str(error).split()) or "no message"
    return GeosegError(f"{type(error).__name__}: {reason[:500]}", hint="please report it, with log.jsonl")


class WorkerDiedError(Exception):
    """The process that ran a task is gone, its answer with it. Text: how it ended, then its last words."""


class Pool(Protocol):
    """Runs one task on items, elsewhere and several at a time."""

    def submit(self, item: Any) -> Any:
        """Future of the task's `Outcome` on an item; it has `done` and `cancel`."""
        ...

    def wait_any(self, futures: Iterable[Any]) -> set[Any]:
        """Those of the futures that are done; waits for the first.

        Raises
        ------
        ResourceError
            Nobody is left who could do them.
        """
        ...

    def result(self, future: Any) -> Outcome[Any, Any]:
        """Outcome that a finished future holds.

        Raises
        ------
        WorkerDiedError
            The process that ran it died.
        ResourceError
            No process can run anything.
        """
        ...
