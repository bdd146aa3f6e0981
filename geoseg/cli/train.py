"""`geoseg train`: a model of your own from labelled scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import given, job_options, where_options
from geoseg.cli.say import say, screen, show_notes, shown
from geoseg.training.job import TrainJob


@click.command(name="train")
@click.argument("job", type=click.Path(path_type=Path))
@job_options(
    TrainJob, without=set(TrainJob.model_fields) - {"out", "steps", "batch", "seed"}, out={"required": False}
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
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
      torchrun --nproc-per-node 4 -m geoseg.cli.main train train.yaml

    Beside the bundle, OUT.training gets metrics.csv, curve.png and the checkpoint. Interrupted in any way,
    the same command resumes.
    """  # noqa: D301 (click reads \b)
    from geoseg.strict_yaml import read_yaml
    from geoseg.training.verb import run_train

    parsed = TrainJob.parse({**read_yaml(job), **given(fields)}, where=job)
    result = run_train(
        parsed, root=data, device=device, threads=threads, overwrite=overwrite, progress=show_row
    )
    if result.bundle is None:  # another process of the team writes and speaks
        return
    show_notes(result.notes)
    _show(result)


def show_row(row: Any) -> None:
    """Print a row of the history; `run_train(..., progress=show_row)`."""
    classes = "  ".join(
        f"{name} {'-' if value is None else format(value, '.3f')}" for name, value in row["iou"].items()
    )
    step, steps = row["step"], row["steps"]
    found = "" if row["mean_iou"] is None else f"mean IoU {row['mean_iou']:.3f}  ({classes})  "
    say(
        f"{row['part']}step {step}/{steps}  loss {row['loss']:.4f}  {found}"
        f"{row['seconds'] / step:.2f} s/step",
        err=True,
    )


def _show(result: Any) -> None:
    from rich.table import Table

    table = Table("class", "IoU", "F1", box=None, pad_edge=False)
    scores = result.bundle.scores
    for name, own in scores["classes"].items():
        table.add_row(name, *("-" if own[k] is None else f"{own[k]:.3f}" for k in ("iou", "f1")))
    console = screen()
    console.print(table)
    accuracy = scores["overall_accuracy"]
    console.print(f"mean IoU {scores['mean_iou']:.3f}, accuracy {accuracy:.3f}, on {scores['data']}")
    if lost := [name for name, own in scores["classes"].items() if own["iou"] == 0]:
        console.print(
            f"Never found right: {', '.join(lost)}. More labels, more steps or class weights may help."
        )
    if not result.fresh:
        console.print("This training was already complete.")
    console.print(f"  {shown(result.bundle.path)}")
