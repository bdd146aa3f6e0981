"""The verb change: transitions between two class maps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from numpy.typing import NDArray

from geoseg.changes.chunk import ChunkChange, Comparison, Pair, changes_to_keep
from geoseg.changes.classes import Classes, join
from geoseg.changes.job import AFTER_NAMES, BEFORE_NAMES, ChangeJob
from geoseg.changes.misregistration import misregistration, sample_windows
from geoseg.changes.polygons import ChangePolygons, require_format
from geoseg.changes.result import CLASS_TABLE, RASTER, REPORT, STRATA, STYLE, TABLE, Change, Period
from geoseg.changes.strata import strata_yaml
from geoseg.changes.transitions import PairTables, Transitions
from geoseg.cleaning.cleaned import SievedChunk, chunk_shape
from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.files import commit, partial_folder, require_out, require_report, writing
from geoseg.geometry import HECTARE, Window
from geoseg.geometry.integer_areas import area_unit
from geoseg.job import takes
from geoseg.legend import LandClass, Legend
from geoseg.options import ChangeOptions
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.dates import MapDate, date_of
from geoseg.raster.pairs import PairCodes
from geoseg.raster.reading import called, called_notes
from geoseg.raster.rules import read_crosswalk
from geoseg.raster.style import raster_qml
from geoseg.raster.united import lines_for
from geoseg.writers.write import require_names, write_layer

_TIME_OF_WRITING = "TIFFTAG_DATETIME"
"""A tag that often says when a file was made: no date of a map."""


@takes(ChangeJob)
def change(
    before: str | PathLike[str],
    after: str | PathLike[str],
    *,
    out: str | PathLike[str],
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    **options: Unpack[ChangeOptions],
) -> Change:
    """Transitions between two class maps, in pixels and geodesic hectares.

    Parameters
    ----------
    before, after
        The class maps; classes with equal names are the same class.
    out
        Folder that gets change.tif with its style, transitions.csv, classes.csv and transitions.json.
    workers, threads, scheduler
        As in `geoseg.predict`; in this process, `threads` windows are compared at a time.
    overwrite
        Replace files of these names that no comparison wrote.
    **options
        The further fields of `ChangeJob`: crosswalk, legend, align, date_before, date_after, remove_slivers,
        min_area, polygons, strata_class and others.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Before anything is written.
    """
    job = ChangeJob.parse({"before": before, "after": after, "out": out, **options})
    return run_change(job, where=Where.parse(workers, scheduler, threads), overwrite=overwrite)


def run_change(job: ChangeJob, *, where: Where | None = None, overwrite: bool = False) -> Change:
    """Change of a job; see `change`."""
    where = where or Where()
    kept = _check_output(job, overwrite)
    pair, legend, notes = _open(job)
    notes += kept
    if job.polygons is not None:
        require_format(job.polygons, pair.grid)
    chosen = None if job.strata_class is None else legend.find(job.strata_class)
    period = _period(job, notes)
    unit = area_unit(pair.grid)
    least = math.ceil(job.min_area * HECTARE / unit)
    task = Comparison(kept=changes_to_keep(pair, remove_slivers=job.remove_slivers, least=least, unit=unit))
    windows = pair.before.scan_windows()
    if least:
        windows = list(pair.grid.window.blocks(*chunk_shape(*pair.grid.shape)))
    chunks = task.kept.sieved(windows, where, lambda _: None)
    found, digests = _compared(task, chunks, where)
    total = found.mapped.undone(found.small)
    total = total.undone(found.slivers) if job.remove_slivers else total
    shift = misregistration(sample_windows(*pair.grid.shape), pair.classes)
    codes = PairCodes.of(legend, total.counts)
    result = Change(
        transitions=total,
        slivers=found.slivers,
        small=found.small,
        removed_slivers=job.remove_slivers,
        codes=codes,
        out=job.out,
        period=period,
        misregistration=shift,
        strata=None if chosen is None else job.out / STRATA,
        provenance={
            "before": {"path": str(job.before), "files": pair.before.scene.fingerprint()["files"]},
            "after": {"path": str(job.after), "files": pair.after.scene.fingerprint()["files"]},
            "grid": pair.grid.to_json(),
            "job": job.model_dump(mode="json", exclude_none=True),
        },
    )
    result = replace(
        result, notes=tuple(dict.fromkeys((*notes, *_remarks(result, max(pair.grid.ground_size)))))
    )
    return _written(result, job, _Published(task=task, codes=codes, digests=digests), chunks, where, chosen)


def _compared(
    task: Comparison, chunks: Sequence[SievedChunk], where: Where
) -> tuple[ChunkChange, dict[Window, str]]:
    """(all chunks together, digest of each)."""
    tables, unit = task.kept.classes.tables, task.kept.area_unit
    nothing = Transitions.zero(tables.names, unit)
    total = ChunkChange(mapped=nothing, slivers=nothing, small=nothing, digest="")
    digests = {}
    for outcome in run_chunks(task, chunks, where, concurrency=min(where.threads_here, len(chunks))):
        part = outcome.result()
        digests[outcome.item.window] = part.digest
        total = total + part
    return total, digests


@dataclass(frozen=True, kw_only=True)
class _Published:
    """The from-to raster as it is written, compared with what was counted."""

    task: Comparison
    codes: PairCodes
    digests: Mapping[Window, str]

    def read(self, chunk: SievedChunk) -> NDArray[Any]:
        """Codes (h, w) of a chunk."""
        tables, numbers = self.task.kept.classes.tables, self.task.numbers(chunk)
        if tables.digest(numbers) != self.digests[chunk.window]:
            raise GeosegError(
                f"pixels at row {chunk.window.row} column {chunk.window.col} are not those that were counted",
                why="a map was replaced or cannot be read in the same way twice",
                hint="run it again",
            )
        table = tables.codes(self.codes.table)
        return table[numbers].astype(self.codes.dtype, copy=False)


def _open(job: ChangeJob) -> tuple[Pair, Legend, list[str]]:
    """Both maps, the classes of both together, and notes."""
    if job.crosswalk is not None and (job.crosswalk_before is not None or job.crosswalk_after is not None):
        raise UsageError("`crosswalk` is for both maps", hint="it, or one for each date")
    with called(job.names_at(BEFORE_NAMES)):
        before = open_class_map(
            job.before,
            job.legend,
            band=job.band_before,
            to_recode=(job.crosswalk or job.crosswalk_before) is not None,
            **job.reading_at(BEFORE_NAMES),
        )
    with called(job.names_at(AFTER_NAMES)):
        after = open_class_map(
            job.after,
            job.legend,
            band=job.band_after,
            to_recode=(job.crosswalk or job.crosswalk_after) is not None,
            **job.reading_at(AFTER_NAMES),
        )
    notes = [
        *called_notes(before.scene.notes, job.names_at(BEFORE_NAMES)),
        *called_notes(after.scene.notes, job.names_at(AFTER_NAMES)),
    ]
    difference = before.grid.difference(after.grid)
    if difference is not None:
        if job.align == "refuse":
            raise InputError(
                "the two maps are on different grids",
                where=job.after,
                why=difference,
                hint="`align=nearest`: each pixel of the map before takes the class after under its centre",
            )
        notes.append(f"map after sampled at the pixel centres of the map before ({difference})")
    walks = [
        read_crosswalk(one if job.crosswalk is None else job.crosswalk)
        for one in (job.crosswalk_before, job.crosswalk_after)
    ]
    names = job.names_at(BEFORE_NAMES), job.names_at(AFTER_NAMES)
    maps, legends, said = _named(before, after, walks, names)
    notes += said
    classes = join(*legends)
    notes += _unshared(classes)
    tables = PairTables.of(classes.legend.names, classes.before, classes.after)
    pair = Pair(before=maps[0], after=maps[1], called_at=names, same_grid=difference is None, tables=tables)
    return pair, classes.legend, notes


def _period(job: ChangeJob, notes: list[str]) -> Period:
    """Dates of both maps, as far as they are known; adds a note where they cannot be right."""
    dates: list[MapDate | None] = []
    found: list[str | None] = []
    for path, given in ((job.before, job.date_before), (job.after, job.date_after)):
        try:
            date, place = (MapDate.parse(given), "given") if given is not None else date_of(path)
        except InputError as error:
            date, place = None, None
            if "no day" in error.what:
                notes.append(f"no rates: {path.name}: {error.what} (`date_before`, `date_after`)")
        if place == _TIME_OF_WRITING:
            date, place = None, None
        dates.append(date)
        found.append(place)
    period = Period(before=dates[0], after=dates[1], found=(found[0], found[1]))
    if period.years is None and None not in dates:
        notes.append(
            f"no rates: the map after is of {period.texts[1]}, that before of {period.texts[0]} "
            "(`date_before`, `date_after`)"
        )
    return period


def _remarks(result: Change, metres: float) -> list[str]:
    """What was found that the user should know."""
    notes = []
    if result.small.changed:
        notes.append(f"{result.small.changed:,.2f} ha of changed areas below `min_area` were taken back")
    if result.misregistration is not None and (note := result.misregistration.note(metres)):
        notes.append(note)
    return notes


def _named(
    before: ClassMap,
    after: ClassMap,
    crosswalks: Sequence[Mapping[Any, Any] | None],
    called_at: Sequence[Mapping[str, str]],
) -> tuple[list[ClassMap], list[Legend], list[str]]:
    """Both maps as their crosswalks read them, their legends, and notes.

    Numbers of a map without names mean what the other map calls them; a crosswalk says itself what they mean.

    Raises
    ------
    InputError
        Numbers that the other map has no name for, or a crosswalk of classes that neither map has.
    """
    maps = [before, after]
    legends: list[Legend] = []
    notes: list[str] = []
    for own, which, there in ((0, "before", "after"), (1, "after", "before")):
        one, other, crosswalk = (before, after)[own], (after, before)[own], crosswalks[own]
        with called(called_at[own]):
            if crosswalk is not None:
                maps[own] = one.recoded(lines_for(crosswalk, one, (before, after)))
                notes += maps[own].scene.notes[len(one.scene.notes) :]
            if crosswalk is not None or one.declared is not None or other.declared is None:
                legends.append(maps[own].legend)
                continue
            strange = [str(v) for v in one.values() if v not in other.declared.ids]
        if strange:
            raise InputError(
                f"the map {which} names no classes, the map {there} does",
                where=one.path,
                why=f"values {', '.join(strange)} are none of its numbers "
                f"({', '.join(f'{c.id} {c.name}' for c in other.declared.classes)})",
                hint=f"`legend` with their names, or `crosswalk_{which}` to those of the map {there}",
            )
        legends.append(other.declared)
        notes.append(f"the map {which} names no classes: its numbers mean what the map {there} calls them")
    return maps, legends, notes


def _unshared(classes: Classes) -> list[str]:
    """A note where no class is in both maps: then all that is known has changed, which seldom is meant."""
    k = len(classes.legend)
    first, second = ({int(p) for p in table if p < k} for table in (classes.before, classes.after))
    if first & second:
        return []
    if not first or not second:
        return [f"the map {'after' if first else 'before'} has no class anywhere"]
    names = classes.legend.names
    return [
        f"no class is in both maps ({', '.join(names[p] for p in sorted(first))} before, "
        f"{', '.join(names[p] for p in sorted(second))} after): every pixel counts as changed"
    ]


def _check_output(job: ChangeJob, overwrite: bool) -> tuple[str, ...]:
    """Notes; refuses to destroy what no comparison wrote, before any work."""
    report, inputs = job.out / REPORT, job.inputs()
    require_out(job.out)
    names = (RASTER, STYLE, TABLE, CLASS_TABLE, *((STRATA,) if job.strata_class is not None else ()))
    files, marks = [job.out / name for name in names], {"geoseg", "transitions"}
    require_report(report, files, overwrite=overwrite, inputs=inputs, marks=marks)
    if job.polygons is None:
        return ()
    polygons = job.polygons.absolute()
    if polygons.parent == job.out.absolute() and not job.out.exists():
        return ()  # the folder is made, and empty
    return require_names(polygons, overwrite=overwrite, inputs=inputs)


def _written(
    result: Change,
    job: ChangeJob,
    published: _Published,
    chunks: Sequence[SievedChunk],
    where: Where,
    chosen: LandClass | None,
) -> Change:
    """The result with the files that it wrote: raster, style, tables, report, all or none."""
    codes, pair = result.codes, published.task.kept.classes
    by_window = {chunk.window: chunk for chunk in chunks}
    with writing(result.out):
        result.out.mkdir(parents=True, exist_ok=True)
        with partial_folder(result.report) as folder:
            write_cog(
                folder / result.raster.name,
                pair.grid,
                lambda window: published.read(by_window[window]),
                list(by_window),
                RasterLayer(
                    dtype=codes.dtype,
                    nodata=codes.nodata,
                    legend=codes.as_legend(result.occurring),
                    crs_wkt=pair.before.crs_wkt,
                    tags=_tags(result),
                    description="from-to code",
                    resampling="mode",
                ),
                target=result.raster,
            )
            if job.polygons is not None:
                raster = folder / result.raster.name
                result = replace(result, polygons=_polygons(result, job.polygons, raster, pair, where))
            texts = {
                result.style: raster_qml(codes.classes(result.occurring)),
                result.table: result.to_csv(),
                result.class_table: result.classes_csv(),
                result.report: json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n",
            }
            if chosen is not None and result.strata is not None:
                texts = {result.strata: strata_yaml(codes, result.occurring, chosen), **texts}
            for file, text in texts.items():
                (folder / file.name).write_text(text, encoding="utf-8")
            files = result.raster, *texts
            commit((folder / file.name, file) for file in files)
    add_files("change", files)
    return result


def _polygons(result: Change, path: Path, raster: Path, pair: Pair, where: Where) -> tuple[Path, ...]:
    """Files of the polygons of a from-to raster."""
    pairs = result.codes.pairs
    polygons = ChangePolygons(
        raster=raster,
        grid=pair.grid,
        unit=result.transitions.unit,
        codes=result.codes,
        changed=tuple(code for code in result.occurring if pairs[code][0] != pairs[code][1]),
        dates=result.period.texts,
    )
    windows = list(pair.grid.window.blocks(*chunk_shape(*pair.grid.shape)))
    return write_layer(
        path.absolute(),
        polygons.batches(windows, where),
        polygons.layer(pair.before.crs_wkt),
        overwrite=True,
    )


def _tags(result: Change) -> dict[str, str]:
    """Metadata of the raster: what it is made of; names of 16-bit codes, which no colour table can carry."""
    tags = {"GEOSEG_BEFORE": Path(result.provenance["before"]["path"]).name}
    tags["GEOSEG_AFTER"] = Path(result.provenance["after"]["path"]).name
    if result.codes.dtype != "uint8":
        tags |= {f"CLASS_{code}": result.codes.name(code) for code in result.occurring}
    return tags
