"""Confusion matrices: counts of (reference class, map class) pairs that add up over chunks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.kernels import kernel
from geoseg.legend import NODATA, Legend


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfusionMatrix:
    """Counts of pixels (or of reference points) by reference class and map class; additive over chunks.

    Attributes
    ----------
    legend
        The map's classes; rows and columns are in its order.
    counts
        (K, K) int64, rows reference, columns map.
    unmapped
        (K,) int64: the reference has this class, the map has nodata there. Never in `counts`.
    unreferenced
        The map has a class, the reference has none or is ignored there. Not scored.
    empty
        Neither has a class. Not scored.
    """

    legend: Legend
    counts: NDArray[np.int64]
    unmapped: NDArray[np.int64]
    unreferenced: int = 0
    empty: int = 0

    def __post_init__(self) -> None:
        k = len(self.legend)
        if self.counts.shape != (k, k) or self.unmapped.shape != (k,):
            raise ValueError(f"{k} classes, but counts {self.counts.shape}, unmapped {self.unmapped.shape}")
        self.counts.setflags(write=False)
        self.unmapped.setflags(write=False)

    @classmethod
    def zero(cls, legend: Legend) -> ConfusionMatrix:
        """Matrix without a single count: the neutral element of ``+``."""
        k = len(legend)
        return cls(legend=legend, counts=np.zeros((k, k), np.int64), unmapped=np.zeros(k, np.int64))

    @classmethod
    def sum(cls, matrices: Iterable[ConfusionMatrix], legend: Legend) -> ConfusionMatrix:
        """Sum of any number of matrices; zero for none. Integer, so the order does not matter."""
        total = cls.zero(legend)
        for matrix in matrices:
            total = total + matrix
        return total

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if self.legend != other.legend:
            raise ValueError(f"matrices of different legends: {self.legend.names} and {other.legend.names}")
        return ConfusionMatrix(
            legend=self.legend,
            counts=self.counts + other.counts,
            unmapped=self.unmapped + other.unmapped,
            unreferenced=self.unreferenced + other.unreferenced,
            empty=self.empty + other.empty,
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ConfusionMatrix)
            and self.legend == other.legend
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.unmapped, other.unmapped)
            and (self.unreferenced, self.empty) == (other.unreferenced, other.empty)
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def scored(self) -> int:
        """Pairs in `counts`."""
        return int(self.counts.sum())

    @property
    def total(self) -> int:
        """Every pair looked at, scored or not."""
        return self.scored + int(self.unmapped.sum()) + self.unreferenced + self.empty

    def with_unmapped_as_wrong(self) -> NDArray[np.int64]:
        """Counts (K, K + 1): one more column for reference pixels on which the map says nothing."""
        return np.column_stack([self.counts, self.unmapped])


def count(reference: NDArray[np.uint8], mapped: NDArray[np.uint8], legend: Legend) -> ConfusionMatrix:
    """Confusion matrix of two label arrays.

    Parameters
    ----------
    reference, mapped
        uint8 class ids of the same shape; 255 is nodata (or ignored) in either.
    legend
        Classes of both.

    Raises
    ------
    InputError
        A value that is neither 255 nor in the legend, with the values found.
    """
    if reference.shape != mapped.shape:
        raise ValueError(f"reference {reference.shape} and map {mapped.shape} differ in shape")
    if reference.dtype != np.uint8 or mapped.dtype != np.uint8:
        raise ValueError(f"labels must be uint8, found {reference.dtype} and {mapped.dtype}")
    k = len(legend)
    position = positions(legend)
    table = joint_counts(reference.ravel(), mapped.ravel(), position, position, k + 2)
    for array, strays, what in ((reference, table[k + 1], "reference"), (mapped, table[:, k + 1], "map")):
        if strays.any():
            raise unknown_labels(array, legend, what)
    return ConfusionMatrix(
        legend=legend,
        counts=table[:k, :k].copy(),
        unmapped=table[:k, k].copy(),
        unreferenced=int(table[k, :k].sum()),
        empty=int(table[k, k]),
    )


def confusion(reference: NDArray[np.uint8], mapped: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Counts (K, K), rows reference and columns map, of positions below K; 255 in either is left out."""
    position = np.arange(256).clip(max=classes)
    table = joint_counts(reference.ravel(), mapped.ravel(), position, position, classes + 1)
    counts: NDArray[np.int64] = table[:classes, :classes].copy()
    return counts


def positions(legend: Legend) -> NDArray[np.int64]:
    """Lookup table (256,) from label to position in the legend; K for nodata, K + 1 for a stray label."""
    k = len(legend)
    table = legend.index_of().astype(np.int64)
    table[table < 0] = k + 1
    table[NODATA] = k
    return table


def unknown_labels(labels: NDArray[np.uint8], legend: Legend, what: str) -> InputError:
    """Error that names the labels of an array that are in no legend."""
    strays = sorted(set(np.unique(labels).tolist()) - set(legend.ids) - {NODATA})
    known = ", ".join(f"{c.id} {c.name}" for c in legend.classes)
    return InputError(
        f"the {what} holds class {', '.join(map(str, strays))}, which is not in the legend",
        why=f"classes are {known}",
        hint="a legend or `crosswalk` that names it",
    )


@kernel("u1[:], u1[:], i8[:], i8[:], i8")
def joint_counts(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    first_position: NDArray[np.int64],
    second_position: NDArray[np.int64],
    n: int,
) -> NDArray[np.int64]:
    """Joint histogram (n, n) int64 of two flat uint8 arrays, looked up in tables of 256 positions below n.

    Four histograms take turns, because neighbouring pixels are mostly equal and an increment that waits for
    the previous one of the same bin costs several cycles.
    """
    bins = np.zeros((4, n * n), np.int64)
    row = first_position * n
    col = second_position
    quads = first.size // 4 * 4
    for i in range(0, quads, 4):
        bins[0, row[first[i]] + col[second[i]]] += 1
        bins[1, row[first[i + 1]] + col[second[i + 1]]] += 1
        bins[2, row[first[i + 2]] + col[second[i + 2]]] += 1
        bins[3, row[first[i + 3]] + col[second[i + 3]]] += 1
    for i in range(quads, first.size):
        bins[0, row[first[i]] + col[second[i]]] += 1
    table = np.empty((n, n), np.int64)
    for k in range(n * n):
        table[k // n, k % n] = bins[0, k] + bins[1, k] + bins[2, k] + bins[3, k]
    return table
