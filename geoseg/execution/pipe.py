"""What goes through the pipes between a driver and its worker processes, and is read from nowhere else."""

from __future__ import annotations

import pickle
from typing import IO, Any


def packed(value: Any) -> bytes:
    """Message that holds a value."""
    return pickle.dumps(value)


def receive(pipe: IO[bytes]) -> Any:
    """Value of the next message; EOFError where the other end is gone, also in the middle of one.

    A message is code: pipes are opened by `geoseg.execution.processes` alone, with a child of its own.
    """
    try:
        return pickle.load(pipe)  # noqa: S301
    except pickle.UnpicklingError as error:
        raise EOFError(str(error)) from None
