"""Opening and closing of classes in a map of many classes (Serra 1982), with a square window.

Both rest on one question: does a pixel lie in some window that holds a single value? The parts of a class
that do not are narrower than the window. Opening a class takes them from it; closing a class takes the parts
of everything else that are narrower, and gives them to it. All is decided on the map as it came, so the order
of the classes cannot matter. Nodata, and what lies outside the map, is unknown: it takes nothing from anybody
and never changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel
from geoseg.legend import NODATA

Sides = tuple[tuple[int, int], ...]
"""(class number, side of its window, odd), each class once."""


def opened(classes: NDArray[np.uint8], sides: Sides) -> NDArray[np.uint8]:
    """Classes (h, w) without the parts of the given ones that are narrower than their windows.

    A pixel that is taken away goes to the class that occurs most in the window around it, its own and other
    pixels taken away not counted; of equals the lowest number. Where there is none it stays.
    """
    radius = np.zeros(256, np.int64)
    taken = np.zeros(classes.shape, np.bool_)
    for side in sorted({side for _, side in sides}):
        chosen = np.zeros(256, np.bool_)
        chosen[[c for c, s in sides if s == side]] = True
        radius[chosen] = side // 2
        taken |= chosen[classes] & ~_fits(classes, side)
    return _given_away(np.ascontiguousarray(classes), taken, radius)  # type: ignore[no-any-return]


def closed(classes: NDArray[np.uint8], sides: Sides) -> NDArray[np.uint8]:
    """Classes (h, w) with the given ones spread over what is narrower than their windows between them.

    The given classes take nothing from each other. A pixel that several claim goes to the one that occurs
    most in the largest of the windows around it; of equals to the lowest number.
    """
    free = np.ones(256, np.bool_)
    free[[NODATA, *(c for c, _ in sides)]] = False
    radius = max((side // 2 for _, side in sides), default=0)
    classes = np.ascontiguousarray(classes)
    out, most = classes.copy(), np.zeros(classes.shape, np.int32)
    for class_id, side in sorted(sides):
        rest = np.ones(256, np.uint8)
        rest[class_id], rest[NODATA] = 0, NODATA
        claimed = np.ascontiguousarray(free[classes] & ~_fits(rest[classes], side))
        _claim(classes, claimed, class_id, radius, out, most)
    return out


def _fits(values: NDArray[np.uint8], side: int) -> NDArray[np.bool_]:
    """Whether each pixel lies in a window of side x side that holds one value only, nodata apart."""
    # windows may reach beyond the map, over the unknown
    around = np.pad(values, side - 1, constant_values=NODATA)
    low = _running(np.minimum, around, side)
    # one more wraps nodata round to the least of all, and makes both equal where there is nothing else
    high = _running(np.maximum, around + np.uint8(1), side)
    return _running(np.logical_or, high == low + np.uint8(1), side)


def _running(combine: Callable[..., NDArray[np.generic]], values: NDArray[np.generic], side: int) -> NDArray:  # type: ignore[type-arg]
    """Values (h - side + 1, w - side + 1) combined over every square window, by doubling along each axis."""
    for _ in range(2):
        span = 1
        while span < side:
            step = min(span, side - span)
            values = combine(values[:-step], values[step:])
            span += step
        values = values.T
    return values


@kernel("u1[:,:], b1[:,:], i8[:]")
def _given_away(classes, taken, radius):  # type: ignore[no-untyped-def]
    height, width = classes.shape
    out = classes.copy()
    votes = np.zeros(256, np.int64)
    for r in range(height):
        for c in range(width):
            if not taken[r, c]:
                continue
            own = classes[r, c]
            k = radius[own]
            votes[:] = 0
            for i in range(max(r - k, 0), min(r + k + 1, height)):
                for j in range(max(c - k, 0), min(c + k + 1, width)):
                    if not taken[i, j]:
                        votes[classes[i, j]] += 1
            votes[own], votes[NODATA] = 0, 0
            best = np.argmax(votes)
            if votes[best] > 0:
                out[r, c] = best
    return out


@kernel("u1[:,:], b1[:,:], i8, i8, u1[:,:], i4[:,:]")
def _claim(classes, claimed, class_id, radius, out, most):  # type: ignore[no-untyped-def]
    height, width = classes.shape
    for r in range(height):
        for c in range(width):
            if not claimed[r, c]:
                continue
            count = 0
            for i in range(max(r - radius, 0), min(r + radius + 1, height)):
                for j in range(max(c - radius, 0), min(c + radius + 1, width)):
                    count += classes[i, j] == class_id
            if count > most[r, c]:
                out[r, c], most[r, c] = class_id, count
