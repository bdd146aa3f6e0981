"""One function over many chunks: here, on processes or on Dask, with a bounded number in flight.

What none of them promises is kept here: an error comes back as a value that names its chunk, never as an
exception that ends the run; nothing but small records travels back; no array moves between tasks. A chunk
whose process died is run again alone, and given up when that kills processes too.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from geoseg.errors import GeosegError
from geoseg.execution.outcome import Outcome, Pool, WorkerDiedError, guarded, unexpected
from geoseg.execution.where import Where

T = TypeVar("T")
R = TypeVar("R")

_ALONE = 2
"""Times that a chunk whose process died is run again."""


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

    Raises
    ------
    ResourceError
        Processes cannot be started, or the scheduler is lost.
    """
    where = where or Where()
    call = partial(guarded, task)
    if where.scheduler:
        from geoseg.execution.cluster import open_scheduler

        with open_scheduler(where.scheduler, call) as (cluster, workers):
            yield from _pump(cluster, items, in_flight or 2 * workers, ordered)
    elif where.distributed:
        from geoseg.execution.processes import open_processes

        with open_processes(where, call) as (processes, workers):
            yield from _pump(processes, items, in_flight or 2 * workers, ordered)
    elif concurrency > 1:
        with ThreadPoolExecutor(concurrency) as threads:
            yield from _pump(_Threads(threads, call), items, in_flight or 2 * concurrency, ordered)
    else:
        for item in items:
            yield call(item)


class _Threads:
    """Threads of this process as a `Pool`."""

    def __init__(self, pool: ThreadPoolExecutor, task: Callable[[Any], Outcome[Any, Any]]) -> None:
        self._pool, self._task = pool, task

    def submit(self, item: Any) -> Any:
        return self._pool.submit(self._task, item)

    def wait_any(self, futures: Iterable[Any]) -> set[Any]:
        return wait(futures, return_when=FIRST_COMPLETED).done

    def result(self, future: Any) -> Outcome[Any, Any]:
        return future.result()  # type: ignore[no-any-return]


def _pump(pool: Pool, items: Iterable[T], limit: int, ordered: bool) -> Iterator[Outcome[T, Any]]:
    """Keep at most `limit` futures alive and yield their outcomes."""
    source = iter(items)
    waiting: deque[tuple[Any, T]] = deque()
    ready: deque[tuple[Any, T]] = deque()
    try:
        while True:
            for item in islice(source, limit - len(waiting) - len(ready)):
                waiting.append((pool.submit(item), item))
            if not ready:
                if not waiting:
                    return
                if ordered:
                    pool.wait_any([waiting[0][0]])
                    ready.append(waiting.popleft())
                else:
                    done = pool.wait_any([future for future, _ in waiting])
                    ready.extend(pair for pair in waiting if pair[0] in done)
                    waiting = deque(pair for pair in waiting if pair[0] not in done)
            future, item = ready.popleft()
            yield _collect(pool, future, item, [other for other, _ in waiting])
    finally:
        for future, _ in waiting:
            future.cancel()


def _collect(pool: Pool, future: Any, item: T, others: list[Any]) -> Outcome[T, Any]:
    """Outcome held by a future; that of a process that died is sought again, with nothing beside it."""
    last_words = ""
    for attempt in range(1 + _ALONE):
        if attempt:
            while pending := [other for other in others if not other.done()]:
                pool.wait_any(pending)
            future = pool.submit(item)
            pool.wait_any([future])
        try:
            return pool.result(future)
        except WorkerDiedError as error:
            last_words = str(error)
        except GeosegError:  # not of this chunk
            raise
        except Exception as error:
            return Outcome(item=item, error=unexpected(error), detail=traceback.format_exc())
    return Outcome(item=item, error=_deadly(last_words), detail=last_words or None)


def _deadly(last_words: str) -> GeosegError:
    how = last_words.partition("\n")[0]
    return GeosegError(
        f"{1 + _ALONE} worker processes died on this chunk, {_ALONE} of them with no other chunk beside it",
        why=f"{f'the last was {how}; ' if how else ''}"
        "the system kills a process that takes too much memory; a damaged file can crash a decoder",
        hint="fewer `workers` or smaller chunks, if it is the memory",
    )
