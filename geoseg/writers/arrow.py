"""Columns of Arrow from numpy and back, by their buffers, without a copy.

pyarrow's own ways, `pa.array` and `to_numpy`, import pandas first, which takes longer than all the polygons
of a small map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], known: NDArray[np.bool_] | None = None) -> pa.Array:
    """Column of integers or reals, null where they are not `known`."""
    values = np.ascontiguousarray(values)
    bits = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(values)])


def texts(words: Sequence[str], which: NDArray[np.integer]) -> pa.Array:
    """Column of ``words[k]`` for every k of `which`."""
    encoded = [word.encode() for word in words]
    rows = [encoded[k] for k in which.tolist()]
    ends = np.fromiter(accumulate(map(len, rows), initial=0), np.int32, len(rows) + 1)
    return pa.Array.from_buffers(
        pa.string(), len(rows), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(rows))]
    )


def to_numpy(column: pa.Array) -> NDArray[Any]:
    """(n,) integers or reals of a column; what stands at a null is anything."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    data = column.buffers()[1]
    if data is None:
        return np.zeros(len(column), dtype)
    return np.frombuffer(data, dtype, len(column), column.offset * dtype.itemsize)


def is_null(column: pa.Array) -> NDArray[np.bool_]:
    """(n,) True where a column has no value."""
    bits = column.buffers()[0]
    if bits is None:
        return np.zeros(len(column), bool)
    every = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    found: NDArray[np.bool_] = every[column.offset : column.offset + len(column)] == 0
    return found
