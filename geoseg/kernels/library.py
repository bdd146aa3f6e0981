"""Compiled kernels of one module, as `build` wrote them: LLVM bitcode, translated where it runs."""

from __future__ import annotations

import builtins
import ctypes
import json
import pickletools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.kernels.machine_code import engine_of
from geoseg.kernels.types import Results, Tuple, parse_types

FOLDER = Path(__file__).parent / "compiled"

RELEASE = "geoseg_release"
"""Function of every library that lets go of memory of any library."""

_RAISED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One function of a library.

    Attributes
    ----------
    digest
        Of the kernel's text, constants and callees when it was compiled.
    takes, gives
        Types of its arguments and of its result, in the words of `parse_types`.
    symbol
        Its name in the bitcode.
    """

    digest: str
    takes: str
    gives: str
    symbol: str


def library_path(module: str) -> Path:
    """File of a module's compiled kernels."""
    return FOLDER / f"{module.removeprefix('geoseg.')}.bc"


def write_library(module: str, entries: list[Entry], bitcode: bytes) -> None:
    """Write a module's file: a line of JSON, then the bitcode, packed."""
    head = [[e.digest, e.takes, e.gives, e.symbol] for e in entries]
    FOLDER.mkdir(exist_ok=True)
    library_path(module).write_bytes(json.dumps(head).encode() + b"\n" + zlib.compress(bitcode, 9))


class Library:
    """The compiled kernels of a module; translated for this processor when the first of them is called."""

    def __init__(self, module: str) -> None:
        path = library_path(module)
        head, _, self._packed = path.read_bytes().partition(b"\n") if path.exists() else (b"[]", b"", b"")
        self.entries = [
            Entry(digest=digest, takes=takes, gives=gives, symbol=symbol)
            for digest, takes, gives, symbol in json.loads(head)
        ]
        self._engine: Any = None

    def function(self, entry: Entry, names: Mapping[str, Any]) -> Function:
        """The function of an entry, ready to be called; `names` are the dtypes of records."""
        if self._engine is None:
            self._engine = engine_of(zlib.decompress(self._packed))
        takes, gives = parse_types(entry.takes, names), parse_types(entry.gives, names)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *takes.fields)
        return Function(
            call=prototype(self._engine.get_function_address(entry.symbol)),
            takes=takes,
            gives=Results.of(gives.items[0] if gives.items else None),
            release=ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._engine.get_function_address(RELEASE)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A compiled kernel; calls run without the interpreter's lock."""

    call: Callable[..., int]
    takes: Tuple
    gives: Results
    release: Callable[[int], None]

    def __call__(self, arguments: tuple[Any, ...]) -> Any:
        """What the kernel gives back, or the error that it raises."""
        passed: list[Any] = []
        taken: list[Any] = []
        self.takes.put(arguments, passed, taken)
        returned, error = self.gives.structure(), ctypes.c_void_p()
        status = self.call(ctypes.addressof(returned), ctypes.addressof(error), *passed)
        if status == _RAISED:
            raise _error(error)
        return self.gives.read(returned, taken, self.release)


def _error(at: ctypes.c_void_p) -> Exception:
    """The exception that a kernel raised.

    numba pickles its class and arguments into the code. They are read off the pickle, nothing of it is run.
    """
    words = ctypes.cast(at, ctypes.POINTER(ctypes.c_int64 * 2)).contents
    pickled = ctypes.string_at(words[0], words[1] & 0xFFFFFFFF)
    _, name, text, *_ = (
        argument for _, argument, _ in pickletools.genops(pickled) if isinstance(argument, str)
    )
    raised: Exception = getattr(builtins, name)(text)
    return raised
