"""`geoseg evaluate`: scores of a class map against a reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.say import say, screen, show_notes, show_table, shown
from geoseg.evaluation.job import EvaluateJob


@click.command(name="evaluate")
@click.argument("classes", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@job_options(
    EvaluateJob,
    without=("classes", "reference"),
    single_class={"metavar": "NAME"},
    background={"metavar": "NAME"},
    boundary={"metavar": "PIXELS"},
    boundary_f1={"metavar": "METRES"},
    blocks={"metavar": "METRES"},
)
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace a file that holds no scores.")
def command(classes: Path, reference: Path, overwrite: bool, **options: Any) -> None:
    """Scores of the class map CLASSES against REFERENCE (a raster, polygons or points).

    \b
      geoseg evaluate out/classes.tif reference.tif --out out/scores.json
      geoseg evaluate out/classes.tif fields.gpkg --field crop --crosswalk crops.yaml
      geoseg evaluate out/classes.tif houses.shp --single-class building --background other

    \b
      geoseg evaluate out/classes.tif ref.tif --confidence out/confidence.tif --objects --boundary-f1 20
      geoseg evaluate out/classes.tif ref.tif --regions towns.gpkg --regions-field name --blocks 5000

    The reference may be in any CRS; a raster may have any pixel size.
    """  # noqa: D301 (click reads \b)
    from geoseg.evaluation.verb import beside, run_evaluate, tables_beside

    where = take_where(options)
    job = job_of(EvaluateJob, options, classes=classes, reference=reference)
    scores = run_evaluate(job, where=where, overwrite=overwrite)
    show_notes(scores.notes)
    _show(scores)
    for path in (job.out, *beside(job.out), *tables_beside(scores, job.out)) if job.out else ():
        say(f"  {shown(path)}")
    if job.errors is not None:
        say(f"  {shown(job.errors)}")


def _show(scores: Any) -> None:
    from rich.table import Table

    unit = "points" if scores.kind == "points" else "px"
    columns = scores.metrics(per_class=True)
    table = Table("class", box=None, pad_edge=False)
    for heading in (*(m.heading for m in columns), f"reference {unit}", f"map {unit}"):
        table.add_column(heading, justify="right")
    for record in scores.per_class:
        numbers = (_text(m, record[m.name]) for m in columns)
        table.add_row(record["class"], *numbers, f"{record['reference']:,}", f"{record['map']:,}")
    console = screen()
    show_table(table)
    overall = scores.overall
    shares_first = sorted(scores.metrics(per_class=False), key=lambda m: not m.share)
    console.print(
        ", ".join(f"{m.heading} {_text(m, overall[m.name])}{_interval(scores, m)}" for m in shares_first),
        highlight=False,
    )
    if scores.absent:
        console.print(
            f"In neither map nor reference, so without a score: {', '.join(scores.absent)}", highlight=False
        )


def _text(metric: Any, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}" if metric.share else f"{value:.3f}"


def _interval(scores: Any, metric: Any) -> str:
    """95 % interval by the blocks, where there is one."""
    if metric.name not in scores.intervals:
        return ""
    low, high = (_text(metric, value) for value in scores.intervals[metric.name])
    return f" ({low} to {high} by blocks)"
