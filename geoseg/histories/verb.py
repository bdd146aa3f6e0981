"""The verb series: class maps of many dates in, what each pixel went through out; killed, it resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from geoseg.errors import InputError, OutputConflictError
from geoseg.execution import Where
from geoseg.execution.claim import claim
from geoseg.execution.earlier import earlier_run
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import differences
from geoseg.execution.manifest import MANIFEST, WORK, digest_of, write_manifest
from geoseg.execution.progress import Report
from geoseg.execution.resume import LEDGER, STORE, Computed, compute_chunks
from geoseg.files import commit, partial_folder, remove_left, require_apart, require_out, sha256_of, writing
from geoseg.histories.account import Account
from geoseg.histories.chunk import SeriesRecord, SeriesWork
from geoseg.histories.estimates import read_estimates
from geoseg.histories.events import EVENTS, write_events
from geoseg.histories.job import SeriesJob
from geoseg.histories.opened import OpenedSeries
from geoseg.histories.pixels import Tally
from geoseg.histories.rasters import write_rasters
from geoseg.histories.result import REPORT, RULES, Series
from geoseg.histories.sankey import sankey
from geoseg.histories.trajectories import most_common
from geoseg.job import takes
from geoseg.options import SeriesOptions
from geoseg.strict_yaml import read_yaml
from geoseg.version import __version__

_LOG, _FOUND = "log.jsonl", "found"
_TABLES = ("areas.csv", "transitions.csv", "trajectories.csv", "losses.csv", "filter.csv", "sankey.html")
_RASTERS = (
    *("first_loss.tif", "gap.tif", "last_change.tif", "n_changes.tif", "stable.tif"),
    *("classes_first.tif", "classes_last.tif", "first_seen.tif", "last_seen.tif"),
)
_NAMES = (*_RASTERS, *_TABLES, EVENTS, REPORT, MANIFEST)
_SAID_BETTER = {
    *("maps", "out", "chunk", "allow_vrt", "confidence", "dates", "legend", "crosswalk", "rules", "estimates")
}


@takes(SeriesJob)
def series(
    maps: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
    **options: Unpack[SeriesOptions],
) -> Series:
    """What each pixel of class maps of many dates went through: losses, changes, trajectories, events.

    Parameters
    ----------
    maps
        The class maps, or folders with them; on one grid, equal names are one class.
    out
        Output folder. The same call after an interruption resumes; after completion it only checks.
    workers, threads, scheduler
        As in `geoseg.predict`.
    overwrite
        Start again where the folder holds another run.
    progress
        Called after every chunk.
    options
        The other fields of `SeriesJob`.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError, ChunksFailedError
        With what to do about it.
    """
    given = (maps,) if isinstance(maps, str | Path) else tuple(maps)
    job = SeriesJob.parse({"maps": given, "out": out, **options})
    where = Where.parse(workers, scheduler, threads)
    return run_series(job, where=where, overwrite=overwrite, progress=progress)


def run_series(
    job: SeriesJob, *, where: Where | None = None, overwrite: bool = False, progress: Report | None = None
) -> Series:
    """Twin of `series` that takes the frozen job."""
    where = where or Where()
    require_out(job.out)
    for name in _NAMES:
        require_apart(job.out / name, job.inputs())
    opened = OpenedSeries.of(job)
    read_estimates(job.estimates, opened.dates, opened.legend)  # refused before any work
    identity = _identity(opened)
    with claim(job.out / WORK):
        for name in _NAMES:
            remove_left(job.out / name)
        if overwrite:
            _clear(job.out)
        result = _earlier(job.out, identity) or _execute(opened, identity, where, progress)
    shutil.rmtree(job.out / WORK, ignore_errors=True)
    return result


def _identity(opened: OpenedSeries) -> dict[str, Any]:
    """What decides every pixel: another identity is another run."""
    job = opened.job
    texts = {
        key: read_yaml(value) if isinstance(value, Path) else value
        for key in ("legend", "crosswalk", "rules")
        if (value := getattr(job, key)) is not None
    }
    identity = {
        "geoseg": __version__,
        "maps": [one.scene.fingerprint() for one in opened.united.maps],
        "confidence": [None if c is None else c.fingerprint() for c in opened.confidence],
        "dates": [date.text for date in opened.dates],
        "chunk": opened.tiling.chunk,
        **({"estimates": [sha256_of(path) for path in job.estimates]} if job.estimates else {}),
        **texts,
        **job.model_dump(mode="json", exclude=_SAID_BETTER),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity, default=str))
    return plain


def _earlier(out: Path, identity: Mapping[str, Any]) -> Series | None:
    """The finished series that is already here, checked; OutputConflictError where something else is."""
    if (manifest := earlier_run(out, identity)) is not None:
        return Series.read(out, tuple(manifest["files"]), fresh=False)
    taken = [name for name in _NAMES if (out / name).exists()]
    if taken and not (out / WORK / LEDGER).exists():
        why = f"found {', '.join(taken)}, without a manifest of geoseg"
        hint = "`overwrite` to replace them, or another `out`"
        raise OutputConflictError("files of these names are here", where=out, why=why, hint=hint)
    return None


def _clear(out: Path) -> None:
    for name in (*_NAMES, _LOG):
        (out / name).unlink(missing_ok=True)
    for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm"):
        (out / WORK / name).unlink(missing_ok=True)
    for name in (STORE, _FOUND):
        shutil.rmtree(out / WORK / name, ignore_errors=True)


def _execute(
    opened: OpenedSeries, identity: Mapping[str, Any], where: Where, progress: Report | None
) -> Series:
    out, run_id = opened.job.out, digest_of(identity)[:12]
    journal = Journal(out / _LOG)
    journal.event("start", run_id=run_id, geoseg=__version__)
    work = SeriesWork(opened=opened, folder=out.absolute() / WORK / _FOUND)
    computed = compute_chunks(work, out / WORK, identity, where=where, journal=journal, report=progress)
    _require_unchanged(opened, identity)
    account = _account(work, computed)
    with writing(out), partial_folder(out / MANIFEST) as folder:
        files = [*write_rasters(opened, computed, folder, out, {"GEOSEG_RUN": run_id})]
        texts = account.tables()
        title = f"{opened.names[0]} to {opened.names[-1]}: what became of each class"
        texts["sankey.html"] = sankey(account, title)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
        events = None
        if opened.forests and not opened.job.no_events:
            events = write_events(opened, computed, folder)
            files.append(EVENTS)
        report = _report(opened, account, run_id, events)
        (folder / REPORT).write_text(
            json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        files += [*texts, REPORT]
        manifest = {"geoseg": __version__, "run_id": run_id, "identity": dict(identity)}
        write_manifest(folder, manifest, files)
        commit((folder / name, out / name) for name in (*files, MANIFEST))
    journal.event("published")
    return Series.read(out, tuple(files), fresh=True)


def _require_unchanged(opened: OpenedSeries, identity: Mapping[str, Any]) -> None:
    for one, before in zip(opened.united.maps, identity["maps"], strict=True):
        now = json.loads(json.dumps(one.scene.fingerprint(), default=str))
        if changed := differences(before, now):
            raise InputError(
                "changed during the run, nothing was published",
                where=one.path,
                why="; ".join(changed[:3]),
                hint="`overwrite` to start again",
            )


def _account(work: SeriesWork, computed: Computed[SeriesRecord]) -> Account:
    """Sums over all chunks; memory is that of one chunk's trajectories, and of a range of them all."""
    opened = work.opened
    k, dates = len(opened.legend), len(opened.dates)
    tally, edits, parts = Tally.zero(dates, k), None, []
    for index, record in sorted(computed.records.items()):
        found = work.found(index, record)
        tally.add(found.tally)
        edits = found.edits if edits is None else edits + found.edits
        parts.append(found.trajectories)
    if not tally.changes.any():
        raise InputError("no pixel has a class at any date", where=opened.united.maps[0].path)
    common, distinct = most_common(parts, opened.job.top)
    assert edits is not None
    return Account(
        legend=opened.legend,
        names=opened.names,
        unit=opened.unit,
        tally=tally,
        estimates=read_estimates(opened.job.estimates, opened.dates, opened.legend),
        edits=edits,
        common=common,
        distinct=distinct,
    )


