"""`geoseg model compare`: models side by side on one scene with a reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, shown
from geoseg.comparison.job import CompareJob


@click.command("compare")
@click.argument("scene")
@click.argument("reference", type=FilePath(path_type=Path))
@job_options(CompareJob, without=("scene", "reference"), model={"multiple": True})
@where_options()
@click.option("--overwrite", is_flag=True, help="Start again where another run's output is.")
def command(scene: str, reference: Path, model: tuple[str, ...], overwrite: bool, **options: Any) -> None:
    """Scores, speed and novelty of models on SCENE, by REFERENCE (a raster, polygons or points).

    Models of several tasks are asked for classes.

    \b
      geoseg model compare scene.tif truth.gpkg --field class --model forest-s2-rgb --model mine --out out
    """  # noqa: D301 (click reads \b)
    from rich.table import Table

    from geoseg.comparison.verb import run_compare

    where = take_where(options)
    job = job_of(CompareJob, options, scene=scene, reference=reference, model=list(model))
    comparison = run_compare(job, where=where, overwrite=overwrite)
    show_notes(dict.fromkeys(f"{m.model}: {note}" for m in comparison.models for note in m.notes))
    head, rows = comparison.table()
    table = Table(head[0], box=None, pad_edge=False)
    for heading in head[1:]:
        table.add_column(heading, justify="right")
    for name, *numbers in rows:
        table.add_row(name, *map(_text, numbers))
    screen().print(table)
    for path in comparison.files:
        say(f"  {shown(path)}")


def _text(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3g}" if value >= 1 else f"{value:.3f}"
