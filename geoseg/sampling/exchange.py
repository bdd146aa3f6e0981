"""The verbs sample_export and sample_import: units out to tables, other programs and people, answers back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from geoseg.errors import InputError, UsageError
from geoseg.files import refuse_locked, require_apart, require_folder, require_free, whole
from geoseg.job import takes
from geoseg.options import SampleExportOptions, SampleImportOptions
from geoseg.raster.open import local_file
from geoseg.results import as_json
from geoseg.sampling.file import (
    RowParser,
    columns_of,
    read_sample,
    update_answers,
    values_of,
    write_units,
)
from geoseg.sampling.job import SampleExportJob, SampleImportJob
from geoseg.sampling.layout import SAMPLE, Answer, Label, Sample, Unit
from geoseg.sampling.sheet import EXCEL, TABLES, rows_of, write_rows
from geoseg.tables import plain_cell
from geoseg.writers.layer import GEOMETRY

_CEO = {
    "flagged_reason": "unknown",
    "email": "interpreter",
    "username": "interpreter",
    "collection_time": "when",
    "imagery_title": "image",
}
"""Columns of Collect Earth Online, and what they are here."""

_TRUE = {"true", "t", "1", "yes", "y"}
_SURE = 3
_PERCENT = 100


@dataclass(frozen=True, kw_only=True)
class SampleExport:
    """Units that were written for others: the file, and how many."""

    path: Path
    units: int

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@dataclass(frozen=True, kw_only=True)
class SampleImport:
    """Answers that came into a sample.

    Attributes
    ----------
    path
        The sample.
    answers
        Rows with an answer.
    replaced
        Of them, those that differ from an earlier answer, which they replace.
    empty
        Rows without an answer.
    notes
        What the user should know.
    """

    path: Path
    answers: int
    replaced: int
    empty: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


@takes(SampleExportJob)
def sample_export(
    sample: str | PathLike[str],
    *,
    out: str | PathLike[str],
    overwrite: bool = False,
    **options: Unpack[SampleExportOptions],
) -> SampleExport:
    """Units of a sample in a table, or for one interpreter: never with their design.

    Parameters
    ----------
    sample, out
        Fields of `SampleExportJob`.
    overwrite
        Replace a file of that name.
    **options
        Its further fields.
    """
    job = SampleExportJob.parse({"sample": sample, "out": out, **options})
    return run_sample_export(job, overwrite=overwrite)


def run_sample_export(job: SampleExportJob, *, overwrite: bool = False) -> SampleExport:
    """Export of a job; see `sample_export`."""
    require_folder(job.out)
    require_free(job.out, overwrite=overwrite, inputs=job.inputs())
    sample = read_sample(job.sample)
    units = _asked_of(job.interpreter, sample)
    if job.out.suffix.casefold() == ".gpkg":
        if job.ceo:
            raise UsageError("Collect Earth Online takes a CSV", where=job.out, hint="a name with .csv")
        write_units(job.out, sample, units, overwrite=overwrite)
    else:
        rows = _plots(units) if job.ceo else _rows(units, sample)
        with whole(job.out) as partial:
            write_rows(partial, rows)
    return SampleExport(path=job.out, units=len(units))


@takes(SampleImportJob)
def sample_import(
    sample: str | PathLike[str], answers: str | PathLike[str], **options: Unpack[SampleImportOptions]
) -> SampleImport:
    """Answers of a file written into a sample, by id; all else in the sample stays as it is.

    Parameters
    ----------
    sample, answers
        Fields of `SampleImportJob`.
    **options
        Its further fields.

    Raises
    ------
    InputError
        Ids that the sample has not or that stand twice, labels that are no class.
    UsageError
        Nobody knows who answered.
    """
    return run_sample_import(SampleImportJob.parse({"sample": sample, "answers": answers, **options}))


def run_sample_import(job: SampleImportJob) -> SampleImport:
    """Import of a job; see `sample_import`."""
    require_apart(job.sample, [job.answers])
    sample = read_sample(job.sample)
    require_folder(job.sample)
    rows = _table(job)
    _check_columns(rows, job)
    parse = RowParser(file=job.answers, legend=sample.legend)
    orders = {str(u.order): u.id for u in sample.units}
    said: dict[tuple[str, str | None], Answer] = {}
    empty = 0
    people = sorted({label.answer.interpreter or "" for label in sample.labels})
    known = {u.id for u in sample.units}
    for line, row in enumerate(rows, 2):
        unit = str(row.get("id") or orders.get(str(row.get("plotid")), "")).strip()
        if unit not in known:
            raise InputError(
                f"row {line} is of no unit of the sample",
                where=job.answers,
                why=f"its id is {unit or 'missing'}",
                hint="the ids as they were exported",
            )
        answer = parse.answer(SAMPLE, {**row, "id": unit})
        if answer.state == "left":
            empty += 1
            continue
        who = job.interpreter or answer.interpreter
        if people and who not in people:
            raise UsageError(
                f"row {line} does not say who answered",
                where=job.answers,
                why=f"found {who or 'nobody'}; the sample asks {', '.join(people)}",
                hint=f"`interpreter={people[0]}`",
            )
        if (unit, who) in said or (not people and any(unit == u for u, _ in said)):
            raise InputError(f"unit {unit} stands twice", where=job.answers, why=f"again in row {line}")
        said[unit, who] = replace(answer, interpreter=who)
    before = _before(sample)
    replaced = sum(key in before and _differ(before[key], answer) for key, answer in said.items())
    if people:
        update_answers(job.sample, {}, [Label(id=i, answer=answer) for (i, _), answer in said.items()])
    else:
        update_answers(job.sample, {i: answer for (i, _), answer in said.items()}, [])
    notes = []
    extra = sum(key not in before for key in said) if people else 0
    if extra:
        notes.append(f"{extra:,} units were not asked of the one who answered; they count all the same")
    return SampleImport(
        path=job.sample, answers=len(said), replaced=replaced, empty=empty, notes=tuple(notes)
    )


def _asked_of(interpreter: str | None, sample: Sample) -> list[Unit]:
    """Units of one interpreter with that one's answers, or all."""
    if interpreter is None:
        return list(sample.units)
    own = {label.id: label.answer for label in sample.labels if label.answer.interpreter == interpreter}
    own |= {u.id: u.answer for u in sample.units if not sample.labels and u.answer.interpreter == interpreter}
    if not own:
        people = {label.answer.interpreter for label in sample.labels} or {
            u.answer.interpreter for u in sample.units
        }
        named = ", ".join(sorted(p for p in people if p)) or "nobody"
        raise UsageError(f"nothing is asked of {interpreter!r}", why=f"the sample asks {named}")
    return [replace(u, answer=own[u.id]) for u in sample.units if u.id in own]


