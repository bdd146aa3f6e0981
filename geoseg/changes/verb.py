"""The verb change: transitions between two class maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.changes.classes import UNKNOWN, Classes, Codes, join
from geoseg.changes.job import AFTER_NAMES, BEFORE_NAMES, ChangeJob
from geoseg.changes.result import Change
from geoseg.changes.transitions import Transitions, count_transitions, encode
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.files import commit, partial_folder, require_free, require_place, writing
from geoseg.geometry import Window
from geoseg.geometry.alignment import sample_nearest
from geoseg.geometry.integer_areas import area_unit
from geoseg.job import takes
from geoseg.legend import NODATA, Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.reading import called, called_notes
from geoseg.raster.rules import read_crosswalk
from geoseg.raster.store import digest
from geoseg.raster.united import lines_for


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
    **options: Any,
) -> Change:
    """Transitions between two class maps, in pixels and geodesic hectares.

    Parameters
    ----------
    before, after
        The class maps; classes with equal names are the same class.
    out
        Folder that gets change.tif, transitions.csv and transitions.json.
    workers, threads, scheduler
        As in `geoseg.predict`; in this process, `threads` windows are compared at a time.
    overwrite
        Replace files of these names that no comparison wrote.
    **options
        The further fields of `ChangeJob`: crosswalk, crosswalk_before, crosswalk_after, legend, align,
        band_before, band_after.

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
    _check_output(job, overwrite)
    pair, classes, notes = _open(job)
    codes = Codes.of(classes.legend)
    task = _Comparison(pair=pair, classes=classes, codes=codes, unit=area_unit(pair.before.grid))
    windows = pair.before.scan_windows()
    total = Transitions.zero(classes.legend.names, task.unit)
    digests: dict[Window, str] = {}
    for outcome in run_chunks(task, windows, where, concurrency=min(where.threads_here, len(windows))):
        part, digests[outcome.item] = outcome.result()
        total = total + part
    result = Change(
        transitions=total,
        codes=codes,
        out=job.out,
        notes=tuple(notes),
        provenance={
            "before": {"path": str(job.before), "files": pair.before.scene.fingerprint()["files"]},
            "after": {"path": str(job.after), "files": pair.after.scene.fingerprint()["files"]},
            "grid": pair.before.grid.to_json(),
            "job": job.model_dump(mode="json", exclude_none=True),
        },
    )
    _write(result, pair, task.raster, digests)
    return result


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two class maps read on the grid of the first."""

    before: ClassMap
    after: ClassMap
    same_grid: bool

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels before and after."""
        with called(BEFORE_NAMES):
            before = self.before.read(window)
        with called(AFTER_NAMES):
            if self.same_grid:
                return before, self.after.read(window)
            grid, source = self.before.grid, self.after.grid
            return before, sample_nearest(grid, window, source, self.after.read, fill=NODATA)


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """What one worker does to one window."""

    pair: _Pair
    classes: Classes
    codes: Codes
    unit: float

    def __call__(self, window: Window) -> tuple[Transitions, str]:
        """Transitions of a window, and the digest of its from-to pixels."""
        before, after = self.pair.read(window)
        found = count_transitions(
            before,
            after,
            names=self.classes.legend.names,
            positions=(self.classes.before, self.classes.after),
            grid=self.pair.before.grid,
            window=window,
            unit=self.unit,
        )
        return found, digest(self._encode(before, after))

    def raster(self, window: Window) -> NDArray[Any]:
        """From-to pixels of a window."""
        return self._encode(*self.pair.read(window))

    def _encode(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[Any]:
        coded = encode(before, after, (self.classes.before, self.classes.after), self.codes.table)
        return coded.astype(self.codes.dtype, copy=False)


def _open(job: ChangeJob) -> tuple[_Pair, Classes, list[str]]:
    """Both maps, their classes brought together, and notes."""
    if job.crosswalk is not None and (job.crosswalk_before is not None or job.crosswalk_after is not None):
        raise UsageError("`crosswalk` is for both maps", hint="it, or one for each date")
    with called(BEFORE_NAMES):
        before = open_class_map(job.before, job.legend, band=job.band_before, **job.reading_at(BEFORE_NAMES))
    with called(AFTER_NAMES):
        after = open_class_map(job.after, job.legend, band=job.band_after, **job.reading_at(AFTER_NAMES))
    notes = [
        *called_notes(before.scene.notes, BEFORE_NAMES),
        *called_notes(after.scene.notes, AFTER_NAMES),
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
    maps, legends, said = _named(before, after, walks)
    notes += said
    classes = join(*legends)
    notes += _unshared(classes)
    return _Pair(before=maps[0], after=maps[1], same_grid=difference is None), classes, notes


def _named(
    before: ClassMap, after: ClassMap, crosswalks: Sequence[Mapping[Any, Any] | None]
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
    for own, which, there, names in (
        (0, "before", "after", BEFORE_NAMES),
        (1, "after", "before", AFTER_NAMES),
    ):
        one, other, crosswalk = (before, after)[own], (after, before)[own], crosswalks[own]
        with called(names):
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
    names = classes.legend.names
    return [
        f"no class is in both maps ({', '.join(names[p] for p in sorted(first))} before, "
        f"{', '.join(names[p] for p in sorted(second))} after): every pixel counts as changed"
    ]


def _check_output(job: ChangeJob, overwrite: bool) -> None:
    """Refuse to destroy what no comparison wrote, before any work."""
    if job.out.exists() and not job.out.is_dir():
        raise OutputConflictError("is a file", where=job.out, hint="`out=FOLDER`")
    raster, report = job.out / "change.tif", job.out / "transitions.json"
    marks = {"geoseg", "transitions"}
    require_free(report, overwrite=overwrite, marks=marks)
    require_free(raster, overwrite=overwrite or report.exists(), inputs=(job.before, job.after))
    require_place(report)


def _write(
    result: Change, pair: _Pair, read: Callable[[Window], NDArray[Any]], digests: Mapping[Window, str]
) -> None:
    """Write raster, table and report, all or none."""
    codes = result.codes
    with writing(result.out):
        result.out.mkdir(parents=True, exist_ok=True)
        with partial_folder(result.report) as folder:
            write_cog(
                folder / result.raster.name,
                pair.before.grid,
                read,
                digests,
                RasterLayer(
                    dtype=codes.dtype,
                    nodata=codes.nodata,
                    legend=codes.as_legend(_occurring(result)),
                    crs_wkt=pair.before.crs_wkt,
                    tags=_tags(result),
                    description="from-to code",
                    resampling="mode",
                ),
                target=result.raster,
                digests=digests,
            )
            report = json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
            (folder / result.table.name).write_text(result.to_csv(), encoding="utf-8")
            (folder / result.report.name).write_text(report, encoding="utf-8")
            files = result.raster, result.table, result.report
            commit((folder / file.name, file) for file in files)
    add_files("change", files)


def _occurring(result: Change) -> set[int]:
    return {int(r["code"]) for r in result.records if r["kind"] != UNKNOWN}


def _tags(result: Change) -> dict[str, str]:
    """Metadata of the raster: what it is made of; names of 16-bit codes, which no colour table can carry."""
    tags = {"GEOSEG_BEFORE": Path(result.provenance["before"]["path"]).name}
    tags["GEOSEG_AFTER"] = Path(result.provenance["after"]["path"]).name
    if result.codes.dtype != "uint8":
        tags |= {f"CLASS_{code}": result.codes.name(code) for code in sorted(_occurring(result))}
    return tags
