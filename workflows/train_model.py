"""Train a shipped model from its configuration; paths of scenes are below GEOSEG_DATA.

    GEOSEG_DATA=/path/to/data python workflows/train_model.py configs/train_urban.yaml

It is `geoseg train CONFIG --data $GEOSEG_DATA` with the number of threads that the shipped weights were made
with, since another number rounds differently. A training that was stopped goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from geoseg.cli.train import show_row
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train


@click.command()
@click.argument("config", type=click.Path(exists=True))
@click.option("--out", type=click.Path(path_type=Path), help="Bundle folder, not the configuration's.")
@click.option("--steps", type=int, help="Optimiser steps, instead of the configuration's.")
@click.option("--threads", type=int, default=1, show_default=True)
def main(config: str, out: Path | None, steps: int | None, threads: int) -> None:
    """Train, score on the held-out part, and write the bundle with its card."""
    given = {k: v for k, v in {"out": out, "steps": steps}.items() if v is not None}
    data = Path(os.environ.get("GEOSEG_DATA", "../shared/data"))
    job = TrainJob.load(config).model_copy(update=given)
    run_train(job, root=data, threads=threads, progress=show_row)


if __name__ == "__main__":
    main()
