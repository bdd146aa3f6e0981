"""`geoseg landscape`: patches, edges and core areas of a class map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, show_notes, show_table, shown
from geoseg.landscapes.job import LandscapeJob

if TYPE_CHECKING:
    from geoseg.landscapes.verb import Landscape

_SHOWN = ("CA", "PLAND", "NP", "PD", "LPI", "TE", "ED", "AREA_MN", "TCA", "NDCA", "MESH", "AI", "COHESION")


@click.command(name="landscape")
@click.argument("classes", type=FilePath(path_type=Path))
@job_options(LandscapeJob, without=("classes",))
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(classes: Path, overwrite: bool, **options: Any) -> None:
    """Landscape metrics of CLASSES, by the names and units of FRAGSTATS.

    \b
      geoseg landscape out/classes.tif --out out/landscape.csv
      geoseg landscape out/classes.tif --out out/landscape.csv --neighbours 4 --core-depth 100

    One row per class and one for the landscape, with 26 metrics. Patches are joined over the whole map.
    Nodata is not part of the landscape; edges along it and along the map's edge count with --count-boundary.
    """  # noqa: D301 (click reads \b)
    from geoseg.landscapes.verb import run_landscape

    where = take_where(options)
    result = run_landscape(job_of(LandscapeJob, options, classes=classes), where=where, overwrite=overwrite)
    show_notes(result.notes)
    _show(result)
    say(f"  {shown(result.path)}")


def _show(result: Landscape) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class", no_wrap=True)
    for name in _SHOWN:
        table.add_column(name, justify="right", no_wrap=True)
    for record in result.records:
        area = record["CA"] if record["TA"] is None else record["TA"]
        values = {**record, "CA": area}
        table.add_row(record["class"] or "landscape", *(_text(values[name]) for name in _SHOWN))
    show_table(table)


def _text(value: float | None) -> str:
    if value is None or value != value:  # noqa: PLR0124 (NaN)
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 10_000 else f"{value:,.4g}"
