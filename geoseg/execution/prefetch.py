"""An iterator that works ahead in a thread of its own, a bounded number of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


@contextmanager
def prefetched(source: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Items of `source`, taken from it in a thread while the caller uses the ones before.

    An error in the source is raised where its item would have come. Leaving the block stops the thread and
    closes the source.

    Parameters
    ----------
    source
        Used by that thread alone.
    depth
        Most items taken and not yet handed on.
    """
    queue: Queue[tuple[T | None, BaseException | None]] = Queue(depth)
    stop = Event()
    thread = Thread(target=_fill, args=(source, queue, stop), name="geoseg-prefetch", daemon=True)
    thread.start()
    try:
        yield _drain(queue)
    finally:
        stop.set()
        thread.join()


def _fill(source: Iterable[T], queue: Queue[tuple[T | None, BaseException | None]], stop: Event) -> None:
    items = iter(source)
    end: BaseException = StopIteration()
    try:
        for item in items:
            if not _put(queue, (item, None), stop):
                return
    except BaseException as error:
        end = error
    finally:
        if hasattr(items, "close"):
            items.close()
        _put(queue, (None, end), stop)


def _put(
    queue: Queue[tuple[T | None, BaseException | None]],
    item: tuple[T | None, BaseException | None],
    stop: Event,
) -> bool:
    """Whether the item found room before the reader left."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False


def _drain(queue: Queue[tuple[T | None, BaseException | None]]) -> Iterator[T]:
    while True:
        try:
            item, end = queue.get(timeout=_POLL_SECONDS)
        except Empty:  # lets a signal through
            continue
        if isinstance(end, StopIteration):
            return
        if end is not None:
            raise end
        yield item  # type: ignore[misc]
