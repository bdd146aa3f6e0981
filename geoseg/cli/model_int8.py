"""`geoseg model int8`: what int8 costs a model on labelled scenes, measured and kept with the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.each import named, run_each_pair
from geoseg.cli.fields import job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, shown
from geoseg.comparison.job import CompareJob


@click.command("int8")
@click.argument("model")
@click.argument("scenes", type=FilePath(path_type=Path))
@click.argument("references", type=FilePath(path_type=Path))
@job_options(CompareJob, without=("scene", "reference", "model"))
@where_options()
@click.option("--overwrite", is_flag=True, help="Start again where another run's output is.")
def command(model: str, scenes: Path, references: Path, overwrite: bool, out: Path, **options: Any) -> None:
    """Measure what int8 costs MODEL in accuracy, and keep it with the model.

    SCENES and REFERENCES are files, folders or patterns, paired by their names. Each scene is mapped in
    fp32 and in int8, both maps are scored, and the difference in mean IoU over all of them is written into
    the model's folder. A model that loses more than 0.3 points is refused by predict --precision int8.
    One of several tasks is asked for classes. Interrupted, what was measured before stays with the model,
    and the same command goes on.

    \b
      geoseg model int8 my-bundle 'images/*.tif' 'masks/*.tif' --out measured
    """  # noqa: D301 (click reads \b)
    from geoseg.comparison.int8 import Int8Scores, int8_loss, score_int8
    from geoseg.models.bundle import load_bundle
    from geoseg.models.int8_loss import MOST, measuring_int8_loss, write_int8_loss

    where, bundle = take_where(options), load_bundle(model).for_classes("int8")
    scored: list[Int8Scores] = []

    def run(name: str, scene: Path, reference: Path) -> dict[str, Any]:
        job = job_of(
            CompareJob,
            named(options, name),
            scene=str(scene),
            reference=reference,
            model=[model],
            out=out / name,
        )
        found = score_int8(job, where=where, overwrite=overwrite)
        scored.append(found)
        return {
            "mean_iou_fp32": round(found.exact.overall["mean_iou"], 6),
            "mean_iou_int8": round(found.quantised.overall["mean_iou"], 6),
        }

    with measuring_int8_loss(bundle):
        run_each_pair(scenes, references, run, out)
        loss = int8_loss(bundle, scored)
        path = write_int8_loss(bundle, loss)
    say(f"{loss}: {abs(loss.points):.2f} points {'lost' if loss.points > 0 else 'gained'}")
    if not loss.accepted:
        say(f"more than {MOST}: predict --precision int8 refuses this model", err=True)
    say(f"  {shown(path)}")
