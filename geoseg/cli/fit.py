"""`geoseg fit`: a baseline from a scene alone, or from a few labelled polygons."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, get_args

import click

from geoseg.baselines.job import FitJob, Method
from geoseg.cli.fields import given, job_options, one_or_more
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, show_notes, shown
from geoseg.errors import UsageError


@click.command(name="fit")
@click.argument("method", type=click.Choice(get_args(Method)), required=False)
@click.argument("scene", nargs=-1, type=FilePath())
@click.option("--job", "job_file", type=FilePath(path_type=Path), help="YAML file with METHOD and the rest.")
@job_options(
    FitJob,
    without=("method", "scene"),
    out={"required": False},
    region_parameters={"names": ("--region",), "multiple": True, "metavar": "KEY=NUMBER"},
)
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def command(
    method: str | None, scene: tuple[str, ...], job_file: Path | None, overwrite: bool, **options: Any
) -> None:
    """Fit METHOD to SCENE and write it as a model.

    \b
      geoseg fit ndvi scene.tif --bands red=3,nir=4 --out models/ndvi
      geoseg fit kmeans scene.tif --classes 6 --regions slic --out models/clusters
      geoseg fit forest scene.tif --labels training.gpkg --field class --out models/forest
      geoseg fit model scene.tif --model forest-s2-rgb --regions slic --out models/objects
      geoseg fit --job configs/fit_kmeans.yaml
    """  # noqa: D301 (click reads \b)
    from geoseg.baselines.verb import run_fit
    from geoseg.strict_yaml import read_yaml

    fields = {**options, "method": method, "scene": one_or_more(scene) if scene else None, **_parsed(options)}
    job = FitJob.parse({**(read_yaml(job_file) if job_file else {}), **given(fields)}, where=job_file)
    _show(run_fit(job, overwrite=overwrite, report=show_notes), job)


def _parsed(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of which the command line has only a text."""
    return {
        "classes": _classes(options["classes"]),
        "region_parameters": dict(map(_parameter, options["region_parameters"])) or None,
    }


def _classes(text: str | None) -> object:
    if text is None or text.strip().isdigit():
        return None if text is None else int(text)
    words = [w.strip() for w in text.split(",") if w.strip()]
    if not any("=" in w for w in words):
        return words
    return {key.strip(): name.strip() for key, _, name in (w.partition("=") for w in words)}


def _parameter(text: str) -> tuple[str, float]:
    key, _, value = text.partition("=")
    try:
        return key.strip(), float(value)
    except ValueError:
        raise UsageError(
            f"`region_parameters={text}` is not KEY=NUMBER", hint="`region_parameters=spacing=16`"
        ) from None


def _show(bundle: Any, job: Any) -> None:
    say(bundle.description)
    say(f"classes: {', '.join(f'{c.id} {c.name}' for c in bundle.legend.classes)}")
    if bundle.scores:
        scores = bundle.scores
        say(f"accuracy {scores['overall_accuracy']:.3f}, on {scores['data']}")
    say(f"  {shown(bundle.path)}")
    scene = shlex.join([job.scene] if isinstance(job.scene, str) else job.scene)
    said = {"bands": ",".join(map(str, job.band_choice or [])) or None, **job.reading}
    options = [f"`{key}`" if value is True else f"`{key}={value}`" for key, value in given(said).items()]
    say(
        " ".join(
            ["Next: geoseg predict", scene, f"--model {shlex.quote(str(job.out))}", *options, "--out out"]
        )
    )
