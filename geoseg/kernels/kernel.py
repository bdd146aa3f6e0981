"""Functions that run compiled: from the package's own files where these are current, else by numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from threading import RLock
from types import CodeType
from typing import Any

import numpy as np

from geoseg.kernels.library import Function, Library
from geoseg.kernels.types import MismatchError

_loading = RLock()


def kernel(*takes: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorator of a function of numbers, arrays and tuples that is compiled ahead of time.

    Parameters
    ----------
    takes
        Types of the arguments in a call from Python, as in ``"u1[:,:], i8[:], (i8, f8)"``, once for each way
        in which it is called; none where only kernels call it.
    """
    return lambda function: Kernel(function, takes)


class Kernel:
    """A compiled function; it is called like the function it is made of.

    Arguments of other types than those it was compiled for, and a function that was changed since, are left
    to numba, which takes seconds on the first call and gives the same result.
    """

    def __init__(self, function: Callable[..., Any], takes: tuple[str, ...]) -> None:
        self.function, self.takes, self.name = function, takes, function.__name__
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives back."""
        for function in self._functions:
            try:
                return function(arguments)
            except MismatchError:
                continue
        return self.dispatcher(*arguments)

    @cached_property
    def _functions(self) -> list[Function]:
        with _loading:
            library, digest = _library(self.function.__module__), self.digest
            try:
                return [
                    library.function(entry, self.function.__globals__)
                    for entry in library.entries
                    if entry.symbol.rpartition("/")[0] == self.name
                    and entry.takes in self.takes
                    and digest in (entry.digest, "")
                ]
            except RuntimeError:  # llvmlite's word for bitcode that its LLVM is too old to read
                return []

    @cached_property
    def digest(self) -> str:
        """Digest of all that its compiled form follows from; empty where the source is not at hand."""
        code = self.function.__code__
        text = _text(code)
        if not text:
            return ""
        digest = hashlib.sha256(text.encode())
        for name in sorted(set(code.co_names)):
            value = self.function.__globals__.get(name)
            if isinstance(value, Kernel) and value is not self:
                digest.update(f"{name}:{value.digest}".encode())
            elif isinstance(value, int | float | tuple | np.generic | np.dtype):
                digest.update(f"{name}={value!r}".encode())
            elif isinstance(value, np.ndarray):
                digest.update(f"{name}={value.dtype}{value.tolist()}".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def dispatcher(self) -> Any:
        """The function as numba compiles it."""
        from numba import njit

        return njit(nogil=True, cache=True)(self.function)

    @property
    def _numba_type_(self) -> Any:
        """What numba takes it for where another function calls it."""
        from numba.core.types import Dispatcher

        return Dispatcher(self.dispatcher)


@cache
def _library(module: str) -> Library:
    return Library(module)


@cache
def _lines(path: str) -> list[str]:
    source = Path(path)
    return source.read_text(encoding="utf-8").splitlines() if source.exists() else []


def _text(code: CodeType) -> str:
    """Source of a function at the top of its module, from its ``def``."""
    lines = _lines(code.co_filename)[code.co_firstlineno - 1 :]
    begin = next((k for k, line in enumerate(lines) if line.startswith("def ")), len(lines))
    end = begin + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " )"):
        end += 1
    return "\n".join(lines[begin:end]).rstrip()
