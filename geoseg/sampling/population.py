"""The pixels that a sample is drawn from, in cells of one region and class, counted exactly for any chunks.

A cell is one class of one region, or the buffer in it. Pixels of a stratum are numbered along a lattice of
blocks, anchored at the scene's first pixel: block by block, in each cell by cell and row by row. The number
of a pixel never depends on how the map was read when they were counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.geometry import HECTARE, Grid, Window
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.legend import NODATA
from geoseg.raster.classmap import ClassMap
from geoseg.sampling.classes import Merged
from geoseg.truth.layer import Truth

BLOCK = 256
"""Side in pixels of the lattice's blocks."""

_STRIP = 256
"""Rows that are counted at a time."""

_NO_DATA, _LEFT_OUT, _NO_REGION = 65_535, 65_534, 65_533
_MOST_CELLS = 65_000

Cells = NDArray[np.uint16]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """Pixels of one class near another.

    Attributes
    ----------
    pixels
        Largest distance between centres, Euclidean.
    around, within
        Class numbers: near what, and of which class.
    """

    pixels: int
    around: int
    within: int


@dataclass(frozen=True, kw_only=True)
class Population:
    """A map's pixels, and which cell each is in.

    Attributes
    ----------
    map
        The class map.
    merged
        What its classes are called.
    regions
        Polygons; pixels outside all of them are not assessed. None: one region, everywhere.
    buffer
        A cell of its own in every region; None without one.
    """

    map: ClassMap
    merged: Merged
    regions: Truth | None = None
    buffer: Buffer | None = None

    def __post_init__(self) -> None:
        if self.count > _MOST_CELLS:
            raise UsageError(
                f"{self.count:,} combinations of region and class are too many",
                why=f"{_MOST_CELLS:,} at most",
                hint="`strata` that merges classes, or a `regions_field` with fewer values",
            )

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.map.grid

    @property
    def count(self) -> int:
        """Number of cells there can be."""
        return self._per_region * (1 if self.regions is None else len(self.regions.legend))

    @property
    def _per_region(self) -> int:
        return len(self.merged.legend) + 1

    def class_of(self, cell: int) -> int:
        """Class number of a cell; of the buffer, that of the class it was cut from."""
        position = cell % self._per_region
        if self.buffer is not None and position == len(self.merged.legend):
            return self.buffer.within
        return self.merged.legend.ids[position]

    def name(self, cell: int) -> str:
        """``region: class``, or the class alone."""
        region, position = divmod(cell, self._per_region)
        legend = self.merged.legend
        if self.buffer is not None and position == len(legend):
            near, of = legend.name(self.buffer.around), legend.name(self.buffer.within)
            name = f"{of} within {self.buffer.pixels} px of {near}"
        else:
            name = legend.names[position]
        return name if self.regions is None else f"{self.regions.legend.names[region]}: {name}"

    def read(self, window: Window) -> Cells:
        """Cell (h, w) of each pixel of a window; above all cells where it is in none."""
        reach = 0 if self.buffer is None else self.buffer.pixels
        around = window.grow(reach).clip(*self.grid.shape)
        here = window.slices_in(around)
        raw = self._raw(around)
        classes = self.merged.table[raw]
        cells = self._positions[classes]
        if self.buffer is not None:
            near = _near(classes == self.buffer.around, reach) & (classes == self.buffer.within)
            cells[near] = len(self.merged.legend)
        raw, known, cells = raw[here], (classes != NODATA)[here], cells[here]
        if self.regions is not None:
            region = self.regions.legend.index_of()[self.regions.read(window)].astype(np.int32)
            cells = np.where(region < 0, _NO_REGION, region * self._per_region + cells)
        codes = cells.astype(np.uint16)
        codes[~known] = np.where(raw[~known] == NODATA, _NO_DATA, _LEFT_OUT)
        return codes

    def _raw(self, window: Window) -> NDArray[np.uint8]:
        """Class numbers of the map; InputError for those that its legend lacks."""
        raw = self.map.read(window)
        if not self._known[raw].all():
            strange = sorted(set(np.unique(raw[~self._known[raw]]).tolist()))
            raise InputError(
                f"the map holds class {', '.join(map(str, strange))}, which is not in its legend",
                where=self.map.path,
                hint="`legend` with a name for it",
            )
        return raw

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known = np.zeros(256, np.bool_)
        known[[*self.map.legend.ids, NODATA]] = True
        return known

    @cached_property
    def _positions(self) -> NDArray[np.int32]:
        return self.merged.legend.index_of().astype(np.int32)


