"""`geoseg sample design`: strata, allocations side by side, and a sample drawn into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, shown
from geoseg.sampling.job import SampleDesignJob

if TYPE_CHECKING:
    from geoseg.sampling.result import Option, SampleDesign


@click.command("design")
@click.argument("classes", metavar="MAP", type=FilePath(path_type=Path))
@job_options(SampleDesignJob, without=("classes",), minimum={"names": ("--min",)})
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace a file of that name.")
def command(classes: Path, overwrite: bool, **options: Any) -> None:
    """A random sample of the class map MAP, drawn into a GeoPackage with a form for QGIS.

    \b
      geoseg sample design out/classes.tif --n 600
      geoseg sample design change/change.tif --strata loss_gain.yaml --buffer 3 \\
          --target-se 0.01 --expect expected.yaml --allocation neyman --min 50 --out sample.gpkg

    Shown are the strata with their pixels and hectares, and for every allocation its units and the standard
    errors to be expected of it. With --out the chosen one is drawn. The form asks for the class on the ground
    and does not show that of the map. Label in the order of the field `order`: then also a part of the units
    is a random sample.
    """  # noqa: D301 (click reads \b)
    from geoseg.sampling.design import run_sample_design

    where = take_where(options)
    job = job_of(SampleDesignJob, options, classes=classes)
    result = run_sample_design(job, where=where, overwrite=overwrite)
    show_notes(result.notes)
    _show_design(result)
    if result.path is not None:
        kept = f", {result.kept:,} of them kept" if result.kept else ""
        say(f"  {shown(result.path)}: {result.n:,} units{kept}")
    else:
        say("nothing drawn: `out` names the file")


def _show_design(result: SampleDesign) -> None:
    from rich.table import Table

    console, options = screen(), result.options
    table = Table("units", box=None, pad_edge=False)
    for heading in ("pixels", "ha", *options):
        table.add_column(heading + (" *" if heading == result.chosen else ""), justify="right")
    for i, stratum in enumerate(result.strata):
        counts = [f"{o.n[i]:,}" if i < len(o.n) else "" for o in options.values()]
        table.add_row(stratum.name, f"{stratum.pixels:,}", f"{stratum.hectares:,.1f}", *counts)
    table.add_row("all", "", f"{result.hectares:,.1f}", *(f"{sum(o.n):,}" for o in options.values()))
    console.print(table)
    if all(o.errors is None for o in options.values()):
        return
    console.print()
    errors = Table("expected standard error", box=None, pad_edge=False)
    for name in options:
        errors.add_column(name + (" *" if name == result.chosen else ""), justify="right")
    for heading, values in _rows(result, list(options.values())):
        errors.add_row(heading, *values)
    console.print(errors)


def _rows(result: SampleDesign, options: list[Option]) -> list[tuple[str, list[str]]]:
    """Rows of the table of expected errors."""
    found = [o.errors for o in options if o.errors is not None]
    rows = [("overall accuracy", [f"{e.overall:.4f}" for e in found])]
    for k, name in enumerate(result.legend.names):
        if any(e.users[k] == e.users[k] for e in found):
            rows.append((f"user's accuracy of {name}", [f"{e.users[k]:.4f}" for e in found]))
    for k, name in enumerate(result.legend.names):
        rows.append((f"ha of {name}", [f"{e.areas[k] * result.hectares:,.1f}" for e in found]))
    return rows
