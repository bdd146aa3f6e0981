"""What goes through the pipes between a driver and its worker processes: multiprocessing's own messages.

Such a message is code. Pipes are opened by `geoseg.execution.processes` alone, with a child of its own.
"""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any


def end_of_pipe(descriptor: int, *, writes: bool) -> Connection[bytes, Any]:
    """Connection over its own copy of a pipe's descriptor, closed to child processes."""
    return Connection(os.dup(descriptor), readable=not writes, writable=writes)


def packed(value: Any) -> bytes:
    """Message that holds a value, for ``send_bytes``; the other end's ``recv`` gives the value."""
    return bytes(ForkingPickler.dumps(value))