def _near(centres: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Pixels (h, w) no further than `pixels` from one of `centres`, exactly: the disc is laid row by row."""
    near = np.zeros_like(centres)
    if not centres.any():
        return near
    height, width = centres.shape
    before = np.zeros((height, width + 1), np.int32)
    np.cumsum(centres, axis=1, out=before[:, 1:])
    cols = np.arange(width)
    for down in range(min(pixels, height - 1) + 1):
        half = math.isqrt(pixels**2 - down**2)
        begin, end = np.maximum(cols - half, 0), np.minimum(cols + half + 1, width)
        beside = before[:, end] != before[:, begin]
        near[down:] |= beside[: height - down]
        near[: height - down] |= beside[down:]
    return near


@dataclass(frozen=True, kw_only=True)
class Census:
    """Every pixel of a population counted.

    Attributes
    ----------
    blocks, cells, counts
        Block of the lattice, cell and pixels of each pair that occurs, sorted by block and cell.
    units
        (cells,) int64 area of each cell, in `unit` m².
    unit
        Square metres.
    left_out
        (2, 3) int64: pixels, and area in `unit`, outside all regions, of classes left out, without data.
    block
        Side of a block.
    """

    blocks: Numbers
    cells: Numbers
    counts: Numbers
    units: Numbers
    unit: float
    left_out: Numbers
    block: int = BLOCK

    @property
    def pixels(self) -> Numbers:
        """(cells,) int64 pixels of each cell."""
        return _summed(self.cells, self.counts, len(self.units))

    @property
    def hectares(self) -> NDArray[np.float64]:
        """(cells,) geodesic hectares of each cell."""
        area: NDArray[np.float64] = self.units.astype(np.float64) * (self.unit / HECTARE)
        return area


@dataclass(frozen=True, kw_only=True)
class _Count:
    """What one worker does to one window."""

    population: Population
    unit: float
    block: int

    def __call__(self, window: Window) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
        """(blocks, cells, counts) of the pairs that occur, areas of cells, and of what is left out."""
        count, across = self.population.count, -(-self.population.grid.width // self.block)
        codes = self.population.read(window)
        row, col = window.row // self.block, window.col // self.block
        down, along = (np.arange(i, j) // self.block for i, j in _spans(window))
        wide = int(along[-1]) - col + 1
        pairs = np.zeros((int(down[-1]) - row + 1) * wide * count, np.int64)
        units, left_out = np.zeros(count, np.int64), np.zeros((2, 3), np.int64)
        for strip in window.blocks(_STRIP, window.width):
            rows, _ = strip.slices_in(window)
            areas = np.broadcast_to(integer_areas(self.population.grid, strip, self.unit), strip.shape)
            outside = codes[rows] >= _NO_REGION
            away, inside = codes[rows][outside] - np.uint16(_NO_REGION), codes[rows][~outside]
            left_out += np.stack([np.bincount(away, minlength=3), _summed(away, areas[outside], 3)])
            units += _summed(inside, areas[~outside], count)
            local = (down[rows, None] - row) * wide + (along - col)
            pairs += np.bincount(local[~outside] * count + inside, minlength=len(pairs))
        found = np.flatnonzero(pairs)
        i, cells = np.divmod(found, count)
        blocks = (row + i // wide) * across + col + i % wide
        return blocks, cells, pairs[found], units, left_out


def _spans(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    return (window.row, window.row_end), (window.col, window.col_end)


def count_pixels(
    population: Population,
    windows: Iterable[Window] | None = None,
    *,
    where: Where | None = None,
    block: int = BLOCK,
) -> Census:
    """Census of a population in one pass over its map, equal for any windows that cover it once."""
    where = where or Where()
    task = _Count(population=population, unit=area_unit(population.grid), block=block)
    parts: list[tuple[Numbers, Numbers, Numbers]] = []
    units, left_out = np.zeros(population.count, np.int64), np.zeros((2, 3), np.int64)
    windows = population.map.scan_windows() if windows is None else windows
    for outcome in run_chunks(task, windows, where, concurrency=where.threads_here):
        *pairs, of_cells, away = outcome.result()
        parts.append((pairs[0], pairs[1], pairs[2]))
        units, left_out = units + of_cells, left_out + away
    blocks, cells, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    keys, position = np.unique(blocks * population.count + cells, return_inverse=True)
    return Census(
        blocks=keys // population.count,
        cells=keys % population.count,
        counts=_summed(position, counts, len(keys)),
        units=units,
        unit=task.unit,
        left_out=left_out,
        block=block,
    )


def _summed(where: NDArray[np.integer], values: Numbers, count: int) -> Numbers:
    """(count,) int64 sums of values by place, exact."""
    sums = np.zeros(count, np.int64)
    low, high = values & 0xFFFFFF, values >> 24
    # bincount adds in floating point, which is exact for these halves
    sums += np.bincount(where, low, minlength=count).astype(np.int64)
    sums += np.bincount(where, high, minlength=count).astype(np.int64) << 24
    return sums


def block_window(grid: Grid, number: int, block: int = BLOCK) -> Window:
    """Pixels of a block of the lattice."""
    row, col = divmod(number, -(-grid.width // block))
    return Window(row * block, col * block, block, block).clip(*grid.shape)
