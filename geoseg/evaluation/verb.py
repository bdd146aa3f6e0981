"""The verb evaluate: scores of a class map against a reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.boundary import BoundaryCounts, count_boundaries, near_edge
from geoseg.accuracy.matrix import ConfusionMatrix, count
from geoseg.accuracy.scores import Scores
from geoseg.errors import InputError, UsageError
from geoseg.evaluation.job import MAP_NAMES, EvaluateJob
from geoseg.evaluation.reference import file_of, open_reference, pairs, score_chunk
from geoseg.execution import Where, run_chunks
from geoseg.execution.manifest import add_files
from geoseg.execution.opened import Opened
from geoseg.files import require_free, require_place, sha256_of, write_together
from geoseg.geometry import Window
from geoseg.job import takes
from geoseg.legend import Legend
from geoseg.raster.classmap import ClassMap, open_class_map
from geoseg.raster.reading import called
from geoseg.raster.vectors import is_vector
from geoseg.truth.layer import Truth
from geoseg.truth.pixels import legend_of_raster


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
    **options: Any,
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
        repair, reference_crs, reference_band, band, legend, unmapped, boundary.

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
    inputs = _open(job)
    class_map, legend, reference = inputs.class_map, inputs.legend, inputs.reference
    if job.boundary is not None and reference.kind == "points":
        raise UsageError("`boundary` needs a raster or polygons", where=job.reference, why="it holds points")
    task = partial(_score_window, Opened(inputs, _open, job), job)
    windows = class_map.scan_windows()
    outcomes = run_chunks(task, windows, where, concurrency=min(where.threads_here, len(windows)))
    parts = [o.result() for o in outcomes]
    matrix = ConfusionMatrix.sum((m for m, _ in parts), legend)
    outlines = [b for _, b in parts if b is not None]
    scores = Scores(
        matrix=matrix,
        unmapped=job.unmapped,
        boundary=BoundaryCounts.sum(outlines, job.boundary, len(legend)) if job.boundary else None,
        boundary_edge=job.boundary_edge,
        kind=reference.kind,
        notes=(*class_map.scene.notes, *reference.notes, *_remarks(matrix, job, reference.kind)),
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
    if job.out is not None:
        _write(scores, job.out)
    return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """The map, the classes to score, and the reference on the map's grid."""

    class_map: ClassMap
    legend: Legend
    reference: Truth

    def mapped(self, window: Window) -> NDArray[np.uint8]:
        """Classes of the map."""
        with called(MAP_NAMES):
            return self.class_map.read(window)


def _open(job: EvaluateJob) -> _Inputs:
    with called(MAP_NAMES):
        class_map = open_class_map(
            job.classes, job.legend, band=job.band, crosswalk=job.map_crosswalk, **job.reading
        )
        legend = legend_of(class_map, job)
    reference = open_reference(job, class_map.grid, legend, resample=job.resample)
    return _Inputs(class_map=class_map, legend=legend, reference=reference)


def _score_window(
    opened: Opened[_Inputs], job: EvaluateJob, window: Window
) -> tuple[ConfusionMatrix, BoundaryCounts | None]:
    inputs = opened.value
    shape, legend, reference = inputs.class_map.grid.shape, inputs.legend, inputs.reference
    if job.boundary is None:
        fractions = job.resample == "fraction"
        return score_chunk(reference, window, inputs.mapped(window), legend, fractions=fractions), None
    around = window.grow(job.boundary).clip(*shape)
    truth, mapped = pairs(reference, around, inputs.mapped(around))
    core = window.slices_in(around)
    edge = near_edge(window, shape, job.boundary) if job.boundary_edge else None
    outlines = count_boundaries(truth, mapped, core, legend, job.boundary, edge)
    return count(truth[core], mapped[core], legend), outlines


def legend_of(class_map: ClassMap, job: EvaluateJob) -> Legend:
    """Classes to score: given, else the map's own, else those in the map and a raster reference."""
    if class_map.declared is not None:
        return class_map.declared
    names = dict(zip(class_map.legend.ids, class_map.legend.names, strict=True))
    if job.crosswalk is None and not is_vector(job.reference):
        other = legend_of_raster(file_of(job), class_map.grid)
        names |= {} if other is None else dict(zip(other.ids, other.names, strict=True))
    return Legend.of(names, {i: c for i, c in class_map.colors.items() if i in names})


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
    if out.suffix.casefold() != ".json":
        raise UsageError(f"`out={out}` is not a .json file", hint=f"`out={out.with_suffix('.json')}`")
    inputs = (job.classes, job.reference)
    require_free(out, overwrite=overwrite, inputs=inputs, marks={"geoseg", "confusion"})
    require_place(out)


def beside(out: Path) -> tuple[Path, Path]:
    """(scores.csv, confusion.csv) that lie beside ``scores.json``; other names carry over."""
    stem = out.stem
    confusion = "confusion.csv" if stem == "scores" else f"{stem}_confusion.csv"
    return out.with_name(f"{stem}.csv"), out.with_name(confusion)


def _write(scores: Scores, out: Path) -> None:
    """Write the three files, all or none."""
    table, confusion = beside(out)
    report = json.dumps(scores.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_together({table: scores.to_csv(), confusion: scores.confusion_csv(), out: report})
    add_files("evaluate", (table, confusion, out))
