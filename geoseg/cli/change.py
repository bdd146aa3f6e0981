"""`geoseg change`: transitions between two class maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.changes.job import ChangeJob
from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, show_table, shown

_WIDEST_MATRIX = 8
_MOST_TRANSITIONS = 12


@click.command(name="change")
@click.argument("before", type=FilePath(path_type=Path))
@click.argument("after", type=FilePath(path_type=Path))
@job_options(ChangeJob, without=("before", "after"))
@where_options()
@click.option("--each", is_flag=True, help="BEFORE and AFTER are folders or patterns, paired by names.")
@click.option("--overwrite", is_flag=True, help="Replace files that no comparison wrote.")
def command(before: Path, after: Path, each: bool, overwrite: bool, **options: Any) -> None:
    """Transitions from the class map BEFORE to the class map AFTER, in pixels and hectares.

    \b
      geoseg change 2001/classes.tif 2016/classes.tif --out change
      geoseg change 2001.tif 2016.tif --out change --remove-slivers --min-area 0.5 --polygons change.gpkg
      geoseg change 2001.tif 2016.tif --out change --strata-class forest
      geoseg change maps/2001 maps/2016 --each --out change

    OUT gets change.tif (from-to codes with colours), transitions.csv, classes.csv and transitions.json.
    Nodata at either date is unknown, never unchanged. Hectares are geodesic. Dates, for rates, stand in names
    or are given. With --each one process takes pair after pair into folders of OUT, {} in --polygons stands
    for their names, what is there is left, OUT/summary.csv says how each went, and the exit code is 4 when
    some failed.
    """  # noqa: D301 (click reads \b)
    from geoseg.changes.verb import run_change

    where = take_where(options)
    if each:
        _change_each(before, after, options, where=where, overwrite=overwrite)
        return
    job = job_of(ChangeJob, options, before=before, after=after)
    result = run_change(job, where=where, overwrite=overwrite)
    show_notes(result.notes)
    _show(result)
    further = (result.strata,) if result.strata else ()
    files = (result.raster, result.table, result.class_table, result.report, *result.polygons, *further)
    for path in files:
        say(f"  {shown(path)}")


def _change_each(before: Path, after: Path, options: dict[str, Any], *, where: Any, overwrite: bool) -> None:
    """One folder for each pair of maps of one name."""
    from geoseg.changes.result import REPORT
    from geoseg.changes.verb import run_change
    from geoseg.cli.each import named, require_placeholder, run_each_pair

    out: Path = options.pop("out")
    require_placeholder(options, "polygons")

    def run(name: str, one: Path, other: Path) -> dict[str, Any]:
        folder = out / name
        if (folder / REPORT).is_file() and not overwrite:
            return {"state": "was there", "change": str(folder)}
        job = job_of(ChangeJob, named(options, name), before=one, after=other, out=folder)
        found = run_change(job, where=where, overwrite=overwrite).transitions
        areas = {
            "changed": found.changed,
            "unchanged": float(found.persistence.sum()),
            "unknown": found.unknown,
        }
        return {"change": str(folder), **{f"{key} ha": round(value, 3) for key, value in areas.items()}}

    run_each_pair(before, after, run, out)


def _show(result: Any) -> None:
    console = screen()
    show_table(_matrix(result) if len(result.legend) <= _WIDEST_MATRIX else _largest(result))
    console.print()
    names = ("before", "after", "gain", "loss", "net", "persistence")
    areas = _table("class", *(f"{name} ha" for name in names))
    for record in result.per_class:
        areas.add_row(record["class"], *(_hectares(record[f"{name}_ha"]) for name in names))
    show_table(areas)
    if result.period.years is not None:
        console.print()
        show_table(_rates(result))
    t, parts = result.transitions, result.components
    console.print(
        f"changed {_hectares(t.changed)} ha, unchanged {_hectares(float(t.persistence.sum()))} ha, "
        f"unknown at one date {_hectares(t.unknown)} ha",
        highlight=False,
    )
    kinds = ", ".join(
        f"{name} {_hectares(parts[f'{name}_ha'])}" for name in ("quantity", "exchange", "shift")
    )
    console.print(f"of what changed, in ha: {kinds}", highlight=False)
    slivers = result.removals["slivers"]
    done = "taken back" if slivers["removed"] else "kept"
    console.print(
        f"slivers, narrower than 3 pixels: {_hectares(slivers['hectares'])} ha, "
        f"{slivers['share_of_change']:.1%} of all mapped change; {done}",
        highlight=False,
    )


def _table(*headings: str, texts: int = 1) -> Any:
    """Table whose first columns are names and whose others are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="left" if k < texts else "right", no_wrap=True)
    return table


def _matrix(result: Any) -> Any:
    names = [*result.transitions.names, result.unknown]
    table = _table("ha: before \\ after", *names)
    for name, row in zip(names, result.transitions.hectares, strict=True):
        table.add_row(name, *map(_hectares, row))
    return table


def _largest(result: Any) -> Any:
    """The largest changes, where a matrix would not fit on a screen."""
    table = _table("from", "to", "ha", texts=2)
    changed = [r for r in result.records if r["kind"] == "changed"]
    for record in changed[:_MOST_TRANSITIONS]:
        table.add_row(record["from"], record["to"], _hectares(record["hectares"]))
    if len(changed) > _MOST_TRANSITIONS:
        table.add_row(f"and {len(changed) - _MOST_TRANSITIONS} more in transitions.csv", "", "")
    return table


def _rates(result: Any) -> Any:
    before, after = result.period.texts
    table = _table(f"{before} to {after}", "ha a year", "FAO rate", "Puyravaud rate", "swap ha")
    for record in result.per_class:
        rates = (record["fao_rate"], record["puyravaud_rate"])
        table.add_row(
            record["class"],
            _hectares(record["ha_per_year"]),
            *("-" if rate is None else f"{rate:+.2%}" for rate in rates),
            _hectares(record["swap_ha"]),
        )
    return table


def _hectares(value: float) -> str:
    if value == 0:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
