"""`geoseg predict`: class map and confidence of a scene, or its objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options, one_or_more, take_where, where_options
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import pixel_count, pixels_per_second, screen, show_notes, shown
from geoseg.prediction.job import PredictJob


@click.command(name="predict")
@click.argument("scene", nargs=-1, required=True)
@job_options(PredictJob, without=("scene",), model={"multiple": True})
@where_options()
@click.option("--each", is_flag=True, help="Every file is a scene of its own; OUT gets a folder for each.")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run (what happens anyway).")
@click.option("--overwrite", is_flag=True, help="Replace another run's output, once the new one is whole.")
def command(
    scene: tuple[str, ...],
    model: tuple[str, ...],
    each: bool,
    dry_run: bool,
    resume: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Class map of SCENE, or its objects (a file, several files of one scene, a folder, or a pattern).

    \b
      geoseg predict scene.tif --model forest-s2-rgb --out out
      geoseg predict B04.tif B03.tif B02.tif --model forest-s2-rgb --out out
      geoseg predict scene.tif --model forest-s2-rgb --out out --aoi park.gpkg --workers 4
      geoseg predict images/*.tif --each --model forest-s2-rgb --out maps

    OUT gets classes.tif and confidence.tif, of a model of objects objects.gpkg and panoptic.tif, and
    manifest.json, run.yaml and log.jsonl. Interrupted in any way, the same command resumes. With --each one
    process takes scene after scene, OUT/summary.csv says how each went, and the exit code is 4 when some
    failed.
    """  # noqa: D301 (click reads \b)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other.")
    from geoseg.prediction.verb import run_predict

    where = take_where(options)
    if each:
        if dry_run:
            raise click.UsageError("--dry-run is for one scene.")
        _predict_each(scene, one_or_more(model), options, where=where, overwrite=overwrite)
        return
    job = job_of(PredictJob, options, scene=one_or_more(scene), model=one_or_more(model))
    if dry_run:
        from geoseg.cli.plan import show_plan

        show_plan(job, where, probe=True)
        return
    with pixel_progress("predict") as report:
        result = run_predict(job, where=where, overwrite=overwrite, progress=report)
    show_notes(result.notes)
    _show(result)


def _predict_each(
    scenes: tuple[str, ...], model: str | list[str], options: dict[str, Any], *, where: Any, overwrite: bool
) -> None:
    """One run for each scene, in folders of the scenes' names."""
    from geoseg.cli.each import each_file, run_each
    from geoseg.prediction.verb import run_predict

    out = options.pop("out")
    with pixel_progress("predict") as report:

        def run(name: str, path: Path) -> dict[str, Any]:
            job = job_of(PredictJob, options, scene=str(path), model=model, out=out / name)
            result = run_predict(job, where=where, overwrite=overwrite, progress=report)
            shares = {f"{name} px": count for name, count in result.pixels.items()}
            return {
                "state": "done" if result.fresh else "was there",
                **{name: str(path) for name, path in result.layers.items()},
                **shares,
            }

        run_each(each_file(scenes), run, out)


def _show(result: Any) -> None:
    from rich.table import Table

    total = sum(result.pixels.values())
    counted = ["objects"] if result.objects_found else []
    table = Table("class", *counted, "pixels", "share", box=None, pad_edge=False)
    for name, pixels in result.pixels.items():
        objects = (
            [f"{result.objects_found[name]:,}" if name in result.objects_found else ""] if counted else []
        )
        table.add_row(name, *objects, f"{pixels:,}", f"{pixels / total:.1%}")
    console = screen()
    console.print(table)
    if never := [
        name for name, pixels in result.pixels.items() if not pixels and name not in ("nodata", "no object")
    ]:
        console.print(f"Nowhere on this map: {', '.join(never)}")
    if result.fresh:
        speed = pixels_per_second(result.mapped, result.seconds)
        console.print(f"{pixel_count(result.mapped)} in {result.seconds:.1f} s ({speed})")
    else:
        console.print("This run was already complete; its files were checked again.")
    for path in (*result.layers.values(), result.manifest):
        console.print(f"  {shown(path)}")
