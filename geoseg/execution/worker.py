"""What a worker process does: one task on one item after another, and a beat every second that it lives.

It reads messages from what was its standard input and writes them to what was its standard output: first the
task, then items; ``None`` for a beat, ``Answer`` for anything else. Whatever libraries print goes to standard
error. It ends when its driver does, however that ends.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable
from threading import Lock, Thread
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

from geoseg.execution.outcome import Outcome, unexpected
from geoseg.execution.pipe import end_of_pipe, packed

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

BEAT = 1.0  # seconds


class Answer(NamedTuple):
    """What the task gave, or in reply to the task itself None, or why there is neither."""

    value: Any = None
    fault: str | None = None


def serve() -> None:
    """Answer calls until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears it, and decides
    faulthandler.enable()
    calls, say = _channels()
    Thread(target=_beat, args=(say,), daemon=True).start()
    try:
        task: Callable[[Any], Any] = calls.recv()
    except Exception as error:
        say(packed(Answer(fault=f"{type(error).__name__}: {error}")))
        return
    say(packed(Answer()))
    while True:
        try:
            item = calls.recv()
        except (EOFError, OSError):  # the latter in the middle of a message
            return
        say(_answer(task, item))


def _answer(task: Callable[[Any], Any], item: Any) -> bytes:
    value = task(item)
    try:
        return packed(Answer(value=value))
    except Exception as error:  # a value that cannot travel
        return packed(Answer(value=Outcome(item=item, error=unexpected(error))))


def _channels() -> tuple[Connection[bytes, Any], Callable[[bytes], None]]:
    """Pipe of calls, and function that sends a message whole; both closed to all that tasks may do."""
    calls, answers = end_of_pipe(0, writes=False), end_of_pipe(1, writes=True)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    lock = Lock()

    def say(message: bytes) -> None:
        try:
            with lock:
                answers.send_bytes(message)
        except OSError:  # nobody listens any more
            os._exit(1)

    return calls, say


def _beat(say: Callable[[bytes], None]) -> None:
    message = packed(None)
    while True:
        say(message)
        sleep(BEAT)
