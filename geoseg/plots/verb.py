"""The verb zones: one row for each plot, with what a map, a change or a series holds within it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS

from geoseg.errors import InputError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.execution.opened import Opened
from geoseg.files import require_folder, require_free
from geoseg.job import takes
from geoseg.options import ZonesOptions
from geoseg.plots.batches import Plots, Survey, plots_of, survey
from geoseg.plots.job import ZonesJob
from geoseg.plots.measure import Measure, open_measure
from geoseg.plots.sheets import SUFFIXES, write_sheet
from geoseg.plots.sums import Adder
from geoseg.plots.table import VERDICTS, PlotTable, rule_of
from geoseg.raster.batches import VectorInfo, vector_info
from geoseg.results import as_json
from geoseg.version import __version__
from geoseg.writers.formats import format_of, suffixes
from geoseg.writers.layer import GEOMETRY, GeometryType, Layer
from geoseg.writers.lonlat import LONLAT, to_lonlat
from geoseg.writers.write import require_names, write_layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Plots with what was found in them.

    Attributes
    ----------
    path, paths
        The file to open, and all that were written.
    plots
        Rows.
    hectares
        Sum over all plots of each column of hectares; overlapping plots count twice.
    verdicts
        Plots by verdict; empty where one map shows no loss.
    rule
        The rule of the verdict in words.
    problems
        Plots that have some.
    of
        What was added up: source, classes whose loss counts, dates.
    seconds
        Time taken.
    notes
        What the user should know.
    """

    path: Path
    paths: tuple[Path, ...]
    plots: int
    hectares: Mapping[str, float]
    verdicts: Mapping[str, int]
    rule: Mapping[str, str]
    problems: int
    of: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonesProgress:
    """How many of all plots are done."""

    done: int
    total: int


@takes(ZonesJob)
def zones(
    source: str | Path,
    plots: str | Path,
    *,
    out: str | Path,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Callable[[ZonesProgress], None] | None = None,
    **options: Unpack[ZonesOptions],
) -> Zones:
    """One row for each plot: hectares by class, loss after a cut-off date, and a verdict with its rule.

    Pixels count with the exact part that a plot covers. Plots come and go in batches, so that millions of
    them need no more memory than thousands, but for a box of each.

    Parameters
    ----------
    source
        A class map, or the folder of a change or a series.
    plots
        Polygons or points; their own columns are kept.
    out
        GeoPackage, GeoJSON, another vector file, .csv or .xlsx.
    workers, threads, scheduler
        As in `geoseg.predict`; in this process, one batch of plots is added up at a time.
    overwrite
        Replace a file of that name.
    progress
        Called after every batch.
    options
        The other fields of `ZonesJob`.

    Raises
    ------
    UsageError, InputError, OutputConflictError
        With what to do about it.
    """
    job = ZonesJob.parse({"source": source, "plots": plots, "out": out, **options})
    where = Where.parse(workers, scheduler, threads)
    return run_zones(job, where=where, overwrite=overwrite, progress=progress)


