"""Tasks that worker processes import."""

from __future__ import annotations

import os
import signal

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
