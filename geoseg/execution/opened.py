"""Values that are opened where they are used: what travels to a worker is the call that opens them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

_here: dict[str, Any] = {}
"""The value opened last in this process, by its key."""


class Opened(Generic[T]):
    """A value that any process can open for itself, once for all of a run's chunks.

    Parameters
    ----------
    value
        The value, where it is open already.
    call, argument
        Picklable function and its small argument that open an equal value elsewhere.
    """

    def __init__(self, value: T, call: Callable[[Any], T], argument: Any) -> None:
        self.value = value
        self._how = (uuid.uuid4().hex, call, argument)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as the call, never as the value."""
        return _open, self._how


def _open(key: str, call: Callable[[Any], T], argument: Any) -> Opened[T]:
    if key not in _here:
        _here.clear()  # of one run at a time: a value may be large
        _here[key] = Opened(call(argument), call, argument)
    return cast("Opened[T]", _here[key])
