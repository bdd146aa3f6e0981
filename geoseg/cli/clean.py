"""`geoseg clean`: a class map made calmer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cleaning.job import CleanJob
from geoseg.cli.say import show_notes

if TYPE_CHECKING:
    from geoseg.cleaning.verb import Cleaned


@click.command(name="clean")
@click.argument("classes", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="GeoTIFF to write.")
@click.option("--min-area", type=float, help="Smallest area of a region in hectares.")
@click.option("--min-pixels", type=int, help="Smallest number of pixels of a region instead.")
@click.option(
    "--small",
    type=click.Choice(["merge", "drop"]),
    help="Smaller ones join the neighbour they share most border with, or become nodata. [merge]",
)
@click.option("--majority", type=int, help="Majority filter first; side of its window, odd.")
@click.option("--opening", help="Take off parts narrower than N pixels, odd: 3, or road=3,building=5.")
@click.option("--closing", help="Give classes what is narrower between them: road=3,building=5.")
@click.option("--fill-holes", type=int, help="Fill nodata areas of fewer pixels first.")
@click.option(
    "--legend",
    type=click.Path(path_type=Path),
    help="YAML: class number to name.",
)
@click.option("--chunk", type=int, help="Side of one task's block. [by the map's width]")
@click.option("--band", help="Which band of several, by number or name.")
@click.option("--nodata", type=float, help="Value that means no data, instead of the file's own tag.")
@click.option("--assume-crs", help="CRS of a map that has none, for example EPSG:32720.")
@click.option("--assume-transform", help="Its affine numbers a,b,c,d,e,f (pixel corner to map).")
@click.option("--allow-vrt", is_flag=True, help="Read VRT files (they can name other files).")
@click.option("--workers", default="0", show_default=True, help="0: this process; N processes.")
@click.option("--scheduler", help="Address of a running Dask scheduler, like tcp://host:8786.")
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(workers: str, scheduler: str | None, overwrite: bool, **options: Any) -> None:
    """CLASSES made calmer: majority filter, narrow parts, holes, small areas, in this order.

    \b
      geoseg clean out/classes.tif --min-area 1 --out out/cleaned.tif
      geoseg evaluate out/cleaned.tif reference.gpkg --field class --out out/scores.json

    OUT is a class map with the same names, colours and grid: score it, compare it, make polygons of it.
    `geoseg vectorize` with the same options makes the same polygons in one go. Pixels are the same for every
    --chunk and number of workers.
    """  # noqa: D301 (click reads \b)
    from geoseg.cleaning.verb import run_clean
    from geoseg.execution import Where

    job = CleanJob.parse({key: value for key, value in options.items() if value is not None})
    result = run_clean(job, where=Where.parse(workers, scheduler), overwrite=overwrite)
    show_notes(result.notes)
    _show(result)


def _show(result: Cleaned) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("pixels before", "after", "hectares"):
        table.add_column(name, justify="right")
    for c in result.classes:
        table.add_row(c.name, f"{c.before:,}", f"{c.after:,}", f"{c.hectares:,.2f}")
    console = Console()
    console.print(table)
    console.print(f"{result.changed:,} pixels changed in {result.seconds:.1f} s")
    console.print(f"  {result.path}", highlight=False, soft_wrap=True)
