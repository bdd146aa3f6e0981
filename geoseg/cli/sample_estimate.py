"""`geoseg sample estimate`: accuracy and areas with standard errors from a labelled sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import job_of, job_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, shown
from geoseg.estimation.job import EstimateJob


@click.command(name="estimate")
@click.argument("sample", type=FilePath(path_type=Path))
@job_options(
    EstimateJob,
    without=("sample",),
    label_field={"metavar": "NAME"},
    map_field={"metavar": "NAME"},
    stratum_field={"metavar": "NAME"},
    cluster_field={"metavar": "NAME"},
    ratio={"metavar": '"A / B,C"'},
)
@click.option("--overwrite", is_flag=True, help="Replace files that hold no estimates.")
def command(sample: Path, overwrite: bool, **options: Any) -> None:
    """Accuracy of a map and areas of classes, with their intervals, from the labelled SAMPLE.

    \b
      geoseg sample estimate sample.gpkg --out estimates.json
      geoseg sample estimate sample.gpkg --map other.tif --another-map
      geoseg sample estimate points.csv --design stratified --map classes.tif
      geoseg sample estimate ceo.csv --label-field "LAND USE" --design stratified \\
          --strata-areas strata.csv

    Half-labelled samples will do: labelling goes in random order. Tables of Collect Earth Online, ArcGIS,
    SEPAL and sits are read.
    """  # noqa: D301 (click reads \b)
    from geoseg.estimation.verb import beside, run_estimate

    job = job_of(EstimateJob, options, sample=sample)
    found = run_estimate(job, overwrite=overwrite)
    show_notes(found.notes)
    _show(found)
    for path in (job.out, *beside(job.out)) if job.out else ():
        say(f"  {shown(path)}")


def _show(found: Any) -> None:
    from rich.table import Table

    console = screen()
    percent = f"{100 * found.confidence:g} %"
    records, areas = found.per_class, found.hectares is not None
    table = Table("class", box=None, pad_edge=False)
    unit = "ha" if areas else "% of area"
    for heading in ("map ha", f"area {unit}", f"± {percent}", "±/area"):
        table.add_column(heading, justify="right")
    for record in records:
        value, half = _area(record, found)
        mapped = _number(record["mapped_ha"]) if areas else "-"
        table.add_row(
            record["class"],
            mapped,
            _number(value),
            _number(half),
            _percent(half / value) if value else "-",
        )
    console.print(table)
    if found.scored:
        console.print()
        console.print(_accuracies(records, found.z, Table("class", box=None, pad_edge=False)))
        o = found.overall
        within = f"{_percent(o['estimate'])} ± {_percent(found.z * o['se'])}"
        console.print(f"\noverall accuracy {within} ({percent} interval)")
        if "lowest" in o:
            low, high = _percent(o["lowest"]), _percent(o["highest"])
            console.print(f"{low} to {high} over all that unknown units may be")
        if "either_label" in o:
            console.print(f"{_percent(o['either_label'])} where the second label counts as well")
    for ratio in found.ratio_records:
        console.print(f"{ratio['ratio']}: {_percent(ratio['estimate'])} ± {_percent(found.z * ratio['se'])}")


def _area(record: Any, found: Any) -> tuple[float, float]:
    """Area, and half of its interval, in hectares or percent."""
    if found.hectares is None:
        return 100 * record["area"], 100 * found.z * record["area_se"]
    se = record["area_ha_adjusted_se" if found.interval == "adjusted" else "area_ha_se"]
    return record["area_ha"], found.z * se


def _accuracies(records: Sequence[Any], z: float, table: Any) -> Any:
    for heading in ("n map", "n ref", "user's", "±", "producer's", "±", "F1", "IoU"):
        table.add_column(heading, justify="right")
    for r in records:
        users, producers = (_percent(z * r[f"{name}_se"]) for name in ("users", "producers"))
        if r["users_se"] == 0:  # all or none right is no certainty
            low, high = r["users_wilson_low"], r["users_wilson_high"]
            users = f"≥{_percent(low)}" if r["users"] == 1 else f"≤{_percent(high)}"
        table.add_row(
            r["class"],
            f"{r['map_units']:,.0f}",
            f"{r['reference_units']:,.0f}",
            _percent(r["users"]),
            users,
            _percent(r["producers"]),
            producers,
            _percent(r["f1"]),
            _percent(r["iou"]),
        )
    return table


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
