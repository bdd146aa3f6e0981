"""`geoseg evaluate`: scores of a class map against a reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import split_where, where_options
from geoseg.cli.say import show_notes


@click.command(name="evaluate")
@click.argument("classes", type=click.Path(path_type=Path))
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="scores.json; the CSV tables come beside it.")
@click.option("--field", help="Field of a vector reference that holds the class.")
@click.option("--band", help="Band of CLASSES where it has several.")
@click.option("--reference-band", help="Band of REFERENCE where it has several.")
@click.option("--layer", help="Layer of a vector file with several.")
@click.option(
    "--crosswalk",
    type=click.Path(path_type=Path),
    help='YAML: reference value to class name, id or "ignore"; "*" for all others.',
)
@click.option("--single-class", metavar="NAME", help="All features of the reference are this class.")
@click.option("--background", metavar="NAME", help="Class of pixels outside all polygons. Not scored.")
@click.option(
    "--unmapped",
    type=click.Choice(["ignore", "error"]),
    default="ignore",
    show_default=True,
    help="Reference pixels where the map has nodata: left out, or counted as wrong.",
)
@click.option(
    "--overlap",
    type=click.Choice(["refuse", "first", "last", "file"]),
    default="refuse",
    show_default=True,
    help="Overlapping polygons: the class first or last in the crosswalk wins, or the later in the file.",
)
@click.option("--boundary", type=int, metavar="PIXELS", help="Also boundary IoU, in bands this wide.")
@click.option("--repair", is_flag=True, help="Repair invalid polygons instead of refusing them.")
@click.option("--encoding", help="Of the text in a Shapefile or CSV that does not say it, like cp1252.")
@click.option("--reference-crs", help="CRS of a reference that has none, for example EPSG:32720.")
@click.option(
    "--legend", type=click.Path(path_type=Path), help="YAML: class number to name, if the map has none."
)
@where_options
@click.option("--overwrite", is_flag=True, help="Replace a file that holds no scores.")
def command(classes: Path, reference: Path, overwrite: bool, **options: Any) -> None:
    """Scores of the class map CLASSES against REFERENCE (a raster, polygons or points).

    \b
      geoseg evaluate out/classes.tif reference.tif --out out/scores.json
      geoseg evaluate out/classes.tif fields.gpkg --field crop --crosswalk crops.yaml
      geoseg evaluate out/classes.tif houses.shp --single-class building --background other

    The reference may be in any CRS; a raster may have any pixel size.
    """  # noqa: D301 (click reads \b)
    from geoseg.evaluation.job import EvaluateJob
    from geoseg.evaluation.verb import beside, run_evaluate

    where, given = split_where(options)
    job = EvaluateJob.parse({"classes": classes, "reference": reference, **given})
    scores = run_evaluate(job, where=where, overwrite=overwrite)
    show_notes(scores.notes)
    _show(scores)
    for path in (job.out, *beside(job.out)) if job.out else ():
        click.echo(f"  {path}")


def _show(scores: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    unit = "points" if scores.kind == "points" else "px"
    columns = scores.metrics(per_class=True)
    table = Table("class", box=None, pad_edge=False)
    for heading in (*(m.heading for m in columns), f"reference {unit}", f"map {unit}"):
        table.add_column(heading, justify="right")
    for record in scores.per_class:
        numbers = (_text(m, record[m.name]) for m in columns)
        table.add_row(record["class"], *numbers, f"{record['reference']:,}", f"{record['map']:,}")
    console = Console(soft_wrap=True)
    console.print(table)
    overall = scores.overall
    shares_first = sorted(scores.metrics(per_class=False), key=lambda m: not m.share)
    console.print(
        ", ".join(f"{m.heading} {_text(m, overall[m.name])}" for m in shares_first), highlight=False
    )
    if scores.absent:
        console.print(
            f"In neither map nor reference, so without a score: {', '.join(scores.absent)}", highlight=False
        )


def _text(metric: Any, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}" if metric.share else f"{value:.3f}"
