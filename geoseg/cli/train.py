"""`geoseg train`: a model of your own from labelled scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import given, job_options, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, shown
from geoseg.training.job import TrainJob


@click.command(name="train")
@click.argument("job", type=FilePath(path_type=Path))
@job_options(
    TrainJob, without=set(TrainJob.model_fields) - {"out", "steps", "batch", "seed"}, out={"required": False}
)
@click.option(
    "--data",
    type=FilePath(path_type=Path, file_okay=False, exists=True),
    help="Folder that relative paths of scenes and labels start from.  [default: the current one]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@where_options("threads")
@click.option("--overwrite", is_flag=True, help="Start again where another training is.")
def command(
    job: Path, data: Path | None, device: str, threads: int | None, overwrite: bool, **fields: Any
) -> None:
    """Train a model as the file JOB says, and write it as a bundle with its card.

    \b
      geoseg train configs/train.yaml
      geoseg train train.yaml --out models/mine --threads 2
      torchrun --nproc-per-node 4 -m geoseg train train.yaml

    Beside the bundle, OUT.training gets metrics.csv, curve.png and the checkpoint. Interrupted in any way,
    the same command resumes.
    """  # noqa: D301 (click reads \b)
    from geoseg.strict_yaml import read_yaml
    from geoseg.training.verb import run_train

    parsed = TrainJob.parse({**read_yaml(job), **given(fields)}, where=job)
    result = run_train(
        parsed,
        root=data,
        device=device,
        threads=threads,
        overwrite=overwrite,
        progress=show_row,
        on_notes=show_notes,
    )
    if result.bundle is None:  # another process of the team writes and speaks
        return
    _show(result)


def show_row(row: Any) -> None:
    """Print a row of the history; `run_train(..., progress=show_row)`."""
    step, steps, figures = row["step"], row["steps"], row["figures"]
    found = "".join(
        f"{name} {'-' if value is None else format(value, '.3f')}  " for name, value in figures.items()
    )
    found = "" if all(value is None for value in figures.values()) else found
    say(
        f"{row['part']}step {step}/{steps}  loss {row['loss']:.4f}  {found}"
        f"{row['seconds'] / step:.2f} s/step",
        err=True,
    )


_PIXELS = {"iou": "IoU", "f1": "F1"}, {"mean_iou": "mean IoU", "overall_accuracy": "accuracy"}
_OBJECTS = {"f1": "F1", "pq": "PQ", "precision": "precision", "recall": "recall"}, {"f1": "F1", "pq": "PQ"}
"""Scores that are shown: of each class, and over all of them."""
_SEVERAL = {"mean_iou": "mean IoU", "f1": "F1", "pq": "PQ", "click_iou": "IoU at a click"}


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _show(result: Any) -> None:
    from rich.table import Table

    scores, console = result.bundle.scores, screen()
    columns, overall = _OBJECTS if result.bundle.objects is not None else _PIXELS
    overall = _SEVERAL if len(result.bundle.tasks) > 1 else overall
    table = Table("class", *columns.values(), box=None, pad_edge=False)
    for name, own in scores["classes"].items():
        table.add_row(name, *(_share(own[key]) for key in columns))
    console.print(table)
    said = ", ".join(f"{name} {_share(scores[key])}" for key, name in overall.items())
    console.print(f"{said}, on {scores['data']}")
    if lost := [name for name, own in scores["classes"].items() if own[next(iter(columns))] == 0]:
        weights = ", more steps or class weights" if result.bundle.objects is None else " or more steps"
        console.print(f"Never found right: {', '.join(lost)}. More labels{weights} may help.")
    if not result.fresh:
        console.print("This training was already complete.")
    console.print(f"  {shown(result.bundle.path)}")