def _report(
    opened: OpenedSeries, account: Account, run_id: str, events: Mapping[str, Any] | None
) -> dict[str, Any]:
    job = opened.job
    forests = [opened.legend.names[k] for k in opened.forests]
    numbers = account.to_json(job.definition, forests)
    maps = opened.united.maps
    return {
        "geoseg": __version__,
        "run_id": run_id,
        "dates": [
            {"name": name, "date": date.text, "value": value, "map": str(one.path)}
            for name, date, value, one in zip(opened.names, opened.dates, opened.values, maps, strict=True)
        ],
        "legend": opened.legend.to_json(),
        **numbers,
        "events": events,
        "rules": RULES,
        "notes": [*opened.notes, *_notes(opened, numbers)],
        "grid": opened.grid.to_json(),
        "job": job.model_dump(mode="json", exclude_none=True),
    }


def _notes(opened: OpenedSeries, numbers: Mapping[str, Any]) -> list[str]:
    notes, steps = [], numbers["steps"]
    if opened.rules is not None:
        count, hectares = numbers["filtered_pixels"], numbers["filtered_hectares"]
        many = numbers["known_pixels"] * len(opened.dates)
        notes.append(
            f"the rules altered {count:,} of {many:,} classes of pixels at dates ({count / many:.1%}), "
            f"{hectares:,.0f} ha added up over dates: filter.csv"
        )
    elif opened.forests and steps["losses"] and steps["undone_losses"] > 0.1 * steps["losses"]:
        share = steps["undone_losses"] / steps["losses"]
        notes.append(
            f"{share:.0%} of all losses are undone at the next date, which is seldom true on the ground: "
            "consider `rules` (max_dip: 1), or `definition=B`"
        )
    if across := numbers["loss"]["pixels_dated_across_a_gap"]:
        notes.append(
            f"{across:,} pixels of first loss were unknown just before: their date is the next known one"
        )
    return notes
