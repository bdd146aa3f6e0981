"""What one worker does to one chunk of two maps: transitions, and the changes that are taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.changes.transitions import CHANGED, Numbers, PairTables, Transitions
from geoseg.cleaning.cleaned import CleanedMap, SievedChunk
from geoseg.cleaning.steps import Steps
from geoseg.geometry import Grid, Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.geometry.integer_areas import integer_areas
from geoseg.legend import NODATA
from geoseg.raster.classmap import ClassMap
from geoseg.raster.reading import called
from geoseg.regions.sieve import Sieve

_NARROW = Steps(opening=((CHANGED, 3),))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two class maps read on the grid of the first.

    Attributes
    ----------
    before, after
        The maps.
    same_grid
        Whether every pixel lies on its twin; else the class after is the one under the pixel's centre.
    called_at
        What the options of a raster are called before and after, for messages.
    tables
        What their labels mean together.
    """

    before: ClassMap
    after: ClassMap
    called_at: tuple[Mapping[str, str], Mapping[str, str]]
    same_grid: bool
    tables: PairTables

    @property
    def grid(self) -> Grid:
        """Where the pixels lie."""
        return self.before.grid

    def numbers(self, window: Window) -> Numbers:
        """Transitions (h, w) of a window by number, as in `PairTables`."""
        return self.tables.numbers(*self.labels(window))

    def labels(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels before and after, (h, w) each."""
        with called(self.called_at[0]):
            before = self.before.read(window)
        with called(self.called_at[1]):
            if self.same_grid:
                return before, self.after.read(window)
            return before, sample_nearest(self.grid, window, self.after.grid, self.after.read, fill=NODATA)

    def classes(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Positions before and after, (h, w) each; 255 where there is no class."""
        k = len(self.tables.names)
        places = (
            np.where(t < k, t, NODATA).astype(np.uint8) for t in (self.tables.before, self.tables.after)
        )
        before, after = (table[labels] for table, labels in zip(places, self.labels(window), strict=True))
        return before, after

    def read(self, window: Window) -> NDArray[np.uint8]:
        """`CHANGED`, `UNCHANGED`, or 255 where either map has no class, (h, w)."""
        kinds: NDArray[np.uint8] = self.tables.kind[self.numbers(window)]
        return kinds


def changes_to_keep(pair: Pair, *, remove_slivers: bool, least: int, unit: float) -> CleanedMap[Pair]:
    """Where change stays: all of it, without slivers, without areas of fewer than `least` units of area."""
    sieves = (Sieve(kind="drop", least=least, by_area=True),) if least else ()
    steps = Steps(opening=_NARROW.opening if remove_slivers else (), sieves=sieves)
    return CleanedMap(classes=pair, steps=steps, area_unit=unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkChange:
    """What a chunk holds.

    Attributes
    ----------
    mapped
        Transitions as the two maps have them.
    slivers
        Those of them that are slivers: changed pixels in no square of 3 x 3 changed ones.
    small
        Those that belong to changed areas below the smallest one, after slivers are removed.
    digest
        Of the numbers that stay.
    """

    mapped: Transitions
    slivers: Transitions
    small: Transitions
    digest: str

    def __add__(self, other: ChunkChange) -> ChunkChange:
        return ChunkChange(
            mapped=self.mapped + other.mapped,
            slivers=self.slivers + other.slivers,
            small=self.small + other.small,
            digest="",
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one worker does to one chunk; holds no open file and can be pickled.

    Attributes
    ----------
    kept
        The two maps, and where change stays.
    """

    kept: CleanedMap[Pair]

    def __call__(self, chunk: SievedChunk) -> ChunkChange:
        """Transitions of a chunk, and those of them that are slivers or too small."""
        numbers, narrow = self._seen(chunk)
        small = self._small(chunk, numbers, narrow)
        removed = small | narrow if self.kept.steps.opening else small
        tables, unit = self.kept.classes.tables, self.kept.area_unit
        areas = integer_areas(self.kept.classes.grid, chunk.window, unit)
        return ChunkChange(
            mapped=tables.count(numbers, areas, unit),
            slivers=_counted(tables, numbers, narrow, areas, unit),
            small=_counted(tables, numbers, small, areas, unit),
            digest=tables.digest(_without(tables, numbers, removed)),
        )

    def numbers(self, chunk: SievedChunk) -> Numbers:
        """Transitions (h, w) by number that stay; what is taken back has the class before at both dates."""
        tables = self.kept.classes.tables
        if not self.kept.steps.opening and not self.kept.steps.sieves:
            return self.kept.classes.numbers(chunk.window)
        numbers, narrow = self._seen(chunk)
        removed = self._small(chunk, numbers, narrow)
        if self.kept.steps.opening:
            removed |= narrow
        return _without(tables, numbers, removed)

    def _seen(self, chunk: SievedChunk) -> tuple[Numbers, NDArray[np.bool_]]:
        """(numbers, whether the pixel is a sliver), (h, w) each."""
        pair, window = self.kept.classes, chunk.window
        around = window.grow(_NARROW.reach).clip(*pair.grid.shape)
        core = window.slices_in(around)
        numbers = pair.numbers(around)
        kinds = pair.tables.kind[numbers]
        changed = (kinds == CHANGED)[core]
        narrow = changed & (_NARROW.filtered(kinds)[core] != CHANGED) if changed.any() else changed
        return np.ascontiguousarray(numbers[core]), narrow

    def _small(self, chunk: SievedChunk, numbers: Numbers, narrow: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether the pixel belongs to a changed area below the smallest one."""
        if not self.kept.steps.sieves:
            return np.zeros(numbers.shape, np.bool_)
        changed = self.kept.classes.tables.kind[numbers] == CHANGED
        if self.kept.steps.opening:
            changed &= ~narrow
        small: NDArray[np.bool_] = changed & (self.kept.read(chunk)[1:-1, 1:-1] != CHANGED)
        return small


def _without(tables: PairTables, numbers: Numbers, removed: NDArray[np.bool_]) -> Numbers:
    """Numbers with the class before at both dates where change is taken back."""
    return np.where(removed, tables.undone[numbers], numbers) if removed.any() else numbers


def _counted(
    tables: PairTables,
    numbers: Numbers,
    where: NDArray[np.bool_],
    areas: NDArray[np.int64],
    unit: float,
) -> Transitions:
    """Transitions of the pixels of a mask."""
    if not where.any():
        return Transitions.zero(tables.names, unit)
    chosen = np.broadcast_to(areas, numbers.shape)[where][None, :]
    return tables.count(numbers[where][None, :], chosen, unit)
