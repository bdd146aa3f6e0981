"""One execution of a prediction: its identity, its chunks, and the publication of what they make."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import yaml

from geoseg.errors import InputError
from geoseg.execution import Where
from geoseg.execution.journal import Journal
from geoseg.execution.ledger import differences
from geoseg.execution.manifest import MANIFEST, WORK, digest_of, write_manifest
from geoseg.execution.progress import Report
from geoseg.execution.resume import Missing, R, compute_chunks
from geoseg.files import partial_folder, sha256_of, writing
from geoseg.prediction.folder import LOG, RUN_YAML, Prediction, read_result, replace_products
from geoseg.prediction.plan import OpenedJob
from geoseg.prediction.product import Product
from geoseg.version import __version__

# Every other field of the job is in the identity, also one that is added later.
SAID_BETTER = {
    "scene",
    "model",
    "aoi",
    "tile",
    "margin",
    "chunk",
    "stitch",
    "mask",
    "mask_values",
    "clouds",
    "objects_format",
    "square",
    "everything",
    "without",
    "task",
}
"""Fields whose meaning stands in the identity itself: by content, or with what was chosen for None."""
CANNOT_MATTER = {"out", "batch", "force", "allow_vrt", "allow_missing"}
"""Fields that change no pixel: where to, how many tiles at once, and what to refuse, before or after."""


def identity_of(opened: OpenedJob, where: Where) -> dict[str, Any]:
    """What decides every pixel: another identity is another run. Where it executes is not in it."""
    job = opened.job
    return {
        "geoseg": __version__,
        "scene": opened.scene.fingerprint(),
        "models": [f"{b.name} {b.digest}" for b in opened.ensemble.bundles],
        "tiling": asdict(opened.tiling),
        "aoi": None if job.aoi is None else sha256_of(job.aoi),
        "threads": where.threads_per_forward,
        **({} if opened.ensemble.task == "semantic" else {"objects_format": job.objects_format}),
        **({} if job.square is None else {"square": job.square}),
        **({} if job.everything is None else {"everything": job.everything}),
        **({"task": opened.ensemble.task} if opened.ensemble.has_tasks else {}),
        **job.model_dump(mode="json", exclude=SAID_BETTER | CANNOT_MATTER),
    }


def execute(
    product: Product[R],
    opened: OpenedJob,
    identity: Mapping[str, Any],
    *,
    where: Where,
    report: Report | None,
    started: float,
) -> Prediction:
    """Published prediction; `started` is the clock at the call's begin."""
    job, run_id = opened.job, digest_of(identity)[:12]
    journal = Journal(job.out / LOG)
    journal.event("start", run_id=run_id, geoseg=__version__, where=asdict(where))
    computed = compute_chunks(
        product,
        job.out / WORK,
        identity,
        where=where,
        journal=journal,
        report=report,
        missing=Missing(allowed=job.allow_missing, blank=product.blank),
    )
    _require_unchanged(opened, identity)
    said = {"predict": job.model_dump(mode="json", exclude_none=True)}
    with writing(job.out), partial_folder(job.out / MANIFEST) as folder:
        files = (RUN_YAML, *product.publish(computed, folder, job.out, run_id))
        (folder / RUN_YAML).write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
        manifest = {
            "geoseg": __version__,
            "run_id": run_id,
            "identity": dict(identity),
            **product.facts(computed),
            "seconds": round(time.perf_counter() - started, 3),
        }
        write_manifest(folder, manifest, files)
        replace_products(folder, job.out, files)
    journal.event("published", seconds=round(time.perf_counter() - started, 3))
    return read_result(job.out, {**manifest, "files": files}, started, fresh=True)


def _require_unchanged(opened: OpenedJob, identity: Mapping[str, Any]) -> None:
    """Nothing, if the scene is still the one that the run began with."""
    if changed := differences(identity["scene"], opened.scene.fingerprint()):
        raise InputError(
            "the scene changed during the run, no map was published",
            where=opened.scene.paths[0],
            why=f"chunks may be of the one or the other; changed: {'; '.join(changed[:3])}",
            hint="`overwrite` to start again",
        )
