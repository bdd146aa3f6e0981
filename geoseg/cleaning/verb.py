"""The verb: a class map in, a calmer one out; whole or not at all, in memory that follows the width alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from geoseg.cleaning.cleaned import CleanedMap, SievedChunk, chunk_shape, cleaned_map, results_of
from geoseg.cleaning.job import Cleaning, CleanJob
from geoseg.execution import Where
from geoseg.execution.manifest import add_files
from geoseg.files import require_folder, require_free
from geoseg.geometry import HECTARE, Window
from geoseg.job import takes
from geoseg.legend import NODATA
from geoseg.options import CleanOptions
from geoseg.raster.classmap import CLASS_TAG, ClassMap, open_class_map
from geoseg.raster.cog import RasterLayer, publish_cog
from geoseg.raster.open import open_raster, safe_gdal
from geoseg.results import as_json

_TAG = "GEOSEG_CLEANING"


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanProgress:
    """How far a cleaning is: pixels done of `total`, over all passes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedClass:
    """One class before and after.

    Attributes
    ----------
    class_id, name
        The class.
    before, after
        Its pixels.
    hectares
        Geodesic area afterwards.
    """

    class_id: int
    name: str
    before: int
    after: int
    hectares: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What a cleaning made.

    Attributes
    ----------
    path
        The class map.
    classes
        Every class that occurs before or afterwards, in order of class number.
    changed
        Pixels that have another class, or none, or one where there was none.
    seconds
        Time taken.
    notes
        What the user should know.
    """

    path: Path
    classes: tuple[CleanedClass, ...]
    changed: int
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A chunk's pixels, cleaned, with the numbers of both."""

    classes: NDArray[np.uint8]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    units: NDArray[np.int64]
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    cleaned: CleanedMap[ClassMap]

    def __call__(self, chunk: SievedChunk) -> _Counted:
        before = self.cleaned.classes.read(chunk.window)
        after = np.ascontiguousarray(self.cleaned.read(chunk)[1:-1, 1:-1])
        units = np.zeros(256, np.int64)
        np.add.at(units, after, np.broadcast_to(self.cleaned.areas(chunk.window), after.shape))
        return _Counted(
            classes=after,
            before=np.bincount(before.ravel(), minlength=256),
            after=np.bincount(after.ravel(), minlength=256),
            units=units,
            changed=int((before != after).sum()),
        )


@takes(CleanJob)
def clean(
    classes: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[CleanProgress], None] | None = None,
    **options: Unpack[CleanOptions],
) -> Cleaned:
    """A class map made calmer: majority filter, opening and closing, holes filled, small regions removed.

    The result is that of the whole raster for every chunk and number of workers, and what `vectorize` makes
    its polygons of with the same options.

    Parameters
    ----------
    classes, out, options
        Fields of `CleanJob`.
    overwrite
        Replace a file of that name.
    workers, threads, scheduler
        Where it runs: this process with a thread per core, N processes, or a Dask scheduler.
    progress
        Called after every chunk.

    Raises
    ------
    UsageError
        An unknown option, or no step at all.
    InputError
        A raster that cannot be used as it is.
    OutputConflictError
        The output exists or cannot be written.
    """
    job = CleanJob.parse({"classes": classes, "out": out, **options})
    where = Where.parse(workers, scheduler, threads)
    return run_clean(job, where=where, overwrite=overwrite, progress=progress)


def run_clean(
    job: CleanJob,
    *,
    where: Where | None = None,
    overwrite: bool = False,
    progress: Callable[[CleanProgress], None] | None = None,
) -> Cleaned:
    """Twin of `clean` that takes the frozen job."""
    started = time.monotonic()
    where, out = where or Where(), job.out.absolute()
    require_folder(out)
    require_free(out, overwrite=overwrite, inputs=job.inputs())
    classes = open_class_map(job.classes, job.legend, band=job.band, crosswalk=job.crosswalk, **job.reading)
    cleaned = cleaned_map(classes, job)
    grid = classes.grid
    windows = list(grid.window.blocks(*chunk_shape(*grid.shape, job.chunk)))
    passes, through = 1 + len(cleaned.steps.sieves), 0

    def done(window: Window) -> None:
        nonlocal through
        through += window.area
        if progress is not None:
            progress(CleanProgress(done=through, total=passes * grid.window.area))

    chunks = cleaned.sieved(windows, where, done)
    made = results_of(_Task(cleaned=cleaned), chunks, where, done)
    sums = np.zeros((3, 256), np.int64)
    changed = 0

    def read(_: Window) -> NDArray[np.uint8]:
        # chunks come in the order in which they are asked for
        nonlocal changed
        chunk = next(made)
        sums[:] += chunk.before, chunk.after, chunk.units
        changed += chunk.changed
        return chunk.classes

    legend = classes.legend
    publish_cog(
        out,
        grid,
        read,
        windows,
        RasterLayer(legend=legend, crs_wkt=classes.crs_wkt, tags=_tags(job, classes), description="classes"),
        overwrite=overwrite,
    )
    add_files("clean", [out])
    met = [int(i) for i in np.flatnonzero(sums[:2].any(axis=0)) if i != NODATA]
    return Cleaned(
        path=out,
        classes=tuple(
            CleanedClass(
                class_id=i,
                name=legend.name(i),
                before=int(sums[0, i]),
                after=int(sums[1, i]),
                hectares=float(sums[2, i]) * cleaned.area_unit / HECTARE,
            )
            for i in met
        ),
        changed=changed,
        seconds=time.monotonic() - started,
        notes=classes.scene.notes,
    )


def _tags(job: CleanJob, classes: ClassMap) -> dict[str, str]:
    """The map's own metadata items, and how it was cleaned."""
    with safe_gdal():
        own = open_raster(classes.path, allow_vrt=classes.scene.allow_vrt).tags()
    cleaning = job.model_dump(mode="json", include=set(Cleaning.model_fields), exclude_defaults=True)
    kept = {key: value for key, value in own.items() if not key.startswith((CLASS_TAG, "STATISTICS_"))}
    return {**kept, _TAG: json.dumps(cleaning, ensure_ascii=False, sort_keys=True)}
