"""What one worker does to one chunk of a series: read all dates, filter, walk, keep what it found."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.files import sha256_of, whole
from geoseg.geometry import TilePlan, Window
from geoseg.geometry.integer_areas import integer_areas
from geoseg.histories.opened import OpenedSeries
from geoseg.histories.pixels import LAYERS, NO_DATA, Paths, Tally, walk
from geoseg.histories.trajectories import Trajectories, bits_of, counted, distinct, pack
from geoseg.raster.percent import percent
from geoseg.raster.store import WorkStore

CONFIDENCE = "confidence"
"""Layer: percent at the date of the loss, 255 where there is none."""

_SMALL = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a chunk adds to the tables.

    Attributes
    ----------
    tally
        Sums.
    trajectories
        Of its pixels that are known at some date, after the filter.
    edits
        (2, T, K, K) int64: pixels and units that the filter gave another class, by date, class before and
        class after.
    """

    tally: Tally
    trajectories: Trajectories
    edits: NDArray[np.int64]

    def save(self, folder: Path, index: int) -> str:
        """Digest of the files written."""
        sums, rows = _files(folder, index)
        t = self.trajectories
        table = np.column_stack([t.keys, t.pixels.astype(np.uint64), t.units.astype(np.uint64)])
        with whole(sums) as path, path.open("wb") as file:
            np.savez(file, edits=self.edits, **{f.name: getattr(self.tally, f.name) for f in fields(Tally)})
        with whole(rows) as path, path.open("wb") as file:
            np.save(file, table)
        return _digest(sums, rows)

    @classmethod
    def load(cls, folder: Path, index: int) -> Found:
        """What `save` wrote; the trajectories stay on the disk until they are looked at."""
        sums, rows = _files(folder, index)
        with np.load(sums, allow_pickle=False) as arrays:
            tally = Tally(**{f.name: arrays[f.name] for f in fields(Tally)})
            edits = arrays["edits"]
        table = np.load(rows, mmap_mode="r" if rows.stat().st_size > _SMALL else None, allow_pickle=False)
        trajectories = Trajectories(
            keys=table[:, :-2], pixels=table[:, -2].view(np.int64), units=table[:, -1].view(np.int64)
        )
        return cls(tally=tally, trajectories=trajectories, edits=edits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """What is known of a finished chunk."""

    digests: Mapping[str, str]
    found: str
    seconds: float
    tiles: int = 1
    skipped: int = 0

    @property
    def engine(self) -> Mapping[str, Any]:
        """No engine runs."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """What the ledger stores."""
        return {"digests": dict(self.digests), "found": self.found, "seconds": self.seconds}


@dataclass(frozen=True, kw_only=True)
class SeriesWork:
    """The work on a series, for `compute_chunks`.

    Attributes
    ----------
    opened
        The series.
    folder
        Where chunks keep what they found.
    """

    opened: OpenedSeries
    folder: Path

    @property
    def stage(self) -> str:
        """The verb, for progress."""
        return "series"

    @property
    def tiling(self) -> TilePlan:
        """The chunks."""
        return self.opened.tiling

    @property
    def wanted(self) -> Sequence[int]:
        """All of them."""
        return range(self.tiling.chunks)

    @property
    def layers(self) -> Mapping[str, str]:
        """Layers of the work store, all uint8."""
        return dict.fromkeys((*LAYERS, CONFIDENCE), "uint8")

    def settle(self) -> dict[str, Any]:
        """Nothing is decided once for a run."""
        return {}

    def task(self, store: Path, settled: Mapping[str, Any]) -> Callable[[int], SeriesRecord]:
        """Function of a chunk's index."""
        self.folder.mkdir(exist_ok=True)
        return partial(walk_chunk, self.opened, store, self.folder)

    def record(self, stored: Mapping[str, Any]) -> SeriesRecord:
        """Record from the ledger's JSON."""
        return SeriesRecord(**stored)

    def found(self, index: int, record: SeriesRecord) -> Found:
        """What a chunk found; InputError where the files are not those that it wrote."""
        if _digest(*_files(self.folder, index)) != record.found:
            raise InputError(
                f"what chunk {index} found was changed", where=self.folder, hint="`overwrite` to start again"
            )
        return Found.load(self.folder, index)


def walk_chunk(opened: OpenedSeries, store: Path, folder: Path, index: int) -> SeriesRecord:
    """Record of a chunk after its layers and its `Found` were kept."""
    started = time.perf_counter()
    window = opened.tiling.chunk_at(index).window
    dates, k = len(opened.dates), len(opened.legend)
    classes = opened.united.read(window).reshape(dates, -1)
    areas = np.ascontiguousarray(
        np.broadcast_to(integer_areas(opened.grid, window, opened.unit), window.shape)
    ).ravel()
    bits = bits_of(k)
    number, firsts = distinct(pack(classes, bits))
    once = np.ascontiguousarray(classes[:, firsts])
    edits = np.zeros((2, dates, k, k), np.int64)
    if opened.rules is not None:
        edited = opened.rules.applied(once, opened.years)
        _add_edits(edits, once, edited, *_summed(number, firsts, areas))
        again, firsts = distinct(pack(edited, bits))
        number, once = again[number], np.ascontiguousarray(edited[:, firsts])
        classes = np.take(once, number, axis=1)  # in C order, which an index would not be
    paths, tally = walk(classes, areas, opened.is_forest, opened.job.definition)
    known = (once != k).any(axis=0)
    sums = (each[known] for each in _summed(number, firsts, areas))
    found = Found(tally=tally, trajectories=counted(pack(once, bits)[known], *sums), edits=edits)
    writer = WorkStore.open(store)
    layers = {name: getattr(paths, name).reshape(window.shape) for name in LAYERS}
    layers[CONFIDENCE] = _confidence(opened, window, paths)
    return SeriesRecord(
        digests={name: writer.write(name, window, layer) for name, layer in layers.items()},
        found=found.save(folder, index),
        seconds=time.perf_counter() - started,
    )


def _files(folder: Path, index: int) -> tuple[Path, Path]:
    """Files with the sums and the trajectories of a chunk."""
    return folder / f"{index}.npz", folder / f"{index}.npy"


def _digest(*paths: Path) -> str:
    state = hashlib.sha256()
    for path in paths:
        state.update(bytes.fromhex(sha256_of(path)))
    return state.hexdigest()


def _summed(
    number: NDArray[np.int64], firsts: NDArray[np.int64], areas: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(pixels, units) of each distinct trajectory."""
    units = np.zeros(len(firsts), np.int64)
    np.add.at(units, number, areas)
    return np.bincount(number, minlength=len(firsts)), units


def _add_edits(
    edits: NDArray[np.int64],
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    pixels: NDArray[np.int64],
    units: NDArray[np.int64],
) -> None:
    """Count the distinct trajectories (T, m) that a filter changed."""
    t, column = np.nonzero(before != after)
    for total, each in zip(edits, (pixels, units), strict=True):
        np.add.at(total, (t, before[t, column], after[t, column]), each[column])


def _confidence(opened: OpenedSeries, window: Window, paths: Paths) -> NDArray[np.uint8]:
    """Percent (h, w) at the date of the loss; 255 where there is no loss or no confidence."""
    out = np.full(window.shape, NO_DATA, np.uint8)
    loss = paths.loss.reshape(window.shape)
    for t, scene in enumerate(opened.confidence):
        lost = loss == t
        if scene is not None and lost.any():
            out[lost] = percent(scene, window)[lost]
    return out
