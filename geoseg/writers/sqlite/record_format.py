"""Rows in SQLite's record format (sqlite.org/fileformat2.html, 2.1), whole columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.writers.arrow import is_null, to_numpy

INTEGER, REAL, TEXT, BLOB = 0, 1, 2, 3
NULL_SIZE = -1

_NO_BYTES = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Values of one column.

    Attributes
    ----------
    kind
        INTEGER, REAL, TEXT or BLOB.
    values
        (n,) int64: the integers, the bits of the reals, or where a text or blob begins in `heap`.
    sizes
        (n,) int64: bytes of a text or blob; NULL_SIZE makes any value NULL.
    heap
        UTF-8 or bytes.
    """

    kind: int
    values: NDArray[np.int64]
    sizes: NDArray[np.int64]
    heap: NDArray[np.uint8]

    @classmethod
    def of_integers(cls, values: NDArray[np.int64]) -> Column:
        """Column of integers."""
        return cls(kind=INTEGER, values=values, sizes=np.zeros(len(values), np.int64), heap=_NO_BYTES)

    @classmethod
    def of_nulls(cls, count: int) -> Column:
        """Column of NULL alone: what a record holds in the place of the rowid."""
        nothing = np.full(count, NULL_SIZE, np.int64)
        return cls(kind=INTEGER, values=nothing, sizes=nothing, heap=_NO_BYTES)

    @classmethod
    def of_arrow(cls, array: pa.Array) -> Column:
        """Column of an Arrow array of integers, floats, text or bytes, without a copy of the texts."""
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
            kind = INTEGER if pa.types.is_integer(array.type) else REAL
            wide = np.int64 if kind == INTEGER else np.float64
            values: NDArray[Any] = to_numpy(array).astype(wide).view(np.int64)
            sizes, heap = np.zeros(len(array), np.int64), _NO_BYTES
        else:
            is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
            is_text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
            kind = TEXT if is_text else BLOB
            _, offsets, data = array.buffers()
            ends = np.frombuffer(offsets, np.int64 if is_large else np.int32)
            ends = ends[array.offset : array.offset + len(array) + 1].astype(np.int64)
            values, sizes = ends[:-1], np.diff(ends)
            heap = _NO_BYTES if data is None else np.frombuffer(data, np.uint8)
        if array.null_count:
            sizes[is_null(array)] = NULL_SIZE
        return cls(kind=kind, values=values, sizes=sizes, heap=heap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Encoded rows.

    Attributes
    ----------
    data
        (bytes,) uint8, one record after the other.
    offsets
        (rows + 1,) int64 into `data`.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]


def records(columns: Sequence[Column], *, prefix: NDArray[np.uint8] | None = None) -> Records:
    """Records of rows, each with the columns in this order; at most one of them may be of blobs.

    Parameters
    ----------
    columns
        Of equal length.
    prefix
        (n, p) uint8: bytes put before each row's blob.
    """
    count = len(columns[0].values)
    prefix = np.zeros((count, 0), np.uint8) if prefix is None else prefix
    blobs = [column.heap for column in columns if column.kind == BLOB]
    texts, values, base = [], [], 0
    for column in columns:
        is_text = column.kind == TEXT
        values.append(column.values + base if is_text else column.values)
        if is_text:
            texts.append(column.heap)
            base += len(column.heap)
    data, offsets = _encode(
        np.array([column.kind for column in columns]),
        np.stack(values, axis=1),
        np.stack([column.sizes for column in columns], axis=1),
        np.concatenate(texts) if texts else _NO_BYTES,
        prefix,
        blobs[0] if blobs else _NO_BYTES,
    )
    return Records(data=data, offsets=offsets)


@kernel("i8[:], i8[:,:], i8[:,:], u1[:], u1[:,:], u1[:]")
def _encode(kinds, values, sizes, texts, prefix, blobs):  # type: ignore[no-untyped-def]
    rows, columns = values.shape
    before = prefix.shape[1]
    offsets = np.empty(rows + 1, np.int64)
    headers = np.empty(rows, np.int64)
    offsets[0] = 0
    for i in range(rows):
        header, body = 1, 0
        for j in range(columns):
            serial = _serial_type(kinds[j], values[i, j], sizes[i, j], before)
            header += varint_size(serial)
            body += _body_size(serial)
        header += header > 127
        headers[i] = header
        offsets[i + 1] = offsets[i] + header + body
    out = np.empty(offsets[rows], np.uint8)
    for i in range(rows):
        at = put_varint(out, offsets[i], headers[i])
        body = offsets[i] + headers[i]
        for j in range(columns):
            kind, value, size = kinds[j], values[i, j], sizes[i, j]
            serial = _serial_type(kind, value, size, before)
            at = put_varint(out, at, serial)
            if serial <= 9:
                for k in range(_body_size(serial) - 1, -1, -1):
                    out[body] = (value >> (8 * k)) & 0xFF
                    body += 1
                continue
            if kind == TEXT:
                for k in range(size):
                    out[body + k] = texts[value + k]
            else:
                for k in range(before):
                    out[body + k] = prefix[i, k]
                body += before
                for k in range(size):
                    out[body + k] = blobs[value + k]
            body += size
    return out, offsets


@kernel()
def _serial_type(kind, value, size, before):  # type: ignore[no-untyped-def]
    """Type and length of a value, in one number (fileformat2, 2.1)."""
    if size < 0:
        return np.int64(0)
    if kind == TEXT:
        return np.int64(13 + 2 * size)
    if kind == BLOB:
        return np.int64(12 + 2 * (size + before))
    if kind == REAL:
        return np.int64(7)
    if 0 <= value <= 1:
        return np.int64(8 + value)
    magnitude = value if value >= 0 else -1 - value
    serial = 1
    for bits in (7, 15, 23, 31, 47):
        if magnitude >> bits == 0:
            return np.int64(serial)
        serial += 1
    return np.int64(6)


@kernel()
def _body_size(serial):  # type: ignore[no-untyped-def]
    if serial >= 12:
        return (serial - 12) // 2
    if serial >= 8:
        return np.int64(0)
    if serial <= 4:
        return np.int64(serial)
    return np.int64(6 if serial == 5 else 8)


@kernel()
def varint_size(value):  # type: ignore[no-untyped-def]
    """Bytes of a number from 0 to 2**56 - 1 as a varint."""
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@kernel()
def put_varint(out, at, value):  # type: ignore[no-untyped-def]
    """Place after a varint, written at `at`: seven bits a byte, high ones first; the last has no top bit."""
    size = varint_size(value)
    for k in range(size):
        out[at + k] = ((value >> (7 * (size - 1 - k))) & 0x7F) | (0x80 if k < size - 1 else 0)
    return at + size
