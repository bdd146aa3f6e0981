"""The verb: a class map in, polygons out; exact over any chunking, in memory that follows the width alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geoseg.errors import ChunksFailedError, GeosegError, InputError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.prefetch import prefetched
from geoseg.execution.where import available_cores
from geoseg.geometry import HECTARE, Window
from geoseg.legend import Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
from geoseg.results import as_json
from geoseg.vectorization.job import VectorizeJob
from geoseg.version import __version__
from geoseg.writers.write import require_names, write_layer

if TYPE_CHECKING:
    import pyarrow as pa
    from pyproj import CRS

    from geoseg.outlines.shapes import ChunkShapes
    from geoseg.outlines.stream import Shapes
    from geoseg.vectorization.chunk import Part
    from geoseg.vectorization.fractions import Fractions
    from geoseg.vectorization.neighbours import Neighbours
    from geoseg.vectorization.table import PolygonTable
    from geoseg.writers.layer import Layer, SideTable

T = TypeVar("T")

CONFIDENCE_NAME = "confidence.tif"
NEIGHBOURS = "neighbours"
_BAND_PIXELS = 1 << 22
_BLOCK = 512
_FEWEST_ROWS = 128
_WIDEST = 4096
_BATCHES_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorizeProgress:
    """How far a vectorization is.

    Attributes
    ----------
    done, total
        Pixels, over all passes: one more for filling holes, and one for small regions.
    polygons
        Polygons written.
    """

    done: int
    total: int
    polygons: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTotal:
    """One class of a vectorization.

    Attributes
    ----------
    class_id, name
        The class.
    polygons, pixels
        Numbers of both.
    hectares
        Geodesic area of those pixels.
    area_error
        By what share of it the simplified polygons are larger; None where they are exact.
    """

    class_id: int
    name: str
    polygons: int
    pixels: int
    hectares: float
    area_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareTotal:
    """Outlines that got right angles.

    Attributes
    ----------
    outlines
        Their number.
    mean_iou, least_iou
        Intersection over union with the traced outlines.
    """

    outlines: int
    mean_iou: float
    least_iou: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectorization:
    """What a vectorization made.

    Attributes
    ----------
    path
        The file to open.
    paths
        All files, that one first.
    classes
        Totals by class, in order of class number.
    seconds
        Time taken.
    notes
        What the user should know.
    squared
        What `square` did; None where it was not asked for, or nothing could be squared.
    """

    path: Path
    paths: tuple[Path, ...]
    classes: tuple[ClassTotal, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    squared: SquareTotal | None = None

    @property
    def polygons(self) -> int:
        """Number of polygons."""
        return sum(c.polygons for c in self.classes)

    @property
    def pixels(self) -> int:
        """Number of pixels in polygons."""
        return sum(c.pixels for c in self.classes)

    @property
    def hectares(self) -> dict[str, float]:
        """Geodesic hectares by class name."""
        return {c.name: c.hectares for c in self.classes}

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self, polygons=self.polygons, pixels=self.pixels)


def vectorize(
    classes: str | Path,
    *,
    out: str | Path,
    overwrite: bool = False,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[VectorizeProgress], None] | None = None,
    **options: Any,
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
    notes = require_names(out, tables=tables, overwrite=overwrite)
    plan = _Plan.of(job)
    totals = _Totals(plan.simplified)
    count = _Count(plan, totals, progress)
    # here, where a signal is heard: what runs ahead hears of it with its next polygons only
    parts = _sieved(plan, where, count)
    stream = plan.finished(_rows(plan, parts, where, totals, count))
    # a cluster is started from the main thread alone, and its workers are ahead anyway
    with nullcontext(stream) if where.distributed else prefetched(stream, _BATCHES_AHEAD) as rows:
        paths = write_layer(out, rows, plan.layer(job, totals), overwrite=overwrite)
    return Vectorization(
        path=paths[0],
        paths=paths,
        classes=totals.by_class(plan.table),
        seconds=time.monotonic() - started,
        notes=(*notes, *plan.notes, *totals.notes(job)),
        squared=totals.squared(),
    )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """A job with its inputs opened and checked."""

    classes: ClassMap
    most_corners: int | None
    source: Any
    table: PolygonTable
    simplified: bool
    fractions: Fractions | None
    neighbours: Neighbours | None
    cut: bool
    windows: tuple[Window, ...]
    across: int
    crs_wkt: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, job: VectorizeJob) -> _Plan:
        from geoseg.geometry.integer_areas import area_unit
        from geoseg.outlines.coverage import Generalization
        from geoseg.outlines.lengths import EdgeLengths, SlantLengths
        from geoseg.vectorization.chunk import ChunkSource
        from geoseg.vectorization.limits import cleaning_of
        from geoseg.vectorization.neighbours import Neighbours
        from geoseg.vectorization.reproject import output_crs
        from geoseg.vectorization.table import PolygonTable

        classes = open_class_map(job.classes, band=job.band, **job.reading)
        confidence, notes = _confidence(job, classes)
        if job.conf_min and confidence is None:
            raise UsageError("conf_min needs a confidence raster", hint="`confidence=FILE`")
        grid, unit = classes.grid, area_unit(classes.grid)
        wanted = output_crs(job)
        # a longitude can pass 180 only where it was asked for: a map's own coordinates stay as they are
        cut = wanted is not None and wanted.is_geographic
        crs = None if wanted is None or wanted.equals(grid.crs, ignore_axis_order=True) else wanted
        cleaning = cleaning_of(job, unit, lambda names: _chosen(job, classes.declared, names))
        generalization = Generalization.of(
            grid, job.simplify, job.method, job.smooth, _chosen(job, classes.declared, job.square) or ()
        )
        height, width = chunk_shape(grid.height, grid.width, job.chunk)
        if generalization is not None:
            height, width = generalization.chunk_shape(height, width)
        lengths = (
            EdgeLengths.of(grid) if generalization is None else SlantLengths.of(grid, generalization.scale)
        )
        return cls(
            classes=classes,
            most_corners=job.max_corners or None,
            source=ChunkSource(
                classes=classes,
                confidence=confidence,
                area_unit=unit,
                only=_chosen(job, classes.declared, job.only),
                cleaning=cleaning,
                generalization=generalization,
            ),
            table=PolygonTable(
                grid=grid,
                area_unit=unit,
                lengths=lengths,
                legend=classes.declared,
                has_confidence=confidence is not None,
                has_least=job.conf_min,
                run_id=_run_id(classes),
                crs=crs,
                scale=1 if generalization is None else generalization.scale,
            ),
            simplified=generalization is not None,
            neighbours=Neighbours(lengths) if job.neighbours else None,
            fractions=_fractions(job, grid.crs if crs is None else crs),
            cut=cut,
            windows=tuple(grid.window.blocks(height, width)),
            across=-(-grid.width // width),
            crs_wkt=classes.crs_wkt if crs is None else crs.to_wkt(),
            notes=(*classes.scene.notes, *notes),
        )

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        schema = self.table.schema
        if self.neighbours is not None:
            from geoseg.vectorization.neighbours import with_number

            schema = with_number(schema)
        return schema if self.fractions is None else self.fractions.schema(schema)

    def finished(self, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of the table as they are written: cut at the antimeridian, numbered, with class fractions."""
        if self.cut:
            from geoseg.vectorization.dateline import cut_at_antimeridian

            rows = cut_at_antimeridian(rows, continuous=self.classes.grid.crs.is_geographic)
        if self.neighbours is not None:
            from geoseg.vectorization.neighbours import numbered

            rows = numbered(rows)
        return rows if self.fractions is None else self.fractions.added(rows)

    def layer(self, job: VectorizeJob, totals: _Totals) -> Layer:
        from geoseg.raster.style import vector_qml
        from geoseg.writers.layer import Layer

        return Layer(
            name=job.layer,
            crs_wkt=self.crs_wkt,
            schema=self.schema,
            tables={NEIGHBOURS: self._neighbours()},
            detail=max(self.classes.grid.ground_size),
            style=lambda: vector_qml(self.legend(totals)),
            metadata={
                "description": f"Polygons of {self.classes.path.name}: 4-connected areas of one class. "
                "area_ha and perim_m are geodesic.",
                "software": f"geoseg {__version__}",
                **({} if self.table.run_id is None else {"run_id": self.table.run_id}),
            },
        )

    def _neighbours(self) -> SideTable | None:
        from geoseg.writers.layer import SideTable

        if self.neighbours is None:
            return None
        return SideTable(
            description="Polygons with a common border, by region_id", rows=self.neighbours.table
        )

    def legend(self, totals: _Totals) -> Legend:
        """The map's legend, or one of the classes that were met."""
        if self.classes.declared is not None:
            return self.classes.declared
        seen = [int(i) for i in np.flatnonzero(totals.polygons)]
        return Legend.of(
            {i: self.table.name_of(i) for i in seen},
            {i: c for i, c in self.classes.colors.items() if i in seen},
        )


