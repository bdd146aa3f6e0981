"""`geoseg run`: everything in a job file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import say


@click.command(name="run")
@click.argument("job", type=FilePath(path_type=Path))
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run left.")
def command(job: Path, overwrite: bool, **options: Any) -> None:
    """Run the steps of JOB, a YAML file with a section for each.

    Sections are predict, clean, vectorize, evaluate, change, series, zones, sample, estimate and report.

    \b
      predict:
        scene: scene.tif
        model: forest-s2-rgb
        out: out
      vectorize:
        out: out/classes.gpkg
      evaluate:
        reference: reference.gpkg
        field: class
        out: out/scores.json

    A section takes the keys of its command, or a list of such; what the steps before it made is filled in.
    Steps that are done are kept, so that the same command goes on after an interruption, and does anew what
    follows from a section or a file that was changed. An estimate waits until its sample is labelled.
    """  # noqa: D301 (click reads \b)
    from geoseg.pipeline.job import PipelineJob
    from geoseg.pipeline.verb import run_pipeline

    where = take_where(options)
    steps = PipelineJob.load(job)
    with pixel_progress("run") as report:
        result = run_pipeline(steps, where=where, overwrite=overwrite, progress=report)
    for step, path in result.files:
        say(f"{step:10} {path}")
    for what in result.waiting:
        say(f"waiting    {what}; then run the same again")
