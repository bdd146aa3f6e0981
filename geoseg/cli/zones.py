"""`geoseg zones`: a map, a change or a series within plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.progress import counted_progress
from geoseg.cli.say import screen, show_notes, shown
from geoseg.plots.job import ZonesJob
from geoseg.writers.formats import suffixes

if TYPE_CHECKING:
    from geoseg.plots.verb import Zones


@click.command(name="zones")
@click.argument("source", type=FilePath(path_type=Path))
@click.argument("plots", type=FilePath(path_type=Path))
@job_options(
    ZonesJob,
    without=("source", "plots"),
    loss_of={"multiple": True},
    out={"help": f"File to write; its suffix is the format: {suffixes()} .csv .xlsx."},
)
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(source: Path, plots: Path, overwrite: bool, **options: Any) -> None:
    """One row for each of PLOTS with what SOURCE holds within it: a class map, a change or a series.

    \b
      geoseg zones series farms.geojson --cutoff 2020-12-31 --out farms.gpkg
      geoseg zones classes_2022.tif farms.geojson --before classes_2019.tif --out farms.xlsx

    Own columns are kept. Hectares are geodesic, pixels count with the exact part that a plot covers. The
    verdict is loss, none found or cannot tell, each with its reason; it judges the map, not the land.
    """  # noqa: D301 (click reads \b)
    from geoseg.plots.verb import run_zones

    where = take_where(options)
    job = job_of(ZonesJob, options, source=source, plots=plots)
    with counted_progress("zones", "plots") as report:
        result = run_zones(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


def _show(result: Zones) -> None:
    from rich.table import Table

    console = screen()
    table = Table("over all plots", box=None, pad_edge=False)
    table.add_column("hectares", justify="right")
    for name, hectares in result.hectares.items():
        table.add_row(name.removesuffix("_ha").replace("_", " "), f"{hectares:,.2f}")
    console.print(table)
    for verdict, count in result.verdicts.items():
        console.print(f"{verdict}: {count:,} plots ({result.rule[verdict]})")
    console.print(f"{result.plots:,} plots, {result.problems:,} with problems, in {result.seconds:.1f} s")
    for path in result.paths:
        console.print(f"  {shown(path)}")
