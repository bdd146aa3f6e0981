"""`geoseg clean`: a class map made calmer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cleaning.job import CleanJob
from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import hectares, screen, show_notes, shown

if TYPE_CHECKING:
    from geoseg.cleaning.verb import Cleaned


@click.command(name="clean")
@click.argument("classes", type=FilePath(path_type=Path))
@job_options(CleanJob, without=("classes",))
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(classes: Path, overwrite: bool, **options: Any) -> None:
    """CLASSES made calmer: majority filter, narrow parts, holes, small areas, in this order.

    \b
      geoseg clean out/classes.tif --min-area 1 --out out/cleaned.tif
      geoseg evaluate out/cleaned.tif reference.gpkg --field class --out out/scores.json

    OUT is a class map with the same names, colours and grid: score it, compare it, make polygons of it.
    `geoseg vectorize` with the same options makes the same polygons in one go. Pixels are the same for every
    --chunk and number of workers.
    """  # noqa: D301 (click reads \b)
    from geoseg.cleaning.verb import run_clean

    where = take_where(options)
    result = run_clean(job_of(CleanJob, options, classes=classes), where=where, overwrite=overwrite)
    show_notes(result.notes)
    _show(result)


def _show(result: Cleaned) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("pixels before", "after", "hectares"):
        table.add_column(name, justify="right")
    for c in result.classes:
        table.add_row(c.name, f"{c.before:,}", f"{c.after:,}", hectares(c.hectares))
    console = screen()
    console.print(table)
    console.print(f"{result.changed:,} pixels changed in {result.seconds:.1f} s")
    console.print(f"  {shown(result.path)}")
