"""`geoseg report`: workbook, tables, pictures and methods paragraph of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, show_notes, shown
from geoseg.report.job import ReportJob


@click.command(name="report")
@click.argument("results", type=FilePath(path_type=Path), nargs=-1, required=True)
@job_options(ReportJob, without=("results",), out={"metavar": "FOLDER"})
@click.option("--overwrite", is_flag=True, help="Replace files that no report wrote.")
def command(results: tuple[Path, ...], overwrite: bool, **options: Any) -> None:
    """Workbook, tables, pictures and methods paragraph of a study from the RESULTS of its commands.

    \b
      geoseg report estimates.json change --out report
      geoseg report series estimates.json --title "Forest of Itanhangá" --out report

    RESULTS are estimates.json (sample estimate), transitions.json (change), series.json (series) and
    scores.json (evaluate), or folders that hold them. OUT gets study.xlsx with a sheet for each table, the
    same as CSV, bars of the areas with their intervals, a Sankey diagram, and methods.md with the study's own
    numbers and citations.
    """  # noqa: D301 (click reads \b)
    from geoseg.report.study import run_report

    made = run_report(job_of(ReportJob, options, results=list(results)), overwrite=overwrite)
    show_notes(made.notes)
    for path in made.files:
        say(f"  {shown(path)}")
