"""`geoseg sample export` and `geoseg sample import`: units out, answers back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, show_notes, shown
from geoseg.sampling.job import SampleExportJob, SampleImportJob


@click.command("export")
@click.argument("sample", type=FilePath(path_type=Path))
@job_options(SampleExportJob, without=("sample",))
@click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
def export_command(sample: Path, overwrite: bool, **options: Any) -> None:
    """Units of SAMPLE as a table, for Collect Earth Online, or for one interpreter; never with their design.

    \b
      geoseg sample export sample.gpkg --out sample.csv
      geoseg sample export sample.gpkg --interpreter Ana --out ana.gpkg
      geoseg sample export sample.gpkg --ceo --out plots.csv
    """  # noqa: D301 (click reads \b)
    from geoseg.sampling.exchange import run_sample_export

    result = run_sample_export(job_of(SampleExportJob, options, sample=sample), overwrite=overwrite)
    say(f"  {shown(result.path)}: {result.units:,} units")


@click.command("import")
@click.argument("sample", type=FilePath(path_type=Path))
@click.argument("answers", type=FilePath(path_type=Path))
@job_options(SampleImportJob, without=("sample", "answers"))
def import_command(sample: Path, answers: Path, **options: Any) -> None:
    """Answers of the table or GeoPackage ANSWERS into SAMPLE, by id.

    \b
      geoseg sample import sample.gpkg sample.csv
      geoseg sample import sample.gpkg ana.gpkg --interpreter Ana
      geoseg sample import sample.gpkg ceo-plot-data.csv --label-field "Land cover 2023"
    """  # noqa: D301 (click reads \b)
    from geoseg.sampling.exchange import run_sample_import

    result = run_sample_import(job_of(SampleImportJob, options, sample=sample, answers=answers))
    show_notes(result.notes)
    say(f"  {shown(result.path)}: {result.answers:,} answers, {result.replaced:,} of them in place of others")
    if result.empty:
        say(f"  {result.empty:,} rows without an answer")
