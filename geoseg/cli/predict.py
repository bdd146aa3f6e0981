"""`geoseg predict`: class map and confidence of a scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import prediction_options, split_where
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import show_notes


@click.command(name="predict")
@click.argument("scene", nargs=-1, required=True)
@prediction_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Output folder.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run (what happens anyway).")
@click.option("--overwrite", is_flag=True, help="Start again where another run's output is.")
@click.option("--allow-missing", is_flag=True, help="Publish although chunks failed; they become nodata.")
def command(
    scene: tuple[str, ...], out: Path, dry_run: bool, resume: bool, overwrite: bool, **options: Any
) -> None:
    """Class map and confidence of SCENE (a file, several files of one scene, a folder, or a pattern).

    \b
      geoseg predict scene.tif --model forest-s2-rgb --out out
      geoseg predict B04.tif B03.tif B02.tif --model forest-s2-rgb --out out
      geoseg predict scene.tif --model forest-s2-rgb --out out --aoi park.gpkg --workers 4

    OUT gets classes.tif, confidence.tif, manifest.json, run.yaml and log.jsonl. Interrupted in any way,
    the same command resumes.
    """  # noqa: D301 (click reads \b)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    from geoseg.prediction.job import PredictJob
    from geoseg.prediction.verb import run_predict

    where, fields = split_where(options)
    job = PredictJob.parse({"scene": list(scene) if len(scene) > 1 else scene[0], "out": out, **fields})
    if dry_run:
        from geoseg.cli.plan import show_plan

        show_plan(job, where, probe=True)
        return
    with pixel_progress("predict") as report:
        result = run_predict(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


def _show(result: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    total = sum(result.pixels.values())
    table = Table("class", "pixels", "share", box=None, pad_edge=False)
    for name, pixels in result.pixels.items():
        table.add_row(name, f"{pixels:,}", f"{pixels / total:.1%}")
    console = Console()
    console.print(table)
    if result.fresh:
        speed = total / max(result.seconds, 1e-9) / 1e6
        console.print(f"{total / 1e6:.1f} Mpx in {result.seconds:.1f} s ({speed:.2f} Mpx/s)")
    else:
        console.print("This run was already complete; its files were checked again.")
    for path in (result.classes, result.confidence, result.manifest):
        console.print(f"  {path}", highlight=False, soft_wrap=True)
