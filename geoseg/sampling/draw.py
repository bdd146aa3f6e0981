"""Units drawn at random: a permutation's first ranks in every stratum, and the pixels that these are.

Each stratum has a stream of random numbers of its own, seeded with its name, and of it the beginning of a
random permutation of all its pixels (Fisher and Yates). So more units are the same units and more, and a
stratum's units do not depend on another's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.execution import Where, run_chunks
from geoseg.geometry.integer_areas import integer_areas
from geoseg.sampling.population import Census, Numbers, Population, block_window

_LETTERS = "bcdfghjklmnpqrstvwxz"
"""No digits and no vowels: a spreadsheet takes no such id for a number or a date."""

_LENGTH = 12
_WORD = 64
_AT_ONCE = 4096


def permutation_prefix(seed: int, stream: str, population: int, count: int) -> list[int]:
    """The first `count` numbers of a random permutation of 0 to `population` - 1."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    generator = np.random.PCG64(int.from_bytes(digest, "big"))
    moved: dict[int, int] = {}
    drawn: list[int] = []
    words: list[int] = []
    for i in range(count):
        if not words:
            words = np.asarray(generator.random_raw(min(_AT_ONCE, count - i))).tolist()[::-1]
        j = i + (words.pop() * (population - i) >> _WORD)
        last = moved.pop(i, i)
        if j == i:
            drawn.append(last)
        else:
            drawn.append(moved.get(j, j))
            moved[j] = last
    return drawn


def unit_id(seed: int, stratum: str, rank: int) -> str:
    """Id of a unit: twelve letters that say nothing of its stratum, and do not change when a sample grows."""
    number = int.from_bytes(hashlib.sha256(f"{seed}/{stratum}/{rank}/id".encode()).digest(), "big")
    letters = []
    for _ in range(_LENGTH):
        number, letter = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def random_key(seed: int, stratum: str, rank: int) -> bytes:
    """By which units are put into a random order over all strata."""
    return hashlib.sha256(f"{seed}/{stratum}/{rank}/order".encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A drawn pixel: where it is, its cell, and its geodesic area in m²."""

    row: int
    col: int
    cell: int
    area: float


def places(
    population: Population,
    census: Census,
    cells: Sequence[int],
    numbers: Sequence[int],
    *,
    where: Where | None = None,
) -> list[Place]:
    """Pixels with these numbers among those of a stratum (see `geoseg.sampling.population`).

    Only the blocks that hold one are read.

    Parameters
    ----------
    population, census
        The pixels, counted.
    cells
        The stratum's.
    numbers
        From 0.
    """
    of_stratum = np.flatnonzero(np.isin(census.cells, cells))
    ends = np.cumsum(census.counts[of_stratum])
    wanted = np.asarray(numbers, np.int64)
    pair = np.searchsorted(ends, wanted, side="right")
    inside = wanted - (ends[pair] - census.counts[of_stratum][pair])
    entries = of_stratum[pair]
    blocks = census.blocks[entries]
    order = np.argsort(blocks, kind="stable")
    cuts = np.flatnonzero(np.diff(blocks[order])) + 1
    groups = {int(blocks[group[0]]): group for group in np.split(order, cuts) if len(group)}
    requests = [
        _Request(block=number, cells=census.cells[entries[group]], inside=inside[group])
        for number, group in groups.items()
    ]
    found: dict[int, Place] = {}
    where = where or Where()
    task = _Resolve(population=population, block=census.block, unit=census.unit)
    for outcome in run_chunks(task, requests, where, concurrency=where.threads_here):
        request = outcome.item
        columns = (values.tolist() for values in (*outcome.result(), request.cells))
        for i, row, col, area, cell in zip(groups[request.block].tolist(), *columns, strict=True):
            found[i] = Place(row=row, col=col, cell=cell, area=area)
    return [found[i] for i in range(len(wanted))]


def on_lattice(
    population: Population, census: Census, step: int, first: tuple[int, int], *, where: Where | None = None
) -> list[Place]:
    """Known pixels in every `step`-th row and column, counted from pixel `first`, in rows from above."""
    where = where or Where()
    task = _OnLattice(population=population, block=census.block, unit=census.unit, step=step, first=first)
    blocks = np.unique(census.blocks).tolist()
    found: list[Place] = []
    for outcome in run_chunks(task, blocks, where, concurrency=where.threads_here):
        found += outcome.result()
    return sorted(found, key=lambda place: (place.row, place.col))


@dataclass(frozen=True, kw_only=True)
class _OnLattice:
    """What one worker does to one block of a systematic sample."""

    population: Population
    block: int
    unit: float
    step: int
    first: tuple[int, int]

    def __call__(self, block: int) -> list[Place]:
        """Known pixels of the block that lie on the lattice."""
        window = block_window(self.population.grid, block, self.block)
        top, left = (self.first[0] - window.row) % self.step, (self.first[1] - window.col) % self.step
        cells = self.population.read(window)[top :: self.step, left :: self.step]
        areas = integer_areas(self.population.grid, window, self.unit)
        areas = np.broadcast_to(areas, window.shape)[top :: self.step, left :: self.step]
        rows, cols = np.nonzero(cells < self.population.count)
        return [
            Place(
                row=window.row + top + r * self.step,
                col=window.col + left + c * self.step,
                cell=int(cells[r, c]),
                area=float(areas[r, c]) * self.unit,
            )
            for r, c in zip(rows.tolist(), cols.tolist(), strict=True)
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Request:
    """Pixels wanted of a block: the cell of each, and its number among the block's pixels of that cell."""

    block: int
    cells: Numbers
    inside: Numbers


@dataclass(frozen=True, kw_only=True)
class _Resolve:
    """What one worker does to one block."""

    population: Population
    block: int
    unit: float

    def __call__(self, request: _Request) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
        """Rows, columns and areas of the pixels, in the request's order."""
        window = block_window(self.population.grid, request.block, self.block)
        codes = self.population.read(window).ravel()
        flat = np.empty(len(request.cells), np.int64)
        for cell in np.unique(request.cells):
            of_cell = request.cells == cell
            flat[of_cell] = np.flatnonzero(codes == cell)[request.inside[of_cell]]
        row, col = np.divmod(flat, window.width)
        areas = integer_areas(self.population.grid, window, self.unit)
        found = np.broadcast_to(areas, window.shape)[row, col].astype(np.float64) * self.unit
        return row + window.row, col + window.col, found
