"""The verb: a class map in, polygons out; exact over any chunking, in memory that follows the width alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Unpack

import pyarrow as pa

from geoseg.cleaning.cleaned import results_of
from geoseg.execution import Where
from geoseg.execution.manifest import add_files
from geoseg.execution.prefetch import prefetched
from geoseg.geometry import Window
from geoseg.job import takes
from geoseg.options import VectorizeOptions
from geoseg.outlines.shapes import ChunkShapes
from geoseg.outlines.stream import stream_shapes
from geoseg.vectorization.job import VectorizeJob
from geoseg.vectorization.neighbours import NEIGHBOURS
from geoseg.vectorization.plan import Plan
from geoseg.vectorization.result import Vectorization, VectorizeProgress
from geoseg.vectorization.totals import Totals
from geoseg.writers.write import require_names, write_layer

_BATCHES_AHEAD = 4


@takes(VectorizeJob)
def vectorize(
    classes: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[VectorizeProgress], None] | None = None,
    **options: Unpack[VectorizeOptions],
) -> Vectorization:
    """Polygons of a class map: one for every 4-connected area of one class.

    Parameters
    ----------
    classes, out, options
        Fields of `VectorizeJob`.
    overwrite
        Replace a file of that name.
    workers, threads, scheduler
        Where it runs: this process with a thread per core, N processes, or a Dask scheduler.
    progress
        Called after every chunk.

    Raises
    ------
    UsageError
        An unknown option or format.
    InputError
        A raster that cannot be used as it is.
    OutputConflictError
        The output exists or cannot be written.
    """
    job = VectorizeJob.parse({"classes": classes, "out": out, **options})
    where = Where.parse(workers, scheduler, threads)
    return run_vectorize(job, where=where, overwrite=overwrite, progress=progress)


def run_vectorize(
    job: VectorizeJob,
    *,
    where: Where | None = None,
    overwrite: bool = False,
    progress: Callable[[VectorizeProgress], None] | None = None,
) -> Vectorization:
    """Twin of `vectorize` that takes the frozen job."""
    started = time.monotonic()
    where = where or Where()
    out = job.out.absolute()
    tables = (NEIGHBOURS,) if job.neighbours else ()
    notes = require_names(out, tables=tables, overwrite=overwrite, inputs=job.inputs())
    plan = Plan.of(job)
    totals = Totals(plan.simplified)
    count = _Count(plan, totals, progress)
    # here, where a signal is heard: what runs ahead hears of it with its next polygons only
    chunks = plan.source.cleaned.sieved(plan.windows, where, count.add)
    stream = plan.finished(_rows(plan, results_of(plan.source.shapes, chunks, where, count.add), totals))
    # a cluster is started from the main thread alone, and its workers are ahead anyway
    with nullcontext(stream) if where.distributed else prefetched(stream, _BATCHES_AHEAD) as rows:
        paths = write_layer(out, rows, plan.layer(job, totals), overwrite=overwrite)
    add_files("vectorize", paths)
    return Vectorization(
        path=paths[0],
        paths=paths,
        layer=job.layer,
        classes=totals.by_class(plan.table),
        seconds=time.monotonic() - started,
        notes=(*notes, *plan.notes, *totals.notes(job)),
        squared=totals.squared(),
    )


def _rows(plan: Plan, chunks: Iterator[ChunkShapes], totals: Totals) -> Iterator[pa.RecordBatch]:
    """Batches of polygons, in the order of `stream_shapes`."""
    stream = stream_shapes(
        totals.squares_of(chunks),
        plan.across,
        most_corners=plan.most_corners,
        scale=plan.table.scale if plan.simplified else None,
    )
    for shapes in stream:
        totals.add(shapes)
        if plan.neighbours is not None:
            plan.neighbours.add(shapes)
        yield from plan.table.batches(shapes)


class _Count:
    """Pixels that all passes over the map are through with, as the user is told."""

    def __init__(
        self, plan: Plan, totals: Totals, progress: Callable[[VectorizeProgress], None] | None
    ) -> None:
        self._total = plan.classes.grid.window.area * (1 + len(plan.source.cleaned.steps.sieves))
        self._done, self._totals, self._progress = 0, totals, progress

    def add(self, window: Window) -> None:
        self._done += window.area
        if self._progress is not None:
            polygons = int(self._totals.polygons.sum())
            self._progress(VectorizeProgress(done=self._done, total=self._total, polygons=polygons))
