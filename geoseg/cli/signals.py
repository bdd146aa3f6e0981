"""Ctrl-C and SIGTERM as exceptions of the main thread: files and workers are closed on the way out."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from threading import Timer
from types import FrameType

_MOMENT = 0.05  # seconds
_PATIENCE = 60.0  # seconds that closing may take


class Terminated(BaseException):
    """SIGTERM, raised in the main thread."""


_RAISED: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def listen() -> None:
    """Raise KeyboardInterrupt and `Terminated` from now on, where and when that is safe.

    An exception inside the machinery of import can leave its lock held, and no other thread imports anything
    any more; inside a callback from compiled code it is lost. There the signal is sent again a moment later.
    Whatever closing waits for, after a minute the process ends: the next run clears up what it left.
    """
    signal.signal(signal.SIGTERM, _raise)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else the caller has it ignored
        signal.signal(signal.SIGINT, _raise)
    sys.unraisablehook = _hear_again


def _raise(number: int, frame: FrameType | None) -> None:
    if _imports(frame):
        _later(_MOMENT, os.kill, os.getpid(), number)
        return
    _later(_PATIENCE, _leave, 128 + number)
    raise _RAISED[number]


def _leave(code: int) -> None:
    sys.stderr.write("geoseg: closing takes too long, nothing more is waited for. Run again, it clears up.\n")
    sys.stderr.flush()
    os._exit(code)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _hear_again(event: sys.UnraisableHookArgs) -> None:
    """Send a signal again that came where nothing can be raised, as in a callback from compiled code."""
    numbers = [number for number, raised in _RAISED.items() if event.exc_type is raised]
    if not numbers:
        sys.__unraisablehook__(event)
        return
    _later(_MOMENT, os.kill, os.getpid(), numbers[0])


def _later(seconds: float, call: Callable[..., object], *arguments: int) -> None:
    timer = Timer(seconds, call, arguments)
    timer.daemon = True
    timer.start()
