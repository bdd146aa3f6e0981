"""Segments of two panoptic maps, counted by window: things by their ids, stuff as one for each class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.panoptic import Panoptic, Regions, panoptic
from geoseg.evaluation.inputs import Inputs
from geoseg.geometry import Window
from geoseg.legend import Legend

Table = NDArray[np.int64]
"""(3, n): segment of the reference, segment of the map, pixels of both; -1 for no segment. A segment is
``position of its class << 32 | id``, with id 0 for stuff."""

_ID_BITS = 32
_MOST = 1 << 20


def count_segments(
    inputs: Inputs, window: Window, truth: NDArray[np.uint8], mapped: NDArray[np.uint8]
) -> Table | None:
    """Pairs of segments in a window; None without rasters of ids."""
    if inputs.instances is None:
        return None
    sides = [
        _segments(labels, scene.read(window), inputs.legend)
        for labels, scene in zip((truth, mapped), inputs.instances, strict=True)
    ]
    return _summed(np.stack([*sides, np.ones(len(sides[0]), np.int64)]))


class SegmentTable:
    """Pairs of segments of all windows; memory follows the number of pairs."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._parts: list[Table] = [np.zeros((3, 0), np.int64)]
        self._held = 0

    def add(self, table: Table) -> None:
        """Count those of a window."""
        self._parts.append(table)
        self._held += table.shape[1]
        if self._held > _MOST:
            self._parts = [_summed(np.concatenate(self._parts, axis=1))]
            self._held = 0

    def matched(self) -> Panoptic:
        """Matches of segments, with void.

        A class is one of things where any of its segments has an id. What has none there is void in the
        reference, and nothing in the map.
        """
        one, other, pixels = _summed(np.concatenate(self._parts, axis=1))
        both = np.concatenate([one, other])
        things = np.unique(both[(both >= 0) & (both % (1 << _ID_BITS) != 0)] >> _ID_BITS)
        for side in (one, other):
            side[np.isin(side, things << _ID_BITS)] = -1
        (reference, one_at), (mapped, other_at) = (_regions(side, pixels) for side in (one, other))
        void = np.zeros_like(mapped.size)
        np.add.at(void, other_at[(one < 0) & (other >= 0)], pixels[(one < 0) & (other >= 0)])
        pairs = (one >= 0) & (other >= 0)
        table = _summed(np.stack([one_at[pairs], other_at[pairs], pixels[pairs]]))
        found = panoptic(reference, mapped, (table[0], table[1]), table[2], self._classes, void)
        return replace(found, things=np.isin(np.arange(self._classes), things))


def _segments(
    labels: NDArray[np.uint8], read: tuple[NDArray[np.int64], NDArray[np.bool_]], legend: Legend
) -> Table:
    """(pixels,) segment of each."""
    (ids,), valid = read
    numbers = np.where(valid & (ids > 0), ids, 0).astype(np.int64)
    place = legend.index_of()[labels].astype(np.int64)
    return np.where(place >= 0, (place << _ID_BITS) | (numbers & ((1 << _ID_BITS) - 1)), -1).ravel()


def _summed(table: Table) -> Table:
    """Every pair once, in order."""
    order = np.lexsort((table[1], table[0]))
    one, other, pixels = table[:, order]
    if not len(one):
        return table
    first = np.flatnonzero(np.r_[True, (np.diff(one) != 0) | (np.diff(other) != 0)])
    return np.stack([one[first], other[first], np.add.reduceat(pixels, first)])


def _regions(segments: NDArray[np.int64], pixels: NDArray[np.int64]) -> tuple[Regions, NDArray[np.int64]]:
    """(segments with their sizes and classes, place of each pair's segment among them; of none, any)."""
    there = segments >= 0
    names, place = np.unique(segments[there], return_inverse=True)
    size = np.zeros(len(names), np.int64)
    np.add.at(size, place, pixels[there])
    at = np.zeros(len(segments), np.int64)
    at[there] = place
    return Regions(size=size, position=names >> _ID_BITS), at
