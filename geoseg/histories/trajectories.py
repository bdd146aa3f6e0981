"""Trajectories: the classes of a pixel at all dates, counted exactly however many there are.

A chunk keeps its own in order; all of them are merged range by range, so that memory does not follow their
number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel

_MOST_AT_ONCE = 1 << 20
_SAMPLES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """Distinct trajectories, in order of their keys.

    Attributes
    ----------
    keys
        (m, W) uint64: the classes packed, the first date highest.
    pixels, units
        (m,) int64: how many pixels went through it, and their area.
    """

    keys: NDArray[np.uint64]
    pixels: NDArray[np.int64]
    units: NDArray[np.int64]


def bits_of(classes: int) -> int:
    """Bits that a class, or none, takes in a key."""
    return max(int(classes).bit_length(), 1)


@kernel("u1[:,:], i8")
def pack(classes, bits):  # type: ignore[no-untyped-def]
    """Keys (n, W) uint64 of positions (T, n) uint8; dates fill whole words, the last word from the top."""
    dates, n = classes.shape
    each = 64 // bits
    words = (dates + each - 1) // each
    keys = np.zeros((n, words), np.uint64)
    for t in range(dates):
        word, shift = t // each, np.uint64(64 - bits * (t % each + 1))
        for i in range(n):
            keys[i, word] |= np.uint64(classes[t, i]) << shift
    return keys


def unpack(keys: NDArray[np.uint64], dates: int, bits: int) -> NDArray[np.uint8]:
    """Positions (T, n) uint8 of keys."""
    each = 64 // bits
    out = np.empty((dates, len(keys)), np.uint8)
    mask = np.uint64((1 << bits) - 1)
    for t in range(dates):
        out[t] = (keys[:, t // each] >> np.uint64(64 - bits * (t % each + 1))) & mask
    return out


@kernel("u8[:,:]")
def distinct(keys):  # type: ignore[no-untyped-def]
    """(number of each row's distinct key (n,) int64, first row of each distinct key), by hashing."""
    n, words = keys.shape
    size = 1024
    while size < 2 * n:
        size *= 2
    slots = np.full(size, -1, np.int64)
    number, firsts = np.empty(n, np.int64), np.empty(n, np.int64)
    count = 0
    for i in range(n):
        h = np.uint64(1469598103934665603)
        for w in range(words):
            h = (h ^ keys[i, w]) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        at = np.int64(h & np.uint64(size - 1))
        while True:
            k = slots[at]
            if k < 0:
                slots[at] = count
                firsts[count] = i
                number[i] = count
                count += 1
                break
            equal = True
            for w in range(words):
                if keys[firsts[k], w] != keys[i, w]:
                    equal = False
                    break
            if equal:
                number[i] = k
                break
            at = (at + 1) & (size - 1)
    return number, firsts[:count].copy()


def counted(keys: NDArray[np.uint64], pixels: NDArray[np.int64], units: NDArray[np.int64]) -> Trajectories:
    """Trajectories of rows that may be equal: summed, and in order."""
    if not len(keys):
        return Trajectories(keys=keys, pixels=pixels, units=units)
    order = np.lexsort(keys.T[::-1])
    keys, pixels, units = keys[order], pixels[order], units[order]
    begins = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    return Trajectories(
        keys=keys[begins], pixels=np.add.reduceat(pixels, begins), units=np.add.reduceat(units, begins)
    )


def most_common(parts: Sequence[Trajectories], top: int) -> tuple[Trajectories, int]:
    """(the `top` trajectories with most area, the largest first, and the number of distinct ones).

    `parts` may be arrays on disk: they are read range by range, each about `_MOST_AT_ONCE` rows in all.
    """
    best: Trajectories | None = None
    number = 0
    for found in _merged(parts):
        number += len(found.keys)
        if best is not None:
            found = counted(  # noqa: PLW2901 (the best so far are candidates again)
                *(np.concatenate([getattr(best, n), getattr(found, n)]) for n in ("keys", "pixels", "units"))
            )
        order = np.lexsort((*found.keys.T[::-1], -found.pixels, -found.units))[:top]
        best = Trajectories(keys=found.keys[order], pixels=found.pixels[order], units=found.units[order])
    assert best is not None
    return best, number


def _merged(parts: Sequence[Trajectories]) -> Iterator[Trajectories]:
    """All distinct trajectories of parts, in ranges of their first word."""
    rows = sum(len(part.keys) for part in parts)
    firsts = [part.keys[:, 0] for part in parts]
    ranges = max(-(-rows // _MOST_AT_ONCE), 1)
    limits = np.zeros(0, np.uint64)
    if ranges > 1:
        step = max(rows // (ranges * _SAMPLES), 1)
        sample = np.sort(np.concatenate([np.asarray(first[::step]) for first in firsts]))
        limits = np.unique(sample[(np.arange(1, ranges) * len(sample)) // ranges])
    cuts = [
        np.concatenate([[0], np.searchsorted(first, limits, "left"), [len(first)]]).astype(np.int64)
        for first in firsts
    ]
    for k in range(len(limits) + 1):
        pieces = [(part, slice(cut[k], cut[k + 1])) for part, cut in zip(parts, cuts, strict=True)]
        yield counted(
            *(
                np.concatenate([np.asarray(getattr(part, name)[rows]) for part, rows in pieces])
                for name in ("keys", "pixels", "units")
            )
        )
