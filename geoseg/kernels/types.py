"""Types of a kernel's arguments and results: numbers, arrays in C order, tuples of these.

Both sides of a call go by numba's calling convention: an array is passed as seven or more plain values, a
tuple as those of its items, and what comes back is written where the first argument points to.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = {
    "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
    "b1": ctypes.c_uint8, "f4": ctypes.c_float, "f8": ctypes.c_double,
}  # fmt: skip


class MismatchError(TypeError):
    """A value is not of the type that a kernel was compiled for."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number, by numpy's short name: ``i8``, ``f8``, ``b1``."""

    code: str

    @property
    def fields(self) -> tuple[Any, ...]:
        """C types that it is passed as."""
        return (_NUMBERS[self.code],)

    def put(self, value: Any, into: list[Any], _: list[NDArray[Any]]) -> None:
        """Append what is passed."""
        if isinstance(value, np.ndarray):
            raise MismatchError(f"an array for {self.code}")
        into.append(float(value) if self.code[0] == "f" else int(value))

    def __str__(self) -> str:
        return self.code


@dataclass(frozen=True, slots=True)
class Array:
    """A C-contiguous array; a record's dtype goes by the name that it has in the kernel's module."""

    code: str
    dtype: np.dtype[Any]
    ndim: int

    @property
    def fields(self) -> tuple[Any, ...]:
        """C types of owner, parent, count, item size, data, shape and strides."""
        word = ctypes.c_int64
        return (ctypes.c_void_p, ctypes.c_void_p, word, word, ctypes.c_void_p, *(word,) * (2 * self.ndim))

    def put(self, value: Any, into: list[Any], arrays: list[NDArray[Any]]) -> None:
        """Append what is passed; the caller keeps the memory."""
        if not (
            isinstance(value, np.ndarray)
            and value.dtype == self.dtype
            and value.ndim == self.ndim
            and value.flags.c_contiguous
        ):
            raise MismatchError(f"{_described(value)} for {self}")
        arrays.append(value)
        into += (None, None, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)

    def __str__(self) -> str:
        return f"{self.code}[{','.join(':' * self.ndim)}]"


@dataclass(frozen=True, slots=True)
class Tuple:
    """Several values as one."""

    items: tuple[Type, ...]

    @property
    def fields(self) -> tuple[Any, ...]:
        """C types of all items, in order."""
        return tuple(field for item in self.items for field in item.fields)

    def put(self, value: Any, into: list[Any], arrays: list[NDArray[Any]]) -> None:
        """Append what is passed."""
        if not isinstance(value, tuple) or len(value) != len(self.items):
            raise MismatchError(f"{_described(value)} for {self}")
        for item, part in zip(self.items, value, strict=True):
            item.put(part, into, arrays)

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))}{',' * (len(self.items) == 1)})"


Type = Number | Array | Tuple


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of {value.ndim} axes"
    return type(value).__name__


def parse_types(text: str, names: Mapping[str, Any]) -> Tuple:
    """Types of ``"u1[:,:], i8, (i8, f8[:])"``; a name that numpy does not know is a dtype in `names`."""
    tokens = re.findall(r"\w+(?:\[[:,]+\])?|[(),]", text)
    items, rest = _items(tokens, names)
    if rest:
        raise ValueError(f"cannot read {text!r}")
    return Tuple(items)


def _items(tokens: Sequence[str], names: Mapping[str, Any]) -> tuple[tuple[Type, ...], Sequence[str]]:
    items: list[Type] = []
    while tokens and tokens[0] != ")":
        first, *tokens = tokens
        if first == "(":
            inside, tokens = _items(tokens, names)
            items.append(Tuple(inside))
            tokens = tokens[1:]
        elif first != ",":
            items.append(_single(first, names))
    return tuple(items), tokens


def _single(text: str, names: Mapping[str, Any]) -> Number | Array:
    code, _, axes = text.partition("[")
    if not axes:
        return Number(code)
    dtype = np.dtype("?" if code == "b1" else code) if code in _NUMBERS else names[code]
    return Array(code, dtype, axes.count(":"))


@dataclass(frozen=True, slots=True)
class Results:
    """How what a kernel gives back is read: nothing, one value, or a tuple of values.

    `structure` makes the memory that the kernel writes it to.
    """

    kind: Type | None
    structure: Callable[[], ctypes.Structure]

    @classmethod
    def of(cls, kind: Type | None) -> Results:
        """How a value of that type is read."""
        kinds = (ctypes.c_void_p,) if kind is None else kind.fields
        fields = [(f"f{k}", field) for k, field in enumerate(kinds)]
        # once for all calls: to make the class takes longer than most kernels
        return cls(kind, type("Returned", (ctypes.Structure,), {"_fields_": fields}))

    def read(
        self, returned: ctypes.Structure, taken: list[NDArray[Any]], release: Callable[[int], None]
    ) -> Any:
        """Values out of the filled memory; arrays own theirs, or are among those `taken` by the kernel."""
        if self.kind is None:
            return None
        values = iter([getattr(returned, name) for name, _ in returned._fields_])  # type: ignore[misc]
        return _read(self.kind, values, taken, release)


def _read(kind: Type, values: Any, taken: list[NDArray[Any]], release: Callable[[int], None]) -> Any:
    if isinstance(kind, Tuple):
        return tuple(_read(item, values, taken, release) for item in kind.items)
    if isinstance(kind, Number):
        value = next(values)
        return bool(value) if kind.code == "b1" else value
    owner, _, count, size, data, *extents = (next(values) for _ in kind.fields)
    if owner is None:
        return next(array for array in taken if array.ctypes.data == data)
    memory = np.asarray(_Memory(owner, data, count * size, release))
    return memory.view(kind.dtype).reshape(extents[: kind.ndim])


class _Memory:
    """Memory that a kernel allocated; given back when the last array over it is gone."""

    __slots__ = ("__array_interface__", "_owner", "_release")

    def __init__(self, owner: int, data: int, size: int, release: Callable[[int], None]) -> None:
        self._owner, self._release = owner, release
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "data": (data, False), "shape": (size,)}

    def __del__(self) -> None:
        self._release(self._owner)
