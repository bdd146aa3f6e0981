"""`geoseg series`: what each pixel of class maps of many dates went through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import screen, show_notes, shown
from geoseg.histories.job import SeriesJob


@click.command(name="series")
@click.argument("maps", nargs=-1, required=True, type=FilePath(path_type=Path))
@job_options(
    SeriesJob,
    without=("maps",),
    loss_of={"multiple": True},
    confidence={"multiple": True},
    estimates={"multiple": True},
)
@where_options()
@click.option("--overwrite", is_flag=True, help="Start again where another run's output is.")
def command(maps: tuple[Path, ...], overwrite: bool, **options: Any) -> None:
    """What each pixel of MAPS (class maps of many dates on one grid, or folders with them) went through.

    \b
      geoseg series maps --out series
      geoseg series 2001.tif 2008.tif 2016.tif --out series --definition A2 --touch corner --min-event 6.25

    OUT gets first_loss.tif, gap.tif, last_change.tif, n_changes.tif, stable.tif, classes_first.tif and
    classes_last.tif; areas.csv, transitions.csv, trajectories.csv, losses.csv and sankey.html; events.gpkg;
    series.json with all rules in words. Dates at which a pixel is unknown are skipped. Interrupted in any
    way, the same command resumes.
    """  # noqa: D301 (click reads \b)
    from geoseg.histories.verb import run_series

    where = take_where(options)
    job = job_of(SeriesJob, options, maps=maps)
    with pixel_progress("series") as report:
        result = run_series(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


def _show(result: Any) -> None:
    from rich.table import Table

    content, loss, events = result.content, result.loss, result.content["events"]
    console = screen()
    console.print(
        f"{len(result.dates)} dates, {result.dates[0]} to {result.dates[-1]}: "
        f"{content['known_pixels']:,} pixels, "
        f"{content['trajectories']:,} trajectories, {content['stable_pixels']:,} pixels never changed"
    )
    if loss["of"]:
        table = Table("first loss of " + ", ".join(loss["of"]), box=None, pad_edge=False)
        for name in ("pixels", "hectares"):
            table.add_column(name, justify="right")
        for name, pixels in loss["pixels_by_definition"].items():
            hectares = f"{loss['hectares']:,.2f}" if name == loss["definition"] else ""
            table.add_row(f"definition {name}", f"{pixels:,}", hectares)
        console.print(table)
    if events:
        console.print(
            f"{events['events']:,} events, the largest {events['largest_ha']:,.2f} ha"
            + (
                f", {events['small_events']:,} below {events['min_event_ha']:g} ha"
                if events["min_event_ha"]
                else ""
            )
        )
    if not result.fresh:
        console.print("This series was already complete; its files were checked again.")
    for name in result.files:
        console.print(f"  {shown(result.out / name)}")
