"""`geoseg run`: everything in a job file."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.progress import pixel_progress


@click.command(name="run")
@click.argument("job", type=click.Path(path_type=Path))
@click.option("--workers", default="0", show_default=True, help="0: this process; N processes; or 'gpu'.")
@click.option("--threads", type=int, help="Threads per forward pass.")
@click.option("--scheduler", help="Address of a running Dask scheduler, like tcp://host:8786.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier run left.")
def command(job: Path, workers: str, threads: int | None, scheduler: str | None, overwrite: bool) -> None:
    """Run the steps of JOB, a YAML file with any of the sections predict, vectorize, evaluate and change.

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
    from geoseg.execution import Where
    from geoseg.pipeline import PipelineJob, run_pipeline

    where = Where.parse(workers, scheduler, threads)
    with pixel_progress("predict") as report:
        result = run_pipeline(PipelineJob.load(job), where=where, overwrite=overwrite, progress=report)
    for step, path in result.files:
        click.echo(f"{step:10} {path}")
