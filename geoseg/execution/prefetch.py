"""An iterator that works ahead in a thread of its own, a bounded number of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Generic, TypeVar

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
    shelf: _Shelf[T] = _Shelf()
    for _ in range(depth):
        shelf.places.put(None)
    thread = Thread(target=_fill, args=(source, shelf), name="geoseg-prefetch", daemon=True)
    thread.start()
    try:
        yield _drain(shelf)
    finally:
        shelf.closed.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Shelf(Generic[T]):
    """Items that wait for the reader, and free places for more.

    Both are simple queues: a `queue.Queue` is written in Python, and a signal that is raised inside of it can
    leave its lock held, or open; then the thread that fills it never ends.
    """

    items: SimpleQueue[tuple[T | None, BaseException | None]] = field(default_factory=SimpleQueue)
    places: SimpleQueue[None] = field(default_factory=SimpleQueue)
    closed: Event = field(default_factory=Event)

    def put(self, item: T | None, end: BaseException | None = None) -> bool:
        """Whether there was a place before the reader left."""
        while not self.closed.is_set():
            try:
                self.places.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
            self.items.put((item, end))
            return True
        return False


def _fill(source: Iterable[T], shelf: _Shelf[T]) -> None:
    items = iter(source)
    end: BaseException = StopIteration()
    try:
        for item in items:
            if not shelf.put(item):
                return
    except BaseException as error:
        end = error
    finally:
        if hasattr(items, "close"):
            items.close()
        shelf.put(None, end)


def _drain(shelf: _Shelf[T]) -> Iterator[T]:
    while True:
        try:
            item, end = shelf.items.get(timeout=_POLL_SECONDS)
        except Empty:  # lets a signal through
            continue
        shelf.places.put(None)
        if isinstance(end, StopIteration):
            return
        if end is not None:
            raise end
        yield item  # type: ignore[misc]
