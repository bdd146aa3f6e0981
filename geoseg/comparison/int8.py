"""What int8 costs a model in accuracy: labelled scenes mapped in fp32 and in int8, both maps scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from geoseg.accuracy.matrix import ConfusionMatrix
from geoseg.accuracy.scores import Scores
from geoseg.comparison.job import CompareJob
from geoseg.comparison.verb import map_and_score, prediction_of
from geoseg.errors import InputError
from geoseg.execution import Where
from geoseg.models.bundle import Bundle, load_bundle
from geoseg.models.int8_loss import Int8Loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Scores:
    """Scores of one scene's maps in fp32 and in int8."""

    exact: Scores
    quantised: Scores


def score_int8(job: CompareJob, *, where: Where | None = None, overwrite: bool = False) -> Int8Scores:
    """Scores of a job's first model in both precisions; their maps lie in the folders fp32 and int8.

    Raises
    ------
    InputError, ResourceError, OutputConflictError
        As predicting and evaluating do.
    """
    bundle = load_bundle(job.model[0]).for_classes("int8")
    exact, quantised = (
        map_and_score(
            job,
            prediction_of(job, bundle, model=job.model[0], out=job.out / precision, precision=precision),
            where=where,
            overwrite=overwrite,
        )[1]
        for precision in ("fp32", "int8")
    )
    return Int8Scores(exact=exact, quantised=quantised)


def int8_loss(bundle: Bundle, scored: Sequence[Int8Scores]) -> Int8Loss:
    """Loss over the pooled counts of at least one scene.

    Raises
    ------
    InputError
        Nothing could be scored.
    """
    exact, quantised = (_pooled([getattr(s, side).matrix for s in scored]) for side in ("exact", "quantised"))
    pixels = int(exact.matrix.counts.sum())
    if not pixels:
        raise InputError("no pixel of the scenes could be scored", why="map and reference meet nowhere")
    return Int8Loss(
        bundle=bundle.digest,
        exact=float(exact.overall["mean_iou"]),
        quantised=float(quantised.overall["mean_iou"]),
        scenes=len(scored),
        pixels=pixels,
        date=date.today().isoformat(),
    )


def _pooled(matrices: Sequence[ConfusionMatrix]) -> Scores:
    first, *others = matrices
    return Scores(matrix=sum(others, first))
