"""One function over many chunks: in this process or on Dask, with a bounded number in flight.

What Dask does not promise is kept here: an error comes back as a value that names its chunk, never as an
exception that ends the run; nothing but small records travels back; no array moves between tasks.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from geoseg.errors import GeosegError
from geoseg.execution.where import Where

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
        Traceback text of an unexpected exception.
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


def run_chunks(
    task: Callable[[T], R],
    items: Iterable[T],
    where: Where | None = None,
    *,
    concurrency: int = 1,
    in_flight: int | None = None,
    ordered: bool = False,
) -> Iterator[Outcome[T, R]]:
    """Outcomes of `task` on every item, as they finish.

    Parameters
    ----------
    task
        A function of one item; picklable (a module's function, or a `functools.partial` of one) when chunks
        leave this process.
    items
        Any iterable; it is consumed no faster than `in_flight` allows.
    where
        This process by default.
    concurrency
        Threads in this process, for tasks that release the interpreter's lock. Worker processes run one task
        at a time.
    in_flight
        Most tasks begun and not yet yielded; by default two per worker.
    ordered
        Yield in the order of the items instead; a slow item then holds back what comes after it, and the
        bound on tasks in flight still holds.
    """
    where = where or Where()
    if where.distributed:
        from geoseg.execution.cluster import open_client

        with open_client(where) as (client, workers):
            limit = in_flight or 2 * workers
            yield from _pump(client.submit_one, client.wait_any, task, items, limit, ordered)
    elif concurrency > 1:
        with ThreadPoolExecutor(concurrency) as pool:
            yield from _pump(pool.submit, _wait_threads, task, items, in_flight or 2 * concurrency, ordered)
    else:
        for item in items:
            yield guarded(task, item)


def guarded(task: Callable[[T], R], item: T) -> Outcome[T, R]:
    """Outcome of one call; errors become values."""
    try:
        return Outcome(item=item, value=task(item))
    except GeosegError as error:
        return Outcome(item=item, error=error)
    except Exception as error:
        return Outcome(item=item, error=unexpected(error), detail=traceback.format_exc())


def unexpected(error: BaseException) -> GeosegError:
    """GeosegError around an exception that nobody foresaw."""
    reason = " ".join(str(error).split()) or "no message"
    return GeosegError(f"{type(error).__name__}: {reason[:500]}", hint="please report it, with log.jsonl")


def _wait_threads(pending: Iterable[Any]) -> set[Any]:
    return wait(pending, return_when=FIRST_COMPLETED).done


def _pump(
    submit: Callable[..., Any],
    wait_any: Callable[[Iterable[Any]], set[Any]],
    task: Callable[[T], R],
    items: Iterable[T],
    limit: int,
    ordered: bool,
) -> Iterator[Outcome[T, R]]:
    """Keep at most `limit` futures alive and yield their outcomes."""
    source = iter(items)
    waiting: deque[tuple[Any, T]] = deque()
    ready: deque[tuple[Any, T]] = deque()
    try:
        while True:
            for item in islice(source, limit - len(waiting) - len(ready)):
                waiting.append((submit(guarded, task, item), item))
            if not ready:
                if not waiting:
                    return
                if ordered:
                    wait_any([waiting[0][0]])
                    ready.append(waiting.popleft())
                else:
                    done = wait_any([future for future, _ in waiting])
                    ready.extend(pair for pair in waiting if pair[0] in done)
                    waiting = deque(pair for pair in waiting if pair[0] not in done)
            yield _collect(*ready.popleft())
    finally:
        for future, _ in waiting:
            future.cancel()


def _collect(future: Any, item: T) -> Outcome[T, Any]:
    """Outcome held by a future; a worker that died is an error of its chunk."""
    try:
        outcome: Outcome[T, Any] = future.result()
    except Exception as error:
        died = type(error).__name__ == "KilledWorker"  # Dask's name for it; only cluster.py imports Dask
        return Outcome(
            item=item, error=_worker_died() if died else unexpected(error), detail=traceback.format_exc()
        )
    return outcome


def _worker_died() -> GeosegError:
    return GeosegError(
        "two worker processes died on this chunk",
        why="the system kills a process that takes too much memory; a damaged file can crash a decoder",
        hint="fewer `workers` or a smaller `chunk`",
    )
