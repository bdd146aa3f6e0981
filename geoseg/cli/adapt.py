"""`geoseg adapt`: a model brought to a scene by a few labels on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.adaptation.job import AdaptJob
from geoseg.cli.fields import job_of, job_options, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import screen, show_notes

if TYPE_CHECKING:
    from geoseg.adaptation.verb import Adaptation


@click.command(name="adapt")
@click.argument("scene")
@click.argument("labels", type=FilePath(path_type=Path))
@job_options(AdaptJob, without=("scene", "labels"))
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@where_options("threads")
@click.option("--overwrite", is_flag=True, help="Replace another bundle in OUT.")
def command(
    scene: str, labels: Path, device: str, threads: int | None, overwrite: bool, **options: Any
) -> None:
    """Bring a model to SCENE by LABELS on it (points or polygons of its classes), as a bundle of its own.

    \b
      geoseg adapt scene.tif clicks.gpkg --model forest-s2-rgb --out models/here
      geoseg predict scene.tif --model models/here --out out

    Some of the labels are held out, and say what it was worth: the scores before and after stand on the
    screen and in the card of the bundle. Interrupted in any way, the same command resumes.
    """  # noqa: D301 (click reads \b)
    from geoseg.adaptation.verb import run_adapt
    from geoseg.cli.train import show_row

    job = job_of(AdaptJob, options, scene=scene, labels=labels)
    result = run_adapt(job, device=device, threads=threads, overwrite=overwrite, progress=show_row)
    show_notes(result.notes)
    _show(result)


def _show(result: Adaptation) -> None:
    from rich.table import Table

    table = Table("", "mean IoU", "accuracy", box=None, pad_edge=False)
    for name, scores in (("before", result.before), ("after", result.after)):
        table.add_row(name, *("-" if v is None else f"{v:.3f}" for v in scores.values()))
    console = screen()
    console.print(table)
    console.print(f"on {result.pixels:,} pixels of labels that were held out")
    if not result.helped:
        console.print(
            "No better than before: go on with the model as it was, or label more of what it misses."
        )
    if not result.fresh:
        console.print("This adaptation was already complete.")
    console.print(f"  {result.bundle.path}")
