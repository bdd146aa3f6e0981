"""What the commands that train shipped models have in common: their options, and where the data lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from geoseg.cli.train import show_row
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train


def data_folder() -> Path:
    """The folder of public data: GEOSEG_DATA, or the one beside the project."""
    return Path(os.environ.get("GEOSEG_DATA", "../shared/data"))


def training_command(config: str | None = None) -> Callable[[Callable[..., Path]], click.Command]:
    """Decorator of a function that gives the folder in which a training finds its scenes.

    It becomes a command that trains there as the configuration says, which has to be given where there is no
    `config`; options of its own are the function's arguments.
    """

    def decorate(prepared: Callable[..., Path]) -> click.Command:
        @click.argument("config", type=click.Path(exists=True), default=config, required=config is None)
        @click.option(
            "--out", type=click.Path(path_type=Path), help="Bundle folder, not the configuration's."
        )
        @click.option("--steps", type=int, help="Optimiser steps, instead of the configuration's.")
        @click.option("--threads", type=int, default=1, show_default=True)
        @wraps(prepared)
        def main(config: str, out: Path | None, steps: int | None, threads: int, **own: Any) -> None:
            given = {k: v for k, v in {"out": out, "steps": steps}.items() if v is not None}
            job = TrainJob.load(config).model_copy(update=given)
            run_train(job, root=prepared(**own), threads=threads, progress=show_row)

        return click.command(main)

    return decorate
