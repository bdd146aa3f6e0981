"""What a report is asked to hold."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from geoseg.job import Job


class ReportJob(Job):
    """Workbook, tables, pictures and methods paragraph of a study, from the results of its commands.

    Attributes
    ----------
    results
        Files estimates.json, transitions.json, series.json or scores.json, or folders that hold them.
    out
        Folder of the report. It gets study.xlsx, its sheets as CSV, pictures, and methods.md.
    title
        What the study is called.
    """

    results: list[Path] = Field(min_length=1)
    out: Path
    title: str = "Study"
