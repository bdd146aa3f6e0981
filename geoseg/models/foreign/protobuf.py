"""Protocol buffers read without their schema: the fields of a message, by number (the wire format)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_FIXED = {_EIGHT: 8, _FOUR: 4}

Fields = Mapping[int, list[int | memoryview]]


def fields_of(message: memoryview) -> Fields:
    """Values by field number in the order of the message: whole numbers, or bytes of anything else.

    Raises
    ------
    ValueError
        Not a message, or one that is cut off.
    """
    found: defaultdict[int, list[int | memoryview]] = defaultdict(list)
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        value: int | memoryview
        if kind == _VARINT:
            value, at = varint(message, at)
        else:
            size, at = varint(message, at) if kind == _BYTES else (_FIXED.get(kind, -1), at)
            if size < 0 or at + size > len(message):
                raise ValueError(f"no field of {size} bytes at byte {at}")
            value, at = message[at : at + size], at + size
        found[key >> 3].append(value)
    return found


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """(number, position after it) of a base-128 number; ValueError where it does not end."""
    number = 0
    for place, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError(f"no number at byte {at}")


def numbers(values: list[int | memoryview]) -> tuple[int, ...]:
    """Whole numbers of a repeated field, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            found.append(number)
    return tuple(found)


def inside(values: list[int | memoryview]) -> list[memoryview]:
    """Those values that are bytes: messages, text and arrays."""
    return [value for value in values if isinstance(value, memoryview)]
