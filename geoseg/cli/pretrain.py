"""`geoseg pretrain`: weights of an encoder from scenes without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import given, job_options, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import screen, show_notes, shown
from geoseg.pretraining.job import PretrainJob


@click.command(name="pretrain")
@click.argument("scenes", nargs=-1)
@click.option("--job", "job_file", type=FilePath(path_type=Path), help="YAML file with any of the fields.")
@job_options(PretrainJob, without=("scenes", "augment"), out={"required": False})
@click.option(
    "--data",
    type=FilePath(path_type=Path, file_okay=False, exists=True),
    help="Folder that relative paths of scenes start from.  [default: the current one]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@where_options("threads")
@click.option("--overwrite", is_flag=True, help="Replace other weights; start again.")
def command(
    scenes: tuple[str, ...],
    job_file: Path | None,
    data: Path | None,
    device: str,
    threads: int | None,
    overwrite: bool,
    **fields: Any,
) -> None:
    """Teach an encoder what SCENES look like, without labels, and write its weights for `geoseg train`.

    \b
      geoseg pretrain scenes/*.tif --encoder mobilenet_v2 --out encoder.safetensors
      geoseg pretrain --job pretrain.yaml

    A training with `encoder_weights: encoder.safetensors` and the same encoder and bands starts from them.
    Interrupted in any way, the same command resumes.
    """  # noqa: D301 (click reads \b)
    from geoseg.cli.train import show_row
    from geoseg.pretraining.verb import run_pretrain
    from geoseg.strict_yaml import read_yaml

    said = {**(read_yaml(job_file) if job_file else {}), **given({**fields, "scenes": scenes})}
    job = PretrainJob.parse(said, where=job_file)
    result = run_pretrain(
        job,
        root=data,
        device=device,
        threads=threads,
        overwrite=overwrite,
        progress=show_row,
        on_notes=show_notes,
    )
    console = screen()
    figures = result.card["figures"]
    found = f"{figures['matched']:.0%} of the points of a place found again in another crop"
    console.print(f"{found}; spread {figures['spread']:.2f}")
    if not result.fresh:
        console.print("This pretraining was already complete.")
    console.print(f"  {shown(result.path)}")
