"""Working ahead in a thread: order, bound, errors, and an end when the reader leaves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from geoseg.errors import InputError
from geoseg.execution.prefetch import prefetched


def test_items_in_order() -> None:
    with prefetched(range(100), 3) as items:
        assert list(items) == list(range(100))


def test_an_error_comes_where_its_item_would_have() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise InputError("bad block")

    with prefetched(source(), 3) as items:
        assert next(items) == 1
        with pytest.raises(InputError, match="bad block"):
            next(items)


def test_never_more_than_depth_ahead_and_closed_when_the_reader_leaves() -> None:
    taken, closed = [], threading.Event()

    def source() -> Iterator[int]:
        try:
            for i in range(1000):
                taken.append(i)
                yield i
        finally:
            closed.set()

    with prefetched(source(), 2) as items:
        assert next(items) == 0
        time.sleep(0.3)
        assert len(taken) <= 4
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "geoseg-ahead"]


_INTERRUPTED = """
import itertools, random, signal, time
from geoseg.execution.prefetch import prefetched

class Stop(BaseException):
    pass

def stop(*_):
    raise Stop

signal.signal(signal.SIGALRM, stop)
rng, end = random.Random(0), time.monotonic() + 20
while time.monotonic() < end:
    try:
        with prefetched(itertools.count(), 2) as items:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, 0.02))
            for _ in items:
                pass
    except Stop:
        pass
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_at_any_moment_ends_it() -> None:
    subprocess.run([sys.executable, "-c", _INTERRUPTED], check=True, timeout=120)
