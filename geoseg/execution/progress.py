"""How far a run over chunks is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

from geoseg.geometry import TilePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage
        What is being done, as a verb.
    done, total
        Pixels.
    tiles, tiles_total
        Forward passes, skipped tiles included, and those of chunks that are at work.
    resumed, tiles_resumed
        Pixels and tiles that an earlier execution had done.
    failed
        Chunks that failed so far.
    """

    stage: str
    done: int
    total: int
    tiles: int
    tiles_total: int
    tiles_resumed: int
    resumed: int
    failed: int


Report = Callable[[Progress], None]

_EVERY = 0.5  # seconds


TALLY = "tiles"
"""File beside the work store to which every process appends one byte for each tile that it ran."""


def count_tiles(store: Path, tiles: int) -> None:
    """Add to the tally of a run; whoever waits for a chunk sees it at work."""
    with suppress(OSError), store.with_name(TALLY).open("ab", buffering=0) as file:  # appends are atomic
        file.write(bytes(tiles))


class Meter:
    """Turns finished chunks, and the tiles of those at work, into progress reports."""

    def __init__(
        self, stage: str, tiling: TilePlan, report: Report | None, tally: Path, only: Sequence[int]
    ) -> None:
        self._stage, self._tiling, self._report, self._tally = stage, tiling, report, tally
        self._done = self._tiles = self._skipped = self._resumed = self._tiles_resumed = self._failed = 0
        whole = len(only) == tiling.chunks
        self._total = tiling.height * tiling.width if whole else sum(map(self._area, only))
        self._tiles_total = tiling.forward_tiles if whole else sum(map(self._tiles_of, only))
        self._lock, self._over = Lock(), Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Context in which tiles are reported as they are run."""
        if self._report is None:
            yield
            return
        watch = Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._over.set()
            watch.join()

    def resume(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Count (index, tiles) of chunks that an earlier execution had done."""
        for index, tiles in chunks:
            self._resumed += self._area(index)
            self._tiles_resumed += tiles
        self._done, self._tiles = self._resumed, self._tiles_resumed
        self._show()

    def advance(self, index: int, tiles: int, skipped: int) -> None:
        """Count one more chunk."""
        self._done += self._area(index)
        self._tiles += tiles + skipped
        self._skipped += skipped
        self._show()

    def fail(self) -> None:
        """Count a chunk that failed."""
        self._failed += 1
        self._show()

    def _watch(self) -> None:
        seen = 0
        while not self._over.wait(_EVERY):
            if (now := self._tallied()) != seen:
                seen = now
                self._show()

    def _tallied(self) -> int:
        try:
            return self._tally.stat().st_size
        except OSError:
            return 0

    def _area(self, index: int) -> int:
        return self._tiling.chunk_at(index).window.area

    def _tiles_of(self, index: int) -> int:
        return len(self._tiling.tiles_of(self._tiling.chunk_at(index)))

    def _show(self) -> None:
        if self._report is None:
            return
        with self._lock:
            running = self._tiles_resumed + self._skipped + self._tallied()
            self._report(
                Progress(
                    stage=self._stage,
                    done=self._done,
                    total=self._total,
                    tiles=min(max(self._tiles, running), self._tiles_total),
                    tiles_total=self._tiles_total,
                    tiles_resumed=self._tiles_resumed,
                    resumed=self._resumed,
                    failed=self._failed,
                )
            )
