"""`geoseg vectorize`: polygons of a class map."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.say import show_notes
from geoseg.writers.formats import suffixes

if TYPE_CHECKING:
    from geoseg.vectorization.result import Vectorization, VectorizeProgress


@click.command(name="vectorize")
@click.argument("classes", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=f"File to write; the suffix is the format: {suffixes()}",
)
@click.option(
    "--confidence", type=click.Path(path_type=Path), help="Confidence raster. [confidence.tif beside CLASSES]"
)
@click.option("--conf-min", is_flag=True, help="Also write conf_min, the least confidence of any pixel.")
@click.option(
    "--fractions",
    type=click.Path(path_type=Path),
    help="Another class map: adds frac_V, the share of each polygon that has its class V.",
)
@click.option("--neighbours", is_flag=True, help="Also write which polygons share how much border.")
@click.option("--only", help="Classes to write, by name or number: forest,water.")
@click.option("--min-area", type=float, help="Smallest area of a polygon in hectares.")
@click.option("--min-pixels", type=int, help="Smallest number of pixels of a polygon instead.")
@click.option(
    "--small",
    type=click.Choice(["merge", "drop"]),
    help="Smaller ones join the neighbour they share most border with, or are left out. [merge]",
)
@click.option("--majority", type=int, help="Majority filter first; side of its window, odd.")
@click.option("--opening", help="Take off parts narrower than N pixels, odd: 3, or road=3,building=5.")
@click.option("--closing", help="Give classes what is narrower between them: road=3,building=5.")
@click.option("--fill-holes", type=int, help="Fill nodata areas of fewer pixels first.")
@click.option("--simplify", type=float, help="Simplify shared borders, within this many metres.")
@click.option(
    "--method",
    type=click.Choice(["visvalingam", "douglas-peucker"]),
    help="Which vertices go; visvalingam keeps the classes' areas. [visvalingam]",
)
@click.option("--smooth", type=int, help="Smooth shared borders: rounds of corner cutting, 1 to 3.")
@click.option("--square", help="Classes whose outlines get right angles: building. Needs --simplify.")
@click.option(
    "--max-corners", type=int, help="Cut larger polygons along rows of the map; 0: never. [2,000,000]"
)
@click.option("--layer", help="Layer name. [landcover]")
@click.option("--crs", help="CRS of the output, for example EPSG:4326. [the map's]")
@click.option("--chunk", type=int, help="Side of one task's block. [by the map's width]")
@click.option(
    "--legend",
    type=click.Path(path_type=Path),
    help="YAML: class number to name.",
)
@click.option("--band", help="Which band of several, by number or name.")
@click.option("--nodata", type=float, help="Value that means no data, instead of the file's own tag.")
@click.option("--assume-crs", help="CRS of a map that has none, for example EPSG:32720.")
@click.option("--assume-transform", help="Its affine numbers a,b,c,d,e,f (pixel corner to map).")
@click.option("--allow-vrt", is_flag=True, help="Read VRT files (they can name other files).")
@click.option("--workers", default="0", show_default=True, help="0: this process; N processes.")
@click.option("--scheduler", help="Address of a running Dask scheduler, like tcp://host:8786.")
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(workers: str, scheduler: str | None, overwrite: bool, **options: Any) -> None:
    """Polygons of CLASSES, any raster of class numbers: one for every 4-connected area of one class.

    \b
      geoseg vectorize out/classes.tif --out out/classes.gpkg
      geoseg vectorize landcover.tif --only forest --out forest.parquet

    Fields: class_id, class_name, area_ha and perim_m (on the ellipsoid), conf_mean (0 to 1), n_pix, run_id.
    Pixels without data are in no polygon. Polygons are the same for every --chunk and number of workers, but
    where one has more than --max-corners.
    """  # noqa: D301 (click reads \b)
    from geoseg.execution import Where
    from geoseg.vectorization.job import VectorizeJob
    from geoseg.vectorization.verb import run_vectorize

    job = VectorizeJob.parse({key: value for key, value in options.items() if value is not None})
    where = Where.parse(workers, scheduler)
    with _progress() as report:
        result = run_vectorize(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


@contextmanager
def _progress() -> Iterator[Callable[[VectorizeProgress], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("vectorize"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[polygons]:,} polygons"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("vectorize", total=None, polygons=0)

        def report(progress: VectorizeProgress) -> None:
            bar.update(task, total=progress.total, completed=progress.done, polygons=progress.polygons)

        yield report


def _show(result: Vectorization) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("polygons", "pixels", "hectares"):
        table.add_column(name, justify="right")
    if any(c.area_error is not None for c in result.classes):
        table.add_column("area error", justify="right")
    for c in result.classes:
        error = () if c.area_error is None else (f"{c.area_error:+.3%}",)
        table.add_row(c.name, f"{c.polygons:,}", f"{c.pixels:,}", f"{c.hectares:,.2f}", *error)
    table.add_row(
        "all", f"{result.polygons:,}", f"{result.pixels:,}", f"{sum(c.hectares for c in result.classes):,.2f}"
    )
    console = Console()
    console.print(table)
    console.print(f"{result.polygons:,} polygons in {result.seconds:.1f} s")
    if result.squared is not None:
        s = result.squared
        console.print(f"{s.outlines:,} outlines squared, IoU {s.mean_iou:.3f} (least {s.least_iou:.3f})")
    for path in result.paths:
        console.print(f"  {path}", highlight=False, soft_wrap=True)