def run_zones(
    job: ZonesJob,
    *,
    where: Where | None = None,
    overwrite: bool = False,
    progress: Callable[[ZonesProgress], None] | None = None,
) -> Zones:
    """Twin of `zones` that takes the frozen job."""
    started = time.monotonic()
    notes = _check_output(job, overwrite)
    measure = open_measure(job)
    info = vector_info(
        job.plots,
        layer=job.layer,
        assume_crs=job.assume_crs_plots,
        crs_option="assume_crs_plots",
        encoding=job.encoding,
    )
    crs = CRS.from_user_input(info.crs)
    if crs.geodetic_crs is None:
        raise InputError("plots lie nowhere on the earth", where=job.plots, why=f"their CRS is {crs.name}")
    heard: list[str] = []
    known = survey(info, crs, heard)
    if not known.count:
        raise InputError("no plots", where=job.plots)
    if job.area_field is not None and job.area_field not in known.fields.names:
        why = f"fields are {', '.join(known.fields.names)}"
        raise UsageError(f"no field {job.area_field!r}", where=job.plots, why=why, hint="`area_field=NAME`")
    table = PlotTable.of(job, measure, known, Adder(measure, crs))
    rule = rule_of(job) if measure.losses is not None else {}
    told = _Told(names=table.names)
    task = _Batch(table=Opened(table, _open_table, (job, known, crs)))
    outcomes = run_chunks(task, plots_of(info, crs), where, ordered=True)
    rows = told.heard((outcome.result() for outcome in outcomes), known.count, progress)
    about = {"source": str(job.source), **measure.words, "cut-off": job.cutoff or "none", **rule}
    if job.out.suffix.lower() in SUFFIXES:
        write_sheet(job.out, rows, [n for n in table.schema.names if n != GEOMETRY], about, known.count)
        paths: tuple[Path, ...] = (job.out,)
    else:
        paths = _write(job, info, known, table.schema, rows, about, overwrite)
    add_files("zones", paths)
    renamed = {**table.own, **table.names}
    return Zones(
        path=paths[0],
        paths=paths,
        plots=known.count,
        hectares={k: round(v, 6) for k, v in told.hectares.items()},
        verdicts={v: told.verdicts[v] for v in VERDICTS} if rule else {},
        rule=rule,
        problems=told.problems,
        of=measure.words,
        seconds=time.monotonic() - started,
        notes=(
            *notes,
            *heard,
            *measure.notes,
            *(f"column {a} is called {b}, since the name is taken" for a, b in renamed.items() if a != b),
            *_notes(known, told, measure),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What one worker does to one batch of plots."""

    table: Opened[PlotTable]

    def __call__(self, plots: Plots) -> pa.RecordBatch:
        """Rows."""
        return self.table.value.batch(plots)


def _open_table(known: tuple[ZonesJob, Survey, CRS]) -> PlotTable:
    job, plots, crs = known
    measure = open_measure(job)
    return PlotTable.of(job, measure, plots, Adder(measure, crs))


@dataclass(slots=True)
class _Told:
    """What went by, summed; `names` are those under which our columns are written."""

    names: Mapping[str, str]
    hectares: dict[str, float] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: int = 0
    outside: int = 0

    def heard(
        self,
        batches: Iterator[pa.RecordBatch],
        total: int,
        progress: Callable[[ZonesProgress], None] | None,
    ) -> Iterator[pa.RecordBatch]:
        """The batches."""
        done = 0
        order = list(self.names)
        summed = order[order.index("inside") :]
        for batch in batches:
            column = {name: batch[written] for name, written in self.names.items()}
            for name in summed:
                if name.endswith("_ha") and name != "largest_event_ha":
                    values = column[name].to_numpy(zero_copy_only=False).astype(np.float64)
                    self.hectares[name] = self.hectares.get(name, 0.0) + float(np.nansum(values))
            if "verdict" in column:
                self.verdicts.update(column["verdict"].to_pylist())
            self.problems += len(batch) - column["problems"].null_count
            self.outside += int((column["inside"].to_numpy(zero_copy_only=False) == 0).sum())
            yield batch
            done += len(batch)
            if progress is not None:
                progress(ZonesProgress(done=done, total=total))


def _check_output(job: ZonesJob, overwrite: bool) -> tuple[str, ...]:
    """Notes, if the output may be written."""
    if job.out.suffix.lower() in SUFFIXES:
        require_folder(job.out)
        require_free(job.out, overwrite=overwrite, inputs=job.inputs())
        return ()
    try:
        format_of(job.out)
    except UsageError as error:
        known = f"the suffix is the format: {suffixes()} {' '.join(SUFFIXES)}"
        raise UsageError(error.what, where=job.out, why=known, hint=error.hint) from None
    if format_of(job.out).companions:
        raise UsageError(
            "a Shapefile cannot hold the names of these columns",
            where=job.out,
            why="it has 10 characters for each",
            hint=f"{job.out.with_suffix('.gpkg').name}",
        )
    return require_names(job.out, overwrite=overwrite, inputs=job.inputs())


def _write(
    job: ZonesJob,
    info: VectorInfo,
    known: Survey,
    schema: pa.Schema,
    rows: Iterator[pa.RecordBatch],
    about: Mapping[str, Any],
    overwrite: bool,
) -> tuple[Path, ...]:
    """Paths of the layer of plots, in the CRS that they came in where the format can hold it."""
    format_, crs = format_of(job.out), CRS.from_user_input(info.crs)
    kind: GeometryType = "Unknown"
    if known.is_mixed:
        kind = "Unknown"
    elif not known.points:
        kind = "MultiPolygon"
    elif not known.polygons:
        kind = "MultiPoint"

    def shaped() -> Iterator[pa.RecordBatch]:
        place = schema.names.index(GEOMETRY)
        for batch in rows:
            shapes = np.asarray(
                shapely.from_wkb(batch[GEOMETRY].to_numpy(zero_copy_only=False), on_invalid="fix"), object
            )
            if format_.is_lonlat:
                shapes = to_lonlat(shapes, crs)
            columns = batch.columns
            columns[place] = pa.array(shapely.to_wkb(_multi(shapes, kind)), pa.large_binary())
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return write_layer(
        job.out,
        shaped(),
        Layer(
            name="plots",
            crs_wkt=(LONLAT if format_.is_lonlat else crs).to_wkt(),
            schema=schema,
            geometry_type=kind,
            has_nulls=known.missing > 0,
            metadata={
                "description": "; ".join(f"{key}: {value}" for key, value in about.items()),
                "software": f"geoseg {__version__}",
            },
        ),
        overwrite=overwrite,
    )


def _multi(shapes: Any, kind: GeometryType) -> Any:
    """Geometries of one type where the layer has one."""
    out = shapes.copy()
    if kind == "MultiPolygon":
        single = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
        out[single] = shapely.multipolygons(shapes[single], indices=np.arange(len(single)))
    elif kind == "MultiPoint":
        single = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.POINT)
        out[single] = shapely.multipoints(shapes[single], indices=np.arange(len(single)))
    return out


def _notes(known: Survey, told: _Told, measure: Measure) -> list[str]:
    notes = []
    if known.points:
        notes.append(f"{known.points:,} plots are points: each has the class of the pixel that it lies in")
    if known.overlaps:
        notes.append(f"{len(known.overlaps):,} plots overlap others: sums over plots count that twice")
    if told.outside == known.count:
        notes.append("no plot lies in the map: check the CRS of both")
    elif told.outside:
        notes.append(f"{told.outside:,} plots lie outside the map")
    return notes
