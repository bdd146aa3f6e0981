"""A class map as it is read when it is cleaned: one chunk at a time, the same for every cut into chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.cleaning.job import Cleaning, Sizes
from geoseg.cleaning.morphology import Sides
from geoseg.cleaning.steps import Steps
from geoseg.errors import ChunksFailedError, GeosegError
from geoseg.execution import Where, run_chunks
from geoseg.execution.where import available_cores
from geoseg.geometry import HECTARE, Grid, Window
from geoseg.geometry.integer_areas import area_unit, integer_areas
from geoseg.legend import NODATA, class_numbers
from geoseg.raster.classmap import ClassMap
from geoseg.regions.sieve import Patch, Seams, Sieve, SieveJoin, Sifted, Undecided

T = TypeVar("T")

_ALL = range(NODATA)
_ROW_PIXELS = 1 << 22
_BLOCK = 512
_FEWEST_ROWS = 128
_WIDEST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SievedChunk:
    """A chunk with what other chunks decided for it.

    Attributes
    ----------
    window
        Its pixels.
    patches
        What became of the regions that it could not decide itself, for the sieves that are through.
    """

    window: Window
    patches: tuple[Patch, ...] = ()


class Classes(Protocol):
    """A class map, or whatever else has classes on a grid."""

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class numbers (h, w) of a window; 255 where there is none."""


M = TypeVar("M", bound=Classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedMap(Generic[M]):
    """A class map with the steps that clean it; holds no open file and can be pickled.

    Attributes
    ----------
    classes
        The class map.
    steps
        What is done to its pixels.
    area_unit
        Square metres of a unit of area.
    """

    classes: M
    steps: Steps
    area_unit: float

    def read(self, chunk: SievedChunk) -> NDArray[np.uint8]:
        """Classes (h + 2, w + 2) of a chunk with one pixel around, after the sieves that are through.

        255 is nodata, and what lies outside the map.
        """
        window, shape = chunk.window, self.classes.grid.shape
        inner = window.grow(1).clip(*shape)
        around = inner.grow(self.steps.reach).clip(*shape)
        classes = self.steps.filtered(self.classes.read(around))[inner.slices_in(around)]
        rims = (
            (inner.row - window.row + 1, window.row_end + 1 - inner.row_end),
            (inner.col - window.col + 1, window.col_end + 1 - inner.col_end),
        )
        classes = np.pad(classes, rims, constant_values=NODATA)
        for sieve, patch in zip(self.steps.sieves, chunk.patches, strict=False):
            classes = self._sifted(sieve, classes, window).painted(patch)
        return classes

    def areas(self, window: Window) -> NDArray[np.int64]:
        """Areas (h, 1) or (h, w) of a window's pixels in units of `area_unit`."""
        return integer_areas(self.classes.grid, window, self.area_unit)

    def undecided(self, chunk: SievedChunk) -> Undecided:
        """What a chunk leaves to its neighbours of the sieve after those that are through."""
        sieve = self.steps.sieves[len(chunk.patches)]
        return self._sifted(sieve, self.read(chunk), chunk.window).undecided(self._seams(chunk.window))

    def sieved(
        self, windows: Sequence[Window], where: Where, done: Callable[[Window], None]
    ) -> list[SievedChunk]:
        """Chunks with what became of their small regions: one pass over the map for each sieve.

        `windows` cover the map in row-major order; `done` hears of each in every pass.
        """
        chunks = [SievedChunk(window=window) for window in windows]
        across = sum(window.row == windows[0].row for window in windows)
        for sieve in self.steps.sieves:
            join = SieveJoin(sieve)
            found = results_of(self.undecided, chunks, where, done)
            while row := list(islice(found, across)):
                join.add_row(row)
            chunks = [
                SievedChunk(window=chunk.window, patches=(*chunk.patches, patch))
                for chunk, patch in zip(chunks, join.patches(), strict=True)
            ]
        return chunks

    def _sifted(self, sieve: Sieve, classes: NDArray[np.uint8], window: Window) -> Sifted:
        return sieve.sift(classes, self._seams(window), self.areas(window) if sieve.by_area else None)

    def _seams(self, window: Window) -> Seams:
        height, width = self.classes.grid.shape
        return Seams(
            top=window.row > 0,
            bottom=window.row_end < height,
            left=window.col > 0,
            right=window.col_end < width,
        )


def cleaned_map(classes: ClassMap, cleaning: Cleaning) -> CleanedMap[ClassMap]:
    """The one that a job asks for; UsageError or InputError names a class that the map has not."""
    unit = area_unit(classes.grid)
    return CleanedMap(classes=classes, steps=_steps(classes, cleaning, unit), area_unit=unit)


def results_of(
    task: Callable[[SievedChunk], T],
    chunks: Sequence[SievedChunk],
    where: Where,
    done: Callable[[Window], None],
) -> Iterator[T]:
    """Results of a task on every chunk, in order; the first error ends them."""
    for outcome in run_chunks(task, chunks, where, concurrency=available_cores(), ordered=True):
        window = outcome.item.window
        if outcome.error is not None:
            raise _failed(window, outcome.error)
        done(window)
        yield outcome.result()


def chunk_shape(height: int, width: int, chunk: int | None = None) -> tuple[int, int]:
    """(rows, columns) of a chunk; a row of chunks, which memory follows, holds some 4 million pixels."""
    if chunk is not None:
        return chunk, chunk
    across = -(-width // _WIDEST)
    columns = -(-width // across // _BLOCK) * _BLOCK
    rows = min(_ROW_PIXELS // width, height // 4, columns) // _FEWEST_ROWS * _FEWEST_ROWS
    return max(rows, _FEWEST_ROWS), columns


def _steps(classes: ClassMap, cleaning: Cleaning, unit: float) -> Steps:
    sieves = []
    if cleaning.fill_holes:
        sieves.append(Sieve(kind="fill", least=cleaning.fill_holes))
    if cleaning.min_area:
        least = math.ceil(cleaning.min_area * HECTARE / unit)
        sieves.append(Sieve(kind=cleaning.small, least=least, by_area=True))
    elif cleaning.min_pixels:
        sieves.append(Sieve(kind=cleaning.small, least=cleaning.min_pixels))
    return Steps(
        majority=cleaning.majority,
        opening=_sides(classes, cleaning.opening),
        closing=_sides(classes, cleaning.closing),
        sieves=tuple(sieves),
    )


def _sides(classes: ClassMap, sizes: Sizes) -> Sides:
    """Sides by class number; without a class they hold for all."""
    sides: dict[int, int] = {}
    for name, side in sizes:
        chosen = _ALL if name is None else class_numbers((name,), classes.declared, where=classes.path)
        sides.update(dict.fromkeys(chosen, side))
    return tuple(sorted((c, side) for c, side in sides.items() if side > 1))


def _failed(window: Window, error: GeosegError) -> GeosegError:
    """The error of one chunk: a user's own as it is, any other as a failed chunk."""
    if type(error) is not GeosegError:
        return error
    return ChunksFailedError(
        f"chunk at row {window.row} column {window.col} failed", why=error.what, hint=error.hint
    )
