"""The verb write_report: everything that a study hands over, from the results of its commands."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from geoseg.errors import OutputConflictError
from geoseg.files import commit, partial_folder, require_apart, require_out, writing
from geoseg.legend import Legend
from geoseg.report.charts import Bar, DateArea, Flow, draw_areas, draw_dates, draw_flows
from geoseg.report.figures import draw_years
from geoseg.report.job import ReportJob
from geoseg.report.methods import methods
from geoseg.report.sheets import Sheet, study_sheets
from geoseg.report.sources import Source, read_sources
from geoseg.report.workbook import write_workbook
from geoseg.results import as_json
from geoseg.tables import csv_text

WORKBOOK, METHODS = "study.xlsx", "methods.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """What was written: its folder, the files in it, and what the user should know."""

    out: Path
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return as_json(self)


def write_report(
    results: Sequence[str | PathLike[str]] | str | PathLike[str],
    *,
    out: str | PathLike[str],
    title: str = "Study",
    overwrite: bool = False,
) -> StudyReport:
    """Workbook, tables, pictures and methods paragraph of a study.

    Parameters
    ----------
    results
        Files estimates.json, transitions.json, series.json or scores.json, or folders that hold them.
    out
        Folder to write to.
    title
        What the study is called.
    overwrite
        Replace files of these names that no report wrote.

    Raises
    ------
    InputError
        A file that is no result.
    OutputConflictError
        A file stands there already, and is none of a report.
    """
    given = [results] if isinstance(results, str | PathLike) else list(results)
    return run_report(ReportJob.parse({"results": given, "out": out, "title": title}), overwrite=overwrite)


def run_report(job: ReportJob, *, overwrite: bool = False) -> StudyReport:
    """Report of a job; see `write_report`."""
    require_out(job.out)
    for name in (WORKBOOK, METHODS):
        require_apart(job.out / name, job.inputs())
    sources = read_sources(job.results)
    sheets = study_sheets(job.title, sources)
    text = methods(job.title, sources)
    with writing(job.out):
        job.out.mkdir(parents=True, exist_ok=True)
        with partial_folder(job.out / METHODS) as folder:
            made = [write_workbook(sheets, folder / WORKBOOK)]
            for sheet in sheets:
                made.append(folder / _file_name(sheet))
                made[-1].write_text(csv_text(sheet.rows), encoding="utf-8")
            seen: Counter[str] = Counter()
            for source in sources:
                seen[source.kind] += 1
                made += _pictures(source, folder, "" if seen[source.kind] == 1 else f"_{seen[source.kind]}")
            made.append(folder / METHODS)
            made[-1].write_text(text, encoding="utf-8")
            files = tuple(job.out / file.name for file in made)
            if not overwrite:
                _require_own(files)
            commit(zip(made, files, strict=True))
    return StudyReport(out=job.out, files=files)


def _require_own(files: Sequence[Path]) -> None:
    """Refuse to replace files, unless they are those of a report: a workbook with its methods."""
    there = [file for file in files if file.exists()]
    if there and not {WORKBOOK, METHODS} <= {file.name for file in there}:
        hint = "another folder, or `overwrite`"
        raise OutputConflictError("exists", where=there[0], why="no report wrote it", hint=hint)


def _file_name(sheet: Sheet) -> str:
    return re.sub(r"[^\w-]+", "_", sheet.name) + ".csv"


def _pictures(source: Source, out: Path, suffix: str) -> Iterator[Path]:
    content = source.content
    if source.kind == "estimates":
        bars = [
            Bar(
                name=c["class"],
                mapped=c["mapped_ha"],
                area=c["area_ha"],
                interval=(c["area_ha_low"], c["area_ha_high"]),
                adjusted=(c["area_ha_adjusted_low"], c["area_ha_adjusted_high"]),
            )
            for c in content["classes"]
            if c["area_ha"] is not None
        ]
        if bars:
            yield draw_areas(bars, out / f"areas{suffix}.png", confidence=content["design"]["confidence"])
    if source.kind == "series":
        yield from _of_series(source, out, suffix)
    if source.kind == "change":
        flows = [
            Flow(before=r["from"], after=r["to"], hectares=r["hectares"])
            for r in content["transitions"]
            if r["kind"] != "unknown"
        ]
        if flows:
            dates = content.get("dates") or {}
            labels = (str(dates.get("before") or "before"), str(dates.get("after") or "after"))
            yield draw_flows(flows, out / f"sankey{suffix}.svg", colors=_colors(content), dates=labels)


def _of_series(source: Source, out: Path, suffix: str) -> Iterator[Path]:
    """Areas by date, and the map of the years of loss where it lies beside."""
    lines: dict[str, list[DateArea]] = defaultdict(list)
    for date, _, name, _, hectares, *sampled in source.tables.get("areas", [])[1:]:
        if name != "unknown":
            area, *ends = sampled or (None, None, None)
            one = DateArea(date=str(date), mapped=hectares, area=area, interval=(ends[0], ends[1]))
            lines[name].append(one)
    if lines:
        yield draw_dates(lines, out / f"areas_by_date{suffix}.png", colors=_colors(source.content))
    raster = source.path.with_name("first_loss.tif")
    if raster.is_file():
        loss = source.content["loss"]
        title = f"First loss of {', '.join(loss['of'])} (definition {loss['definition']})"
        yield draw_years(raster, out / f"loss_by_year{suffix}.png", title=title)


def _colors(content: Mapping[str, Any]) -> dict[str, str]:
    return {c.name: c.color for c in Legend.from_json(content["legend"]).classes}