def _rows(units: Sequence[Unit], sample: Sample) -> list[list[Any]]:
    """Header and rows of a table, with names of classes."""
    names = [n for n in columns_of(Unit) if n != GEOMETRY]
    rows: list[list[Any]] = [names]
    for unit in units:
        values = values_of(unit)
        for name in ("label", "label_2"):
            values[name] = None if values[name] is None else sample.legend.name(values[name])
        rows.append([values[n] for n in names])
    return rows


def _plots(units: Sequence[Unit]) -> list[list[Any]]:
    """Header and rows for Collect Earth Online, which wants these columns first."""
    return [["LON", "LAT", "PLOTID", "ID"], *([u.lon, u.lat, u.order, u.id] for u in units)]


def _table(job: SampleImportJob) -> list[dict[str, Any]]:
    """Rows by column; columns of Collect Earth Online under the names they have here."""
    file = local_file(job.answers)
    suffix = file.suffix.casefold()
    if suffix == ".gpkg":
        return _layer(file)
    if suffix not in (*EXCEL, *TABLES):
        raise UsageError(
            f"answers of a {suffix or 'nameless'} file",
            where=file,
            hint="one that ends with .csv, .xlsx or .gpkg",
        )
    header, *body = rows_of(file, job.encoding) or [()]
    names = [str(name or "").strip() for name in header]
    plain = [n.casefold().removeprefix("pl_") for n in names]
    if job.label_field is not None:
        if job.label_field not in names:
            raise UsageError(
                f"no column {job.label_field!r}", where=file, why=f"columns are {', '.join(names)}"
            )
        plain = ["" if n == "label" else n for n in plain]
        plain[names.index(job.label_field)] = "label"
    is_ceo = "plotid" in plain and "flagged" in plain
    rows = []
    for cells in body:
        row = {n: plain_cell(v) for n, v in zip(plain, cells, strict=False) if n}
        if any(v not in (None, "") for v in row.values()):
            rows.append(_from_ceo(row) if is_ceo else row)
    return rows


def _layer(file: Path) -> list[dict[str, Any]]:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(f'SELECT * FROM "{SAMPLE}"')]  # noqa: S608
    except sqlite3.DatabaseError as error:
        refuse_locked(error, file)
        raise InputError("no layer of a sample", where=file, why=str(error)) from None


def _from_ceo(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a download: a flagged plot is unknown, and how sure one is comes in per cent."""
    found = dict(row)
    for theirs, ours in _CEO.items():
        if ours != "unknown" and not found.get(ours):
            found[ours] = row.get(theirs)
    flagged = str(row.get("flagged") or "").strip().casefold() in _TRUE
    found["unknown"] = str(row.get("flagged_reason") or "flagged") if flagged else None
    sure = str(row.get("confidence") or "").strip()
    if sure.isdecimal():
        found["confidence"] = min(int(sure) * _SURE // _PERCENT + 1, _SURE)
    return found


def _check_columns(rows: Sequence[Mapping[str, Any]], job: SampleImportJob) -> None:
    names = {n for row in rows for n in row}
    if not rows or not {"id", "plotid"} & names or not {"label", "unknown"} & names:
        raise InputError(
            "no answers",
            where=job.answers,
            why=f"columns are {', '.join(sorted(names)) or 'none'}",
            hint="columns id and label; `label_field=NAME` where the class stands in another",
        )


def _before(sample: Sample) -> dict[tuple[str, str | None], Answer]:
    """Earlier answers by id and interpreter."""
    if sample.labels:
        return {(label.id, label.answer.interpreter): label.answer for label in sample.labels}
    return {(u.id, u.answer.interpreter): u.answer for u in sample.units}


def _differ(before: Answer, after: Answer) -> bool:
    return before.state != "left" and (before.label, before.unknown) != (after.label, after.unknown)
