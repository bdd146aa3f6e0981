"""`geoseg prompt`: objects at points and in boxes of a layer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes
from geoseg.prompts.job import PromptJob
from geoseg.writers.formats import suffixes

if TYPE_CHECKING:
    from geoseg.prompts.verb import Prompted

_EVERY = 30.0


@click.command(name="prompt")
@click.argument("scene", type=FilePath())
@click.argument("prompts", type=FilePath(path_type=Path))
@job_options(
    PromptJob,
    without=("scene", "prompts"),
    out={"help": f"File to write; its suffix is the format: {suffixes()}."},
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of the network.")
@click.option("--overwrite", is_flag=True, help="Replace the output.")
def command(scene: str, prompts: Path, threads: int | None, overwrite: bool, **options: Any) -> None:
    """The object at each of PROMPTS on SCENE: one polygon for each point or box.

    \b
      geoseg prompt scene.tif clicks.gpkg --out buildings.gpkg
      geoseg prompt scene.tif clicks.gpkg --group object --label inside --out objects.geojson

    Own columns are kept. Added are a score in percent, a status (ok, empty, outside, nodata), the area, and
    whether the object goes on beyond the window that the model saw.
    """  # noqa: D301 (click reads \b)
    from geoseg.prompts.verb import run_prompt

    job = job_of(PromptJob, options, scene=scene, prompts=prompts)
    result = run_prompt(job, overwrite=overwrite, threads=threads, progress=_lines())
    show_notes(result.notes)
    _show(result)


def _lines() -> Callable[[int, int], None]:
    """Progress as a line now and then."""
    last = [time.monotonic()]

    def report(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= _EVERY:
            last[0] = now
            say(f"prompt: {done:,} of {total:,} prompts", err=True)

    return report


def _show(result: Prompted) -> None:
    console = screen()
    status = ", ".join(f"{count:,} {name}" for name, count in result.status.items() if count)
    console.print(f"{result.prompts:,} prompts by {result.model}: {status}")
    console.print(f"{result.hectares:,.4f} ha in all, {result.windows:,} windows, in {result.seconds:.1f} s")
    for path in result.paths:
        console.print(f"  {path}")
