"""The libraries that write and run networks, as they are installed here."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def version_of(name: str) -> str:
    """Version of a distribution, ``none`` where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
