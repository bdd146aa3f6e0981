"""The verb evaluate: scores of a class map against a reference."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.accuracy.scores import Scores
from geoseg.errors import InputError
from geoseg.evaluation.chunk import count_window
from geoseg.evaluation.errors import require_errors, write_errors
from geoseg.evaluation.inputs import open_inputs
from geoseg.evaluation.job import EvaluateJob
from geoseg.evaluation.together import Together
from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.execution.opened import Opened
from geoseg.files import commit, partial_folder, require_report, sha256_of, writing
from geoseg.job import takes
from geoseg.options import EvaluateOptions
from geoseg.raster.classmap import ClassMap
from geoseg.tables import csv_text
from geoseg.truth.layer import Truth


@takes(EvaluateJob)
def evaluate(
    classes: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    **options: Unpack[EvaluateOptions],
) -> Scores:
    """Scores of a class map against a reference, raster or vector.

    Parameters
    ----------
    classes
        The class map.
    reference
        Raster of class numbers, polygons or points, in any CRS; a raster of any pixel size.
    out
        ``scores.json`` to write, with ``scores.csv`` and ``confusion.csv`` beside it.
    workers, threads, scheduler
        As in `geoseg.predict`; in this process, `threads` windows are scored at a time.
    overwrite
        Replace a file of that name even if it holds no scores.
    **options
        The further fields of `EvaluateJob`: field, layer, crosswalk, single_class, background, overlap,
        repair, reference_crs, reference_band, band, legend, unmapped, resample, boundary, boundary_f1,
        objects, confidence, regions, blocks, errors.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Before anything is written.
    """
    job = EvaluateJob.parse({"classes": classes, "reference": reference, "out": out, **options})
    return run_evaluate(job, where=Where.parse(workers, scheduler, threads), overwrite=overwrite)


def run_evaluate(job: EvaluateJob, *, where: Where | None = None, overwrite: bool = False) -> Scores:
    """Scores of a job; see `evaluate`."""
    where = where or Where()
    if job.out is not None:
        _check_output(job, job.out, overwrite)
    if job.errors is not None:
        require_errors(job.errors, overwrite=overwrite, inputs=job.inputs())
    inputs = open_inputs(job)
    class_map, reference = inputs.class_map, inputs.reference
    task = partial(count_window, Opened(inputs, open_inputs, job), job)
    windows = class_map.scan_windows()
    outcomes = run_chunks(
        task, windows, where, concurrency=min(where.threads_here, len(windows)), ordered=job.objects
    )
    together = Together(inputs, job)
    for outcome in outcomes:
        together.add(outcome.item, outcome.result())
    matrix = together.matrix
    scores = Scores(
        matrix=matrix,
        unmapped=job.unmapped,
        boundary=together.boundary,
        boundary_edge=job.boundary_edge,
        further=together.further(),
        regions=together.regions(),
        blocks=together.blocks(),
        intervals=together.intervals(),
        kind=reference.kind,
        notes=(
            *class_map.scene.notes,
            *inputs.notes,
            *reference.notes,
            *_remarks(matrix, job, reference.kind),
            *together.remarks(),
        ),
        provenance=_provenance(job, class_map, reference),
    )
    if not scores.counts.sum():
        raise InputError(
            "nothing to score: no pixel has a class in both the reference and the map",
            where=job.reference,
            why=f"{matrix.unreferenced:,} map pixels without a reference class, "
            f"{int(matrix.unmapped.sum()):,} reference pixels without a map class",
            hint="a crosswalk that does not ignore everything, or a reference on the mapped area",
        )
    with ExitStack() as stack:
        made: list[tuple[Path, Path]] = []
        if job.errors is not None:
            stack.enter_context(writing(job.errors))
            folder = stack.enter_context(partial_folder(job.errors.absolute()))
            made += write_errors(inputs, job.errors, matrix.counts, windows, folder)
        if job.out is not None:
            stack.enter_context(writing(job.out))
            job.out.absolute().parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(partial_folder(job.out.absolute()))
            made += _written(scores, job.out.absolute(), folder)
        commit(made)
    add_files("evaluate", [file for _, file in made])
    return scores


def _remarks(matrix: ConfusionMatrix, job: EvaluateJob, kind: str) -> list[str]:
    """Notes on what was not scored."""
    unit = "points" if kind == "points" else "pixels"
    notes = []
    if job.resample == "fraction":
        notes.append("counts are of points, all those of a map pixel; the map's own pixels are fewer")
    if kind != "points" and matrix.unreferenced:
        mapped = matrix.scored + matrix.unreferenced
        part = f"{matrix.scored / mapped:.2%} of the map is scored"
        notes.append(f"{part} ({matrix.scored:,} of {mapped:,} pixels); the rest has no reference class")
    if unmapped := int(matrix.unmapped.sum()):
        share = unmapped / (unmapped + matrix.scored)
        what = "left out of the scores" if job.unmapped == "ignore" else "counted as wrong"
        notes.append(
            f"{unmapped:,} {unit} with a reference class ({share:.2%}) lie on nodata of the map: {what}"
        )
    if kind == "points":
        notes.append(
            "points are counted unweighted, which is right only if every pixel was as likely to be chosen; "
            "for any other sample, and for areas and intervals: geoseg sample estimate"
        )
    if ignored := matrix.unreferenced if kind == "points" else 0:
        notes.append(f"{ignored:,} points are ignored by the crosswalk")
    return notes


def _provenance(job: EvaluateJob, class_map: ClassMap, reference: Truth) -> dict[str, Any]:
    return {
        "map": {"path": str(job.classes), "files": class_map.scene.fingerprint()["files"]},
        "reference": {
            "path": str(job.reference),
            "files": [
                {"name": f.name, "size": f.stat().st_size, "sha256": sha256_of(f)}
                for f in reference.files
                if f.is_file()
            ],
        },
        "grid": class_map.grid.to_json(),
        "job": job.model_dump(mode="json", exclude_none=True),
    }


def _check_output(job: EvaluateJob, out: Path, overwrite: bool) -> None:
    """Refuse an output that would destroy something, before any work."""
    tables = [_table_of(out, name) for name in ("regions", "blocks") if getattr(job, name) is not None]
    marks = {"geoseg", "confusion"}
    require_report(out, (*beside(out), *tables), overwrite=overwrite, inputs=job.inputs(), marks=marks)


def beside(out: Path) -> tuple[Path, Path]:
    """(scores.csv, confusion.csv) that lie beside ``scores.json``; other names carry over."""
    stem = out.stem
    confusion = "confusion.csv" if stem == "scores" else f"{stem}_confusion.csv"
    return out.with_name(f"{stem}.csv"), out.with_name(confusion)


def tables_beside(scores: Scores, out: Path) -> dict[Path, str]:
    """Text by file of the tables of regions and blocks that lie beside ``scores.json``; what there is."""
    return {
        _table_of(out, name): csv_text([list(rows[0]), *(list(row.values()) for row in rows)])
        for name, rows in (("regions", scores.regions), ("blocks", scores.blocks))
        if rows
    }


def _table_of(out: Path, name: str) -> Path:
    return out.with_name(f"{out.stem}_{name}.csv")


def write_scores(scores: Scores, out: Path) -> None:
    """Write ``scores.json`` and the tables beside it, all or none."""
    with writing(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with partial_folder(out.absolute()) as folder:
            commit(_written(scores, out.absolute(), folder))


def _written(scores: Scores, out: Path, folder: Path) -> list[tuple[Path, Path]]:
    """(file in the `folder` of what is unfinished, file that it becomes) of all that tells the scores."""
    table, confusion = beside(out)
    report = json.dumps(scores.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    texts = {
        table: scores.to_csv(),
        confusion: scores.confusion_csv(),
        **tables_beside(scores, out),
        out: report,
    }
    for file, text in texts.items():
        (folder / file.name).write_text(text, encoding="utf-8")
    return [(folder / file.name, file) for file in texts]
