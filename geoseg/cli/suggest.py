"""`geoseg suggest`: squares to label next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import screen, show_notes, shown
from geoseg.suggestions.job import SuggestJob
from geoseg.writers.formats import suffixes

if TYPE_CHECKING:
    from geoseg.suggestions.verb import Suggestions


@click.command(name="suggest")
@click.argument("classes", type=FilePath(path_type=Path))
@job_options(
    SuggestJob,
    without=("classes",),
    out={"help": f"File to write; its suffix is the format: {suffixes()}."},
)
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(classes: Path, overwrite: bool, **options: Any) -> None:
    """Squares of the map CLASSES to label next: where the model is unsure, and unlike each other.

    \b
      geoseg suggest out/classes.tif --out to_label.gpkg
      geoseg suggest out/classes.tif --labelled mine.gpkg --count 10 --out to_label.gpkg

    Open the squares over the scene in a GIS, draw polygons of every class in them, and train with those.
    Fields: order (1 is the most useful), unsure_pct, class_id and class_name (what most of it was mapped as),
    mix.
    """  # noqa: D301 (click reads \b)
    from geoseg.suggestions.verb import run_suggest

    result = run_suggest(job_of(SuggestJob, options, classes=classes), overwrite=overwrite)
    show_notes(result.notes)
    _show(result)


def _show(result: Suggestions) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("order", "column", "row", "unsure"):
        table.add_column(name, justify="right")
    table.add_column("mapped as")
    for s in result.squares[:20]:
        mix = ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(s.shares.items())[:3])
        table.add_row(str(s.order), f"{s.window.col:,}", f"{s.window.row:,}", f"{s.unsure:.1f} %", mix)
    console = screen()
    console.print(table)
    console.print(f"{len(result.squares)} squares; the whole map is unsure by {result.unsure:.1f} %")
    console.print(f"  {shown(result.path)}")
