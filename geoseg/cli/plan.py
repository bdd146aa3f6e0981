"""`geoseg plan`: what a prediction would cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.fields import job_of, job_options, one_or_more, take_where, where_options
from geoseg.cli.say import pixels_per_second, screen, show_notes, size
from geoseg.prediction.job import PredictJob

if TYPE_CHECKING:
    from geoseg.execution import Where
    from geoseg.prediction.plan import OpenedJob


@click.command(name="plan")
@click.argument("scene", nargs=-1, required=True)
@job_options(
    PredictJob,
    without=("scene", "allow_missing"),
    model={"multiple": True},
    out={"required": False, "show_default": "out", "help": "Where the outputs would go."},
)
@where_options()
@click.option("--no-probe", is_flag=True, help="Do not time the model on one tile.")
def command(scene: tuple[str, ...], model: tuple[str, ...], no_probe: bool, **options: Any) -> None:
    """Tiles, memory, disk and time that predicting SCENE would take. Nothing is written.

    \b
      geoseg plan scene.tif --model forest-s2-rgb
    """  # noqa: D301 (click reads \b)
    where = take_where(options)
    out = options.pop("out") or Path("out")
    job = job_of(PredictJob, options, scene=one_or_more(scene), model=one_or_more(model), out=out)
    show_plan(job, where, probe=not no_probe)


def show_plan(job: PredictJob, where: Where, *, probe: bool) -> None:
    """Print the forecast of a job; a plan that does not fit the memory or the disk is refused."""
    from rich.table import Table

    from geoseg.cli.progress import _duration
    from geoseg.geometry import in_words
    from geoseg.prediction.plan import check_resources, describe_grid, forecast, open_job

    opened = open_job(job)
    cost = forecast(opened, where, probe=probe)
    tiling, scene, ensemble = opened.tiling, opened.scene, opened.ensemble
    networks = "the network" if len(ensemble.bundles) == 1 else f"the {len(ensemble.bundles)} networks"
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = {
        "scene": describe_grid(scene.grid),
        "bands": f"{scene.count} x {scene.dtype}: {', '.join(scene.band_names)}",
        "model": f"{' + '.join(f'{b.name} {b.version}' for b in ensemble.bundles)}: "
        f"{', '.join(ensemble.legend.names)}",
        "tiles": f"{opened.tiles:,} of {in_words(tiling.tile)} pixels, margin {tiling.margin}, "
        f"{tiling.stitch}, {opened.batch} per forward pass",
        "cost": _cost(opened),
        "chunks": f"{len(opened.chunks):,} of {in_words(tiling.chunk)} pixels",
        "memory": f"{size(cost.memory)} per worker"
        + ("" if cost.engine_memory is None else f", and {size(cost.engine_memory)} for {networks}"),
        "disk": f"at most {size(cost.disk)}",
    }
    if cost.engine is not None and cost.seconds is not None:
        speed = pixels_per_second(opened.area, cost.seconds)
        rows["engine"] = _engine(cost.engine)
        rows["time"] = f"{_duration(cost.seconds)} ({speed}, one tile timed)"
    for key, value in rows.items():
        table.add_row(key, value)
    screen().print(table)
    show_notes(opened.notes)
    check_resources(opened, where)


def _cost(opened: OpenedJob) -> str:
    """Forward-pixels per scene-pixel, and what they are the product of."""
    models = len(opened.ensemble.bundles)
    views = opened.ensemble.forwards // models
    factors = [f"{opened.tiling.forward_ratio:.3f}"]
    factors += [f"{models} models"] if models > 1 else []
    factors += [f"{views} views"] if views > 1 else []
    total = f"{opened.forward_ratio:.3f} forward-pixels per scene-pixel"
    return total if len(factors) == 1 else f"{total} ({' x '.join(factors)})"


def _engine(identity: dict[str, Any]) -> str:
    """Identity of an engine in words; of an average, that of its members."""
    members = identity.get("members", [identity])
    values = {key: dict.fromkeys(str(m.get(key)) for m in members) for key in members[0] if key != "bundle"}
    return ", ".join(f"{key} {' / '.join(found)}" for key, found in values.items())
