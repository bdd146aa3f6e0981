"""`geoseg vectorize`: polygons of a class map."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import hectares, screen, show_notes, shown
from geoseg.vectorization.job import VectorizeJob
from geoseg.writers.formats import suffixes

if TYPE_CHECKING:
    from geoseg.vectorization.result import Vectorization, VectorizeProgress


@click.command(name="vectorize")
@click.argument("classes", type=FilePath(path_type=Path), nargs=-1, required=True)
@job_options(
    VectorizeJob,
    without=("classes",),
    out={"help": f"File to write; its suffix is the format: {suffixes()}."},
)
@where_options()
@click.option(
    "--each", is_flag=True, help="Every file is a map of its own; OUT is a name with {} for theirs."
)
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(classes: tuple[Path, ...], each: bool, overwrite: bool, **options: Any) -> None:
    """Polygons of CLASSES, any raster of class numbers: one for every 4-connected area of one class.

    \b
      geoseg vectorize out/classes.tif --out out/classes.gpkg
      geoseg vectorize landcover.tif --only forest --out forest.parquet
      geoseg vectorize maps/*.tif --each --out polygons/{}.gpkg

    Fields: class_id, class_name, area_ha and perim_m (on the ellipsoid), conf_mean (0 to 1), n_pix, run_id.
    Pixels without data are in no polygon. Polygons are the same for every --chunk and number of workers, but
    where one has more than --max-corners. With --each one process takes map after map and leaves what is
    there already; summary.csv beside the outputs says how each went, and the exit code is 4 when some failed.
    """  # noqa: D301 (click reads \b)
    from geoseg.vectorization.verb import run_vectorize

    where = take_where(options)
    if each:
        _vectorize_each(classes, options, where=where, overwrite=overwrite)
        return
    if len(classes) != 1:
        raise click.UsageError("CLASSES is one file; several need --each.")
    job = job_of(VectorizeJob, options, classes=classes[0])
    with _progress() as report:
        result = run_vectorize(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


def _vectorize_each(
    classes: tuple[Path, ...], options: dict[str, Any], *, where: Any, overwrite: bool
) -> None:
    """One file of polygons for each map, named after it; a map of a run is named after the run's folder."""
    from geoseg.cli.each import each_file, run_each
    from geoseg.vectorization.verb import run_vectorize

    pattern: Path = options.pop("out")
    if pattern.name.count("{}") != 1:
        raise click.UsageError("With --each, --out is a name with {} for the map's, like polygons/{}.gpkg.")

    def run(name: str, path: Path) -> dict[str, Any]:
        out = pattern.with_name(pattern.name.replace("{}", name))
        if out.exists() and not overwrite:
            return {"state": "was there", "polygons file": str(out)}
        job = job_of(VectorizeJob, options, classes=path, out=out)
        result = run_vectorize(job, where=where, overwrite=overwrite)
        areas = {f"{c.name} ha": round(c.hectares, 2) for c in result.classes}
        return {"polygons file": str(out), "polygons": result.polygons, **areas}

    run_each(each_file(classes), run, pattern.parent)


@contextmanager
def _progress() -> Iterator[Callable[[VectorizeProgress], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("vectorize"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[polygons]:,} polygons"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen(err=True), transient=True) as bar:
        task = bar.add_task("vectorize", total=None, polygons=0)

        def report(progress: VectorizeProgress) -> None:
            bar.update(task, total=progress.total, completed=progress.done, polygons=progress.polygons)

        yield report


def _show(result: Vectorization) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("polygons", "pixels", "hectares"):
        table.add_column(name, justify="right")
    if any(c.area_error is not None for c in result.classes):
        table.add_column("area error", justify="right")
    for c in result.classes:
        error = () if c.area_error is None else (f"{c.area_error:+.3%}",)
        table.add_row(c.name, f"{c.polygons:,}", f"{c.pixels:,}", hectares(c.hectares), *error)
    table.add_row(
        "all", f"{result.polygons:,}", f"{result.pixels:,}", hectares(sum(c.hectares for c in result.classes))
    )
    console = screen()
    console.print(table)
    console.print(f"{result.polygons:,} polygons in {result.seconds:.1f} s")
    if result.squared is not None:
        console.print(str(result.squared))
    for path in result.paths:
        console.print(f"  {shown(path)}")
