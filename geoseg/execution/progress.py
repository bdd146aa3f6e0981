"""How far a run over chunks is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
        Forward passes, skipped tiles included.
    resumed
        Pixels that an earlier execution had done.
    failed
        Chunks that failed so far.
    """

    stage: str
    done: int
    total: int
    tiles: int
    tiles_total: int
    resumed: int
    failed: int


Report = Callable[[Progress], None]


class Meter:
    """Turns finished chunks into progress reports."""

    def __init__(self, stage: str, tiling: TilePlan, report: Report | None) -> None:
        self._stage, self._tiling, self._report = stage, tiling, report
        self._done = self._tiles = self._resumed = self._failed = 0

    def resume(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Count (index, tiles) of chunks that an earlier execution had done."""
        for index, tiles in chunks:
            self._resumed += self._area(index)
            self._tiles += tiles
        self._done = self._resumed
        self._show()

    def advance(self, index: int, tiles: int) -> None:
        """Count one more chunk."""
        self._done += self._area(index)
        self._tiles += tiles
        self._show()

    def fail(self) -> None:
        """Count a chunk that failed."""
        self._failed += 1
        self._show()

    def _area(self, index: int) -> int:
        return self._tiling.chunk_at(index).window.area

    def _show(self) -> None:
        if self._report is not None:
            self._report(
                Progress(
                    stage=self._stage,
                    done=self._done,
                    total=self._tiling.height * self._tiling.width,
                    tiles=self._tiles,
                    tiles_total=self._tiling.forward_tiles,
                    resumed=self._resumed,
                    failed=self._failed,
                )
            )