class _Totals:
    """Running totals by class number."""

    def __init__(self, simplified: bool) -> None:
        self.drawn = np.zeros(256, np.int64) if simplified else None
        self.polygons = np.zeros(256, np.int64)
        self.pixels = np.zeros(256, np.int64)
        self.area = np.zeros(256, np.int64)
        self._squared, self._overlap, self._least = 0, 0.0, 1.0
        self._cut = 0

    def add_squared(self, overlap: np.ndarray) -> None:
        if len(overlap):
            self._squared += len(overlap)
            self._overlap += float(overlap.sum())
            self._least = min(self._least, float(overlap.min()))

    def squared(self) -> SquareTotal | None:
        if self._squared == 0:
            return None
        mean = self._overlap / self._squared
        return SquareTotal(outlines=self._squared, mean_iou=mean, least_iou=self._least)

    def notes(self, job: VectorizeJob) -> list[str]:
        """What became of regions that were too large for one polygon."""
        if self._cut == 0:
            return []
        return [
            f"regions of more than {job.max_corners:,} corners were cut along rows of the map: "
            f"{self._cut} cuts (`max_corners`)"
        ]

    def add(self, shapes: Shapes) -> None:
        self._cut += shapes.cut
        regions, ids = shapes.regions, shapes.regions["class_id"]
        self.polygons += np.bincount(ids, minlength=256)
        np.add.at(self.pixels, ids, regions["pixels"])
        np.add.at(self.area, ids, regions["area"])
        if self.drawn is not None:
            from geoseg.outlines.lengths import doubled_areas

            np.add.at(self.drawn, ids, doubled_areas(shapes.rings))

    def area_error(self, class_id: int, scale: int) -> float | None:
        """Share by which a class's polygons are larger than its pixels."""
        if self.drawn is None:
            return None
        return float(self.drawn[class_id]) / (2 * scale**2 * float(self.pixels[class_id])) - 1

    def by_class(self, table: PolygonTable) -> tuple[ClassTotal, ...]:
        return tuple(
            ClassTotal(
                class_id=int(i),
                name=table.name_of(int(i)),
                polygons=int(self.polygons[i]),
                pixels=int(self.pixels[i]),
                hectares=float(self.area[i]) * table.area_unit / HECTARE,
                area_error=self.area_error(int(i), table.scale),
            )
            for i in np.flatnonzero(self.polygons)
        )


