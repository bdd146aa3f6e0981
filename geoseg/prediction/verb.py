"""The verb: a scene in, a published class map with confidence out; killed at any moment, it resumes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from geoseg.execution import Where
from geoseg.execution.claim import claim
from geoseg.execution.manifest import WORK
from geoseg.execution.progress import Report
from geoseg.job import takes
from geoseg.options import PredictOptions
from geoseg.prediction.clouds import Clouds, cloud_job, clouds_of
from geoseg.prediction.folder import Prediction, clear_partials, finished, make_way, require_free_of_inputs
from geoseg.prediction.job import PredictJob
from geoseg.prediction.object_product import ObjectMap
from geoseg.prediction.plan import (
    Forecast,
    OpenedJob,
    check_networks,
    check_resources,
    forecast,
    open_job,
)
from geoseg.prediction.product import Classification, Product
from geoseg.prediction.run import execute, identity_of
from geoseg.raster.sources import as_text

Given = str | Path | Sequence[str | Path]


@takes(PredictJob)
def predict(
    scene: Given,
    *,
    model: Given,
    out: str | Path,
    workers: int | str = 0,
    threads: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
    **options: Unpack[PredictOptions],
) -> Prediction:
    """Class map and confidence of a scene, published in the folder `out`.

    Parameters
    ----------
    scene
        Path, list of paths, folder or glob pattern.
    model
        Name of a shipped bundle, or its folder; the probabilities of several are averaged.
    out
        Output folder. The same call after an interruption resumes; after completion it only checks.
    workers
        0 for this process, N for N processes, ``"gpu"`` for one process per visible GPU.
    threads
        Threads per forward pass.
    scheduler
        Address of a running Dask scheduler instead.
    overwrite
        Replace another run's map, once the new one is whole.
    progress
        Called after every chunk.
    options
        The other fields of `PredictJob`.

    Raises
    ------
    InputError, UsageError, ResourceError, OutputConflictError, ChunksFailedError
        With what to do about it.
    """
    job = _job(scene, model, out, options)
    where = Where.parse(workers, scheduler, threads)
    return run_predict(job, where=where, overwrite=overwrite, progress=progress)


@takes(PredictJob)
def plan(
    scene: Given,
    *,
    model: Given,
    out: str | Path = "out",
    workers: int | str = 0,
    threads: int | None = None,
    probe: bool = True,
    **options: Unpack[PredictOptions],
) -> Forecast:
    """Cost of the same call to `predict`: tiles, memory, time, disk. Nothing is written."""
    job = _job(scene, model, out, options)
    return forecast(open_job(job), Where.parse(workers, None, threads), probe=probe)


def _job(scene: Given, model: Given, out: str | Path, options: Mapping[str, Any]) -> PredictJob:
    """Job of a call's arguments; one path or several become text."""
    return PredictJob.parse({"scene": as_text(scene), "model": as_text(model), "out": Path(out), **options})


def run_predict(
    job: PredictJob,
    *,
    where: Where | None = None,
    overwrite: bool = False,
    progress: Report | None = None,
) -> Prediction:
    """Run one `PredictJob`; see `predict`."""
    started = time.perf_counter()
    where = where or Where()
    require_free_of_inputs(job)
    opened = open_job(job)
    if job.clouds is not None:
        clouds = _map_clouds(opened, where=where, overwrite=overwrite, progress=progress)
        opened = open_job(job, clouds)
    identity = identity_of(opened, where)
    with claim(job.out / WORK):
        clear_partials(job.out)
        if overwrite:
            make_way(job.out, identity)
        allow = job.allow_missing
        result = None if overwrite else finished(job.out, identity, started, allow_missing=allow)
        if result is None:
            check_resources(opened, where)
            check_networks(opened)
            product: Product[Any] = Classification(opened=opened, where=where)
            if opened.ensemble.task != "semantic":
                product = ObjectMap(opened=opened, where=where)
            result = execute(product, opened, identity, where=where, report=progress, started=started)
    shutil.rmtree(job.out / WORK, ignore_errors=True)  # of a run that was killed at its very end, too
    return result


def _map_clouds(opened: OpenedJob, *, where: Where, overwrite: bool, progress: Report | None) -> Clouds:
    """Clouds over a scene, mapped by a prediction of their own, which is resumed and kept as every other."""
    levels = (opened.scene.level, *(b.contract.level for b in opened.ensemble.bundles))
    job = cloud_job(opened.job, next(filter(None, levels), ""))
    made = run_predict(job, where=where, overwrite=overwrite, progress=progress)
    return clouds_of(made, job.models[0])
