"""Tasks that worker processes import."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from importlib import import_module

from geoseg.errors import InputError


def square(x: int) -> int:
    return x * x


def picky(x: int) -> int:
    if x == 3:
        raise InputError("unlucky", where="chunk 3", why="found 3", hint="4")
    if x == 5:
        raise ZeroDivisionError("nobody foresaw this")
    return x


def deadly(x: int) -> int:
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def environment(_: int) -> tuple[int, str, str]:
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), os.environ.get("OMP_NUM_THREADS", "")


def unhurried(x: int) -> int:
    time.sleep(0.05)
    return x


def endless(_: int) -> None:
    time.sleep(600)


def crashing(x: int) -> int:
    """Item 13 crashes as compiled code does, 57 leaves without a word, 71 is killed."""
    if x == 13:
        faulthandler._sigsegv()
    if x == 57:
        os._exit(3)
    if x == 71:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return x


class Homeless:
    """A task that only this process can open: elsewhere its module is not installed."""

    def __call__(self, x: int) -> int:
        return x

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return import_module, ("no_such_library",)
