"""`geoseg change`: transitions between two class maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.changes.job import ChangeJob
from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.say import say, screen, show_notes

_WIDEST_MATRIX = 8
_MOST_TRANSITIONS = 12


@click.command(name="change")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@job_options(ChangeJob, without=("before", "after"))
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace files that no comparison wrote.")
def command(before: Path, after: Path, overwrite: bool, **options: Any) -> None:
    """Transitions from the class map BEFORE to the class map AFTER, in pixels and hectares.

    \b
      geoseg change 2001/classes.tif 2016/classes.tif --out change

    OUT gets change.tif (from-to codes with colours), transitions.csv and transitions.json. Nodata at either
    date is unknown, never unchanged. Hectares are geodesic.
    """  # noqa: D301 (click reads \b)
    from geoseg.changes.verb import run_change

    where = take_where(options)
    job = job_of(ChangeJob, options, before=before, after=after)
    result = run_change(job, where=where, overwrite=overwrite)
    show_notes(result.notes)
    _show(result)
    for path in (result.raster, result.table, result.report):
        say(f"  {path}")


def _show(result: Any) -> None:
    from rich.table import Table

    console = screen()
    if len(result.legend) <= _WIDEST_MATRIX:
        console.print(_matrix(result, Table("ha: before \\ after", box=None, pad_edge=False)))
        console.print()
    else:
        console.print(_largest(result, Table("from", "to", box=None, pad_edge=False)))
        console.print()
    summary = Table("class", box=None, pad_edge=False)
    names = ("before", "after", "gain", "loss", "net", "persistence")
    for name in names:
        summary.add_column(f"{name} ha", justify="right")
    for record in result.per_class:
        summary.add_row(record["class"], *(_hectares(record[f"{name}_ha"]) for name in names))
    console.print(summary)
    t = result.transitions
    console.print(
        f"changed {_hectares(t.changed)} ha, unchanged {_hectares(float(t.persistence.sum()))} ha, "
        f"unknown at one date {_hectares(t.unknown)} ha",
        highlight=False,
    )


def _matrix(result: Any, table: Any) -> Any:
    hectares, names = result.transitions.hectares, [*result.transitions.names, result.unknown]
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, hectares, strict=True):
        table.add_row(name, *map(_hectares, row))
    return table


def _largest(result: Any, table: Any) -> Any:
    """The largest changes, where a matrix would not fit on a screen."""
    table.add_column("ha", justify="right")
    changed = [r for r in result.records if r["kind"] == "changed"]
    for record in changed[:_MOST_TRANSITIONS]:
        table.add_row(record["from"], record["to"], _hectares(record["hectares"]))
    if len(changed) > _MOST_TRANSITIONS:
        table.add_row(f"and {len(changed) - _MOST_TRANSITIONS} more in transitions.csv", "", "")
    return table


def _hectares(value: float) -> str:
    if value == 0:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