def _rows(
    plan: _Plan, parts: list[Part], where: Where, totals: _Totals, count: _Count
) -> Iterator[pa.RecordBatch]:
    """Batches of polygons, in the order of `stream_shapes`."""
    from geoseg.outlines.stream import stream_shapes

    def chunks() -> Iterator[ChunkShapes]:
        for chunk in _results(plan.source.shapes, parts, where, count):
            totals.add_squared(chunk.overlap)
            yield chunk

    stream = stream_shapes(
        chunks(),
        plan.across,
        most_corners=plan.most_corners,
        scale=plan.table.scale if plan.simplified else None,
    )
    for shapes in stream:
        totals.add(shapes)
        if plan.neighbours is not None:
            plan.neighbours.add(shapes)
        yield from plan.table.batches(shapes)


def _sieved(plan: _Plan, where: Where, count: _Count) -> list[Part]:
    """Chunks with what became of their small regions: one pass over the map for each sieve."""
    from geoseg.regions.sieve import SieveJoin
    from geoseg.vectorization.chunk import Part

    parts = [Part(window=window) for window in plan.windows]
    for sieve in plan.source.cleaning.sieves:
        join = SieveJoin(sieve)
        found = _results(plan.source.undecided, parts, where, count)
        while row := list(islice(found, plan.across)):
            join.add_row(row)
        parts = [
            Part(window=part.window, patches=(*part.patches, patch))
            for part, patch in zip(parts, join.patches(), strict=True)
        ]
    return parts


