"""Variables of a TensorFlow saved model or checkpoint: the index, a sorted table, and the data beside it.

Formats: LevelDB's table (footer, index block, data blocks with shared key prefixes, Snappy), TensorFlow's
``tensor_bundle.proto``. Neither file holds code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.foreign.protobuf import fields_of, inside, numbers, varint
from geoseg.models.foreign.snappy import decompress

INDEX, DATA = "variables.index", "variables.data-00000-of-00001"
"""Names of the two files in a saved model's folder ``variables``."""

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _TRAILER = 48, 5
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}  # DataType of types.proto
_TYPE, _SHAPE, _SHARD, _OFFSET, _SIZE = 1, 2, 3, 4, 5  # fields of an entry


def read_variables(index: bytes, data: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name of a bundle in one shard; what is no plain array of numbers is left out.

    Raises
    ------
    InputError
        No tensor bundle, a damaged one, or one of several shards.
    """
    try:
        return dict(_variables(memoryview(index), memoryview(data)))
    except (ValueError, struct.error, IndexError) as error:
        raise InputError("not the variables of a TensorFlow model", where=INDEX, why=str(error)) from None


def _variables(table: memoryview, stored: memoryview) -> Iterator[tuple[str, NDArray[Any]]]:
    for key, value in _entries(table):
        if not key:
            continue  # the header of the bundle
        entry = fields_of(value)
        kind, offset, size = (sum(numbers(entry.get(n, []))) for n in (_TYPE, _OFFSET, _SIZE))
        if kind not in _TYPES:
            continue
        if any(numbers(entry.get(_SHARD, []))) or offset + size > len(stored):
            raise ValueError(f"{key!r} lies outside the data file")
        dims = (d for shape in inside(entry.get(_SHAPE, [])) for d in inside(fields_of(shape).get(2, [])))
        shape = tuple(sum(numbers(fields_of(d).get(1, []))) for d in dims)
        yield key, np.frombuffer(stored[offset : offset + size], _TYPES[kind]).reshape(shape)


def _entries(table: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Keys and values of a table, in order."""
    footer = table[-_FOOTER:]
    if len(table) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("no footer of a table")
    at = 0
    for _ in range(2):  # of the meta index, which nothing uses, then of the index
        offset, at = varint(footer, at)
        size, at = varint(footer, at)
    for _, handle in _block(table, offset, size):
        start, after = varint(handle, 0)
        length, _ = varint(handle, after)
        for key, value in _block(table, start, length):
            yield key.decode(), value


def _block(table: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """Entries of a block; keys share a prefix with the one before."""
    if offset + size + _TRAILER > len(table):
        raise ValueError(f"a block ends at byte {offset + size}, the file at {len(table)}")
    block = table[offset : offset + size]
    if table[offset + size]:
        block = decompress(block)
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if at + own + length > end:
            raise ValueError("an entry runs over its block")
        key = key[:shared] + bytes(block[at : at + own])
        at += own
        yield key, block[at : at + length]
        at += length
