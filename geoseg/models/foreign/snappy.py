"""Snappy, the compression of the blocks of a table: literals and copies of what came before."""

from __future__ import annotations

from geoseg.models.foreign.protobuf import varint

_LITERAL, _SHORT = 0, 1
_LONG_LITERAL = 60
_MOST = 2**26


def decompress(block: memoryview) -> memoryview:
    """What a block holds; ValueError for one that is damaged, or of more than 64 MiB."""
    expected, at = varint(block, 0)
    if expected > _MOST:
        raise ValueError(f"a block of {expected} bytes")
    out = bytearray()
    while at < len(block) and len(out) <= expected:
        tag, at = block[at], at + 1
        kind, length = tag & 3, tag >> 2
        if kind == _LITERAL:
            if length >= _LONG_LITERAL:
                more = length - _LONG_LITERAL + 1
                length, at = int.from_bytes(block[at : at + more], "little"), at + more
            out += block[at : at + length + 1]
            at += length + 1
            continue
        if kind == _SHORT:
            length, back, at = (length & 7) + 4, (tag >> 5) << 8 | block[at], at + 1
        else:
            size = 2 if kind == 2 else 4
            length, back, at = length + 1, int.from_bytes(block[at : at + size], "little"), at + size
        if not 0 < back <= len(out):
            raise ValueError(f"a copy from {back} bytes before byte {len(out)}")
        start = len(out) - back
        out += bytes(out[start + i % back] for i in range(length))  # it may run into what it makes
    if len(out) != expected:
        raise ValueError(f"{len(out)} bytes in a block, expected {expected}")
    return memoryview(out)
