"""Snappy by hand-made blocks: every kind of element, and damage."""

from __future__ import annotations

import pytest

from geoseg.models.foreign.snappy import decompress


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"\x03\x08abc", b"abc"),
        (b"\x0a\x08abc\x0d\x03", b"abcabcabca"),  # 7 bytes from 3 before, over its own start
        (b"\x06\x08abc\x0a\x03\x00", b"abcabc"),
        (b"\x06\x08abc\x0b\x03\x00\x00\x00", b"abcabc"),
        (b"\x50\xf0\x4f" + b"x" * 80, b"x" * 80),  # the length of a long literal in a byte of its own
    ],
)
def test_literals_and_copies(block, expected):
    assert bytes(decompress(memoryview(block))) == expected


@pytest.mark.parametrize("block", [b"\x04\x08abc", b"\x06\x08abc\x0a\x04\x00", b"\xff\xff\xff\xff\x7f", b""])
def test_damage_is_told(block):
    with pytest.raises(ValueError, match="byte"):
        decompress(memoryview(block))
