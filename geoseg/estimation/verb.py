"""The verb sample_estimate: accuracy and areas from a labelled probability sample."""

from __future__ import annotations

import json
from collections import defaultdict
from os import PathLike
from pathlib import Path
from typing import Unpack

from geoseg.accuracy.estimates import thin_strata
from geoseg.errors import UsageError
from geoseg.estimation.foreign import observe_table
from geoseg.estimation.job import EstimateJob
from geoseg.estimation.observed import Answered, Observed, answered
from geoseg.estimation.own import observe_sample
from geoseg.estimation.result import AreaRatio, Estimates
from geoseg.execution.manifest import add_files
from geoseg.files import require_report, sha256_of, write_together
from geoseg.job import takes
from geoseg.options import EstimateOptions
from geoseg.raster.open import local_file
from geoseg.sampling.file import is_sample


@takes(EstimateJob)
def sample_estimate(
    sample: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    **options: Unpack[EstimateOptions],
) -> Estimates:
    """Accuracies of a map and areas of classes, with standard errors, from a labelled probability sample.

    Parameters
    ----------
    sample
        The GeoPackage of `geoseg sample design`, filled in; or a table (CSV, Excel) or points of others.
    out
        ``estimates.json`` to write, with ``estimates.csv`` and ``estimates_matrix.csv`` beside it.
    overwrite
        Replace files of these names even if they hold no estimates.
    **options
        The further fields of `EstimateJob`.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        Everything that would make an estimate wrong, before anything is written.
    """
    return run_estimate(EstimateJob.parse({"sample": sample, "out": out, **options}), overwrite=overwrite)


def run_estimate(job: EstimateJob, *, overwrite: bool = False) -> Estimates:
    """Estimates of a job; see `sample_estimate`."""
    if job.out is not None:
        _check_output(job, job.out, overwrite)
    observed = observe_sample(job) if is_sample(local_file(job.sample)) else observe_table(job)
    found = answered(observed, fpc=not job.no_fpc)
    estimates = Estimates(
        observed=observed,
        answered=found,
        confidence=job.confidence,
        fpc=not job.no_fpc,
        interval=job.interval,
        ratios=tuple(_ratio(text, observed, found) for text in job.ratio),
        notes=(*observed.notes, *found.notes, *_warnings(observed, found)),
        provenance={
            "sample": {"path": str(job.sample), "sha256": sha256_of(Path(job.sample))},
            "job": job.model_dump(mode="json", exclude_none=True),
        },
    )
    if job.out is not None:
        _write(estimates, job.out)
    return estimates


def _ratio(text: str, observed: Observed, found: Answered) -> AreaRatio:
    """Ratio of areas from a text like ``loss / loss,stable forest``."""
    part, slash, whole = text.partition("/")
    if not slash or not part.strip() or not whole.strip():
        raise UsageError(f"{text!r} is no ratio", hint="`ratio=loss / loss,stable forest`")
    legend = observed.legend
    numerator, denominator = (legend.find_all(side.strip()) for side in (part, whole))
    estimate = found.labelled.share_of(
        *([legend.ids.index(c.id) for c in side] for side in (numerator, denominator))
    )
    return AreaRatio(
        name=" ".join(text.split()),
        part=tuple(c.name for c in numerator),
        whole=tuple(c.name for c in denominator),
        estimate=estimate,
    )


def _warnings(observed: Observed, found: Answered) -> list[str]:
    """A note for all classes whose intervals are likely too narrow."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for thin in thin_strata(found.labelled):
        by_class[thin.of_class].append(f"{thin.units} in stratum {observed.strata[thin.stratum].name!r}")
    if not by_class:
        return []
    named = "; ".join(f"{observed.legend.names[k]} ({', '.join(where)})" for k, where in by_class.items())
    return [
        f"intervals of these areas may be too narrow, since a few units carry them: {named}. The adjusted "
        "interval is the honest one; for a better, take a buffer stratum or more points there"
    ]


def beside(out: Path) -> tuple[Path, Path]:
    """(estimates.csv, estimates_matrix.csv) that lie beside ``estimates.json``; other names carry over."""
    return out.with_name(f"{out.stem}.csv"), out.with_name(f"{out.stem}_matrix.csv")


def _check_output(job: EstimateJob, out: Path, overwrite: bool) -> None:
    marks = {"geoseg", "design", "matrix"}
    require_report(out, beside(out), overwrite=overwrite, inputs=job.inputs(), marks=marks)


def _write(estimates: Estimates, out: Path) -> None:
    """Write the three files, all or none."""
    table, matrix = beside(out)
    report = json.dumps(estimates.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_together({table: estimates.to_csv(), matrix: estimates.matrix_csv(), out: report})
    add_files("sample estimate", (table, matrix, out))