def _results(task: Callable[[Part], T], parts: list[Part], where: Where, count: _Count) -> Iterator[T]:
    """Results of a task on every chunk, in order."""
    for outcome in run_chunks(task, parts, where, concurrency=available_cores(), ordered=True):
        if outcome.error is not None:
            raise _failed(outcome.item.window, outcome.error)
        count.add(outcome.item.window)
        yield outcome.result()


class _Count:
    """Pixels that all passes over the map are through with, as the user is told."""

    def __init__(
        self, plan: _Plan, totals: _Totals, progress: Callable[[VectorizeProgress], None] | None
    ) -> None:
        self._total = plan.classes.grid.window.area * (1 + len(plan.source.cleaning.sieves))
        self._done, self._totals, self._progress = 0, totals, progress

    def add(self, window: Window) -> None:
        self._done += window.area
        if self._progress is not None:
            polygons = int(self._totals.polygons.sum())
            self._progress(VectorizeProgress(done=self._done, total=self._total, polygons=polygons))


def _failed(window: Window, error: GeosegError) -> GeosegError:
    """The error of one chunk: a user's own as it is, any other as a failed chunk."""
    if type(error) is not GeosegError:
        return error
    return ChunksFailedError(
        f"chunk at row {window.row} column {window.col} failed", why=error.what, hint=error.hint
    )


def chunk_shape(height: int, width: int, chunk: int | None = None) -> tuple[int, int]:
    """(rows, columns) of a chunk; a row of chunks, which memory follows, holds some 4 million pixels."""
    if chunk is not None:
        return chunk, chunk
    across = -(-width // _WIDEST)
    columns = -(-width // across // _BLOCK) * _BLOCK
    rows = min(_BAND_PIXELS // width, height // 4, columns) // _FEWEST_ROWS * _FEWEST_ROWS
    return max(rows, _FEWEST_ROWS), columns


def _chosen(
    job: VectorizeJob, legend: Legend | None, values: tuple[int | str, ...]
) -> tuple[int, ...] | None:
    """Class numbers of an option that names classes; None where it names none."""
    if not values:
        return None
    if legend is None:
        names = [v for v in values if isinstance(v, str)]
        if names:
            raise UsageError(
                f"class {names[0]!r} is a name, and the map has none", where=job.classes, hint="its number"
            )
        return tuple(sorted({int(v) for v in values}))
    return tuple(sorted({legend.find(v).id for v in values}))


def _confidence(job: VectorizeJob, classes: ClassMap) -> tuple[Scene | None, list[str]]:
    """Confidence raster to use, and what to tell the user about it."""
    beside = classes.path.with_name(CONFIDENCE_NAME)
    path = job.confidence or (beside if beside.is_file() and beside != classes.path else None)
    if path is None:
        return None, []
    scene = open_scene(path, assume_crs=job.assume_crs, assume_transform=job.assume_transform)
    difference = classes.grid.difference(scene.grid)
    why = f"against {classes.path.name}: {difference}" if difference else f"{scene.count} bands, expected one"
    if difference or scene.count != 1:
        if job.confidence is None:
            return None, [f"{path.name} beside the class map is not its confidence and was left out: {why}"]
        raise InputError("not the confidence of this class map", where=path, why=why)
    return scene, []


def _run_id(classes: ClassMap) -> str | None:
    from geoseg.raster.open import open_raster, safe_gdal

    with safe_gdal():
        tag = open_raster(classes.path, allow_vrt=classes.scene.allow_vrt).tags().get("GEOSEG_RUN")
    return str(tag) if tag else None


def _fractions(job: VectorizeJob, crs: CRS) -> Fractions | None:
    if job.fractions is None:
        return None
    from geoseg.vectorization.fractions import Fractions

    return Fractions.of(open_class_map(job.fractions, allow_vrt=job.allow_vrt), crs)
