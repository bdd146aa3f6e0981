"""`geoseg evaluate`: scores of a class map against a reference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from geoseg.cli.fields import given, job_of, job_options, take_where, where_options
from geoseg.cli.paths import FilePath
from geoseg.cli.say import say, screen, show_notes, show_table, shown
from geoseg.errors import UsageError
from geoseg.evaluation.job import EvaluateJob
from geoseg.evaluation.object_job import EvaluateObjectsJob
from geoseg.job import Job
from geoseg.writers.formats import FORMATS

_VECTORS = {*(known.suffix for known in FORMATS), ".json"}


@click.command(name="evaluate")
@click.argument("classes", type=FilePath(path_type=Path))
@click.argument("reference", type=FilePath(path_type=Path))
@job_options(
    EvaluateJob,
    without=("classes", "reference"),
    single_class={"metavar": "NAME"},
    background={"metavar": "NAME"},
    boundary={"metavar": "PIXELS"},
    boundary_f1={"metavar": "METRES"},
    blocks={"metavar": "METRES"},
)
@job_options(EvaluateObjectsJob, without=(*EvaluateJob.model_fields, "objects"), sizes={"metavar": "M2,M2"})
@where_options()
@click.option(
    "--each",
    is_flag=True,
    help="CLASSES and REFERENCE are folders or patterns, paired by names; OUT is a folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that holds no scores.")
def command(classes: Path, reference: Path, each: bool, overwrite: bool, **options: Any) -> None:
    """Scores of the class map CLASSES against REFERENCE (a raster, polygons or points).

    \b
      geoseg evaluate out/classes.tif reference.tif --out out/scores.json
      geoseg evaluate out/classes.tif fields.gpkg --field crop --crosswalk crops.yaml
      geoseg evaluate out/classes.tif houses.shp --single-class building --background other

    \b
      geoseg evaluate out/classes.tif ref.tif --confidence out/confidence.tif --objects --boundary-f1 20
      geoseg evaluate out/classes.tif ref.tif --regions towns.gpkg --regions-field name --blocks 5000

    \b
      geoseg evaluate out/objects.gpkg houses.gpkg --aoi labelled.gpkg --out out/scores.json
      geoseg evaluate 'maps/*/classes.tif' references --each --out scores

    Where CLASSES is a vector file its polygons are objects, scored against the polygons of REFERENCE.
    The reference may be in any CRS; a raster may have any pixel size. With --each one process takes map after
    map, {} in --confidence and --errors stands for their names, and what is there is left; one reference file
    serves all maps. OUT gets NAME.json of each, pooled.json of all their counts, and summary.csv, which says
    how each went; the exit code is 4 when some failed.
    """  # noqa: D301 (click reads \b)
    from geoseg.evaluation.verb import beside, run_evaluate, tables_beside
    from geoseg.raster.datasource import is_vector

    where = take_where(options)
    if each:
        _refuse(options, EvaluateJob, "objects, as polygons")
        _evaluate_each(classes, reference, options, where=where, overwrite=overwrite)
        return
    if classes.suffix.lower() in _VECTORS and is_vector(classes):
        _evaluate_objects(classes, reference, options, overwrite=overwrite)
        return
    _refuse(options, EvaluateJob, "objects, as polygons")
    job = job_of(EvaluateJob, options, classes=classes, reference=reference)
    scores = run_evaluate(job, where=where, overwrite=overwrite)
    show_notes(scores.notes)
    _show(scores)
    for path in (job.out, *beside(job.out), *tables_beside(scores, job.out)) if job.out else ():
        say(f"  {shown(path)}")
    if job.errors is not None:
        say(f"  {shown(job.errors)}")


def _evaluate_objects(objects: Path, reference: Path, options: dict[str, Any], *, overwrite: bool) -> None:
    from rich.table import Table

    from geoseg.evaluation.object_verb import run_evaluate_objects

    _refuse(options, EvaluateObjectsJob, "class maps", "objects")
    job = job_of(EvaluateObjectsJob, options, objects=objects, reference=reference)
    result = run_evaluate_objects(job, overwrite=overwrite)
    show_notes(result.notes)
    table = Table("", box=None, pad_edge=False, padding=(0, 1, 0, 0))  # within 80 columns
    for heading in ("ref.", "objects", "found", "precision", "recall", "F1", "SQ", "PQ", "AP", "AP50"):
        table.add_column(heading, justify="right")
    several = result.sizes if len(result.sizes) > 1 else {}
    for name, s in {**result.classes, **several}.items():
        shares = (s.precision, s.recall, s.f1, s.iou, s.pq, s.ap, s.ap50)
        table.add_row(name, f"{s.reference:,}", f"{s.mapped:,}", f"{s.matched:,}", *map(_share, shares))
    show_table(table)
    for name, s in result.classes.items():
        density = result.per_hectare[name]
        say(
            f"{name}: {density['mapped']:,.4g} per hectare of {s.mapped_area:,.0f} m2 in all; "
            f"in the reference {density['reference']:,.4g} of {s.reference_area:,.0f} m2"
        )
    place = "the area of interest" if job.aoi else "the box around both layers: --aoi gives another"
    say(f"hectares are the {result.hectares:,.4g} of {place}")
    if len(result.classes) > 1:
        text = ", ".join(f"{name.upper()} {_share(value)}" for name, value in result.mean.items())
        screen().print(f"mean over classes: {text}", highlight=False)
    for path in (job.out, job.out.with_suffix(".csv")) if job.out else ():
        say(f"  {shown(path)}")


def _refuse(options: dict[str, Any], job: type[Job], what: str, *also: str) -> None:
    """Usage error for an option that was given and is for something else."""
    for name in given(options):
        if name not in job.model_fields or name in also:
            raise click.UsageError(f"--{name.replace('_', '-')} is for {what}.")


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _evaluate_each(
    classes: Path, reference: Path, options: dict[str, Any], *, where: Any, overwrite: bool
) -> None:
    """Scores of each pair of one name, and of all their counts together."""
    from geoseg.accuracy.scores import Scores, read_matrix
    from geoseg.cli.each import named, require_placeholder, run_each_pair
    from geoseg.evaluation.verb import run_evaluate, write_scores

    out: Path | None = options.pop("out")
    if out is None:
        raise click.UsageError("With --each, --out is the folder for the scores.")
    require_placeholder(options, "errors")
    pooled = out / "pooled.json"
    unmapped: Any = options.get("unmapped") or "ignore"
    matrices: dict[str, Any] = {}

    def run(name: str, one: Path, other: Path) -> dict[str, Any]:
        file = out / f"{name}.json"
        if file == pooled:
            raise UsageError("a map cannot be called pooled, as the scores of all are", where=one)
        there = file.is_file() and not overwrite
        if not there:
            job = job_of(EvaluateJob, named(options, name), classes=one, reference=other, out=file)
            run_evaluate(job, where=where, overwrite=overwrite)
        matrix = read_matrix(file)
        if matrices and matrix.legend != (first := next(iter(matrices.values())).legend):
            raise UsageError(
                "its classes are not those of the first map, so its counts are not among all",
                where=one,
                why=f"{', '.join(matrix.legend.names)}; the first has {', '.join(first.names)}",
            )
        matrices[name] = matrix
        numbers = {k: round(v, 6) for k, v in Scores(matrix=matrix, unmapped=unmapped).overall.items()}
        return {"state": "was there" if there else "done", "scores": str(file), **numbers}

    try:
        run_each_pair(classes, reference, run, out)
    finally:
        if matrices:
            first, *others = matrices.values()
            scores = Scores(
                matrix=sum(others, first), unmapped=unmapped, provenance={"scenes": list(matrices)}
            )
            write_scores(scores, pooled)
            _show(scores)
            say(f"  {pooled}")


def _show(scores: Any) -> None:
    from rich.table import Table

    unit = "points" if scores.kind == "points" else "px"
    columns = scores.metrics(per_class=True)
    table = Table("class", box=None, pad_edge=False)
    for heading in (*(m.heading for m in columns), f"reference {unit}", f"map {unit}"):
        table.add_column(heading, justify="right")
    for record in scores.per_class:
        numbers = (_text(m, record[m.name]) for m in columns)
        table.add_row(record["class"], *numbers, f"{record['reference']:,}", f"{record['map']:,}")
    console = screen()
    show_table(table)
    overall = scores.overall
    shares_first = sorted(scores.metrics(per_class=False), key=lambda m: not m.share)
    console.print(
        ", ".join(f"{m.heading} {_text(m, overall[m.name])}{_interval(scores, m)}" for m in shares_first),
        highlight=False,
    )
    if scores.absent:
        console.print(
            f"In neither map nor reference, so without a score: {', '.join(scores.absent)}", highlight=False
        )


def _text(metric: Any, value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}" if metric.share else f"{value:.3f}"


def _interval(scores: Any, metric: Any) -> str:
    """95 % interval by the blocks, where there is one."""
    if metric.name not in scores.intervals:
        return ""
    low, high = (_text(metric, value) for value in scores.intervals[metric.name])
    return f" ({low} to {high} by blocks)"
