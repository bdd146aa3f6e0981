"""`geoseg run`: everything in a job file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import take_where, where_options
from geoseg.cli.progress import pixel_progress
from geoseg.cli.say import say


@click.command(name="run")
@click.argument("job", type=click.Path(path_type=Path))
@where_options()
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run left.")
def command(job: Path, overwrite: bool, **options: Any) -> None:
    """Run the steps of JOB, a YAML file with sections predict, clean, vectorize, evaluate, change.

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

    A section takes the keys of its command; what the step before it made is filled in.
    """  # noqa: D301 (click reads \b)
    from geoseg.pipeline import PipelineJob, run_pipeline

    where = take_where(options)
    with pixel_progress("predict") as report:
        result = run_pipeline(PipelineJob.load(job), where=where, overwrite=overwrite, progress=report)
    for step, path in result.files:
        say(f"{step:10} {path}")
