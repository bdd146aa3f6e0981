"""The verb: a scene in, a bundle out that predicts like any other model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from geoseg.baselines.card import write_card
from geoseg.baselines.clusters import fit_clusters
from geoseg.baselines.features import read_labelled
from geoseg.baselines.forest import fit_forest
from geoseg.baselines.index import fit_index
from geoseg.baselines.indices import INDICES, name_bands, require_roles
from geoseg.baselines.job import FitJob
from geoseg.baselines.regions_over_model import put_regions_over
from geoseg.baselines.rule import Rule
from geoseg.baselines.sample import Sample, sample_scene
from geoseg.errors import InputError
from geoseg.job import takes
from geoseg.models.bundle import Bundle, require_bundle_place, save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.network import fill_network
from geoseg.models.region_rule import RegionRule
from geoseg.options import FitOptions
from geoseg.raster.opening import open_scene
from geoseg.raster.scene import Scene
from geoseg.raster.sources import as_text

REGION_MARGIN = 64
"""Context of a tile with regions, in pixels; docs/baselines.md says what was measured."""


@takes(FitJob)
def fit(
    method: str,
    scene: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    overwrite: bool = False,
    **options: Unpack[FitOptions],
) -> Bundle:
    """Bundle of a rule fitted to a scene: no weights, and for most methods no labels.

    Parameters
    ----------
    method
        A spectral index, like ``ndvi``, or ``kmeans``, ``forest`` or ``model``.
    scene
        Path, list of paths, folder or glob pattern.
    out
        Folder of the bundle.
    overwrite
        Replace a bundle that is there.
    options
        The other fields of `FitJob`.

    Raises
    ------
    InputError, UsageError, OutputConflictError
        With what to do about it.
    """
    job = FitJob.parse({"method": method, "scene": as_text(scene), "out": Path(out), **options})
    return run_fit(job, overwrite=overwrite)


def run_fit(
    job: FitJob, *, overwrite: bool = False, report: Callable[[Sequence[str]], None] | None = None
) -> Bundle:
    """Run one `FitJob`; see `fit`. `report` is given what the user should know; the card says it as well."""
    require_bundle_place(job.out, overwrite=overwrite, inputs=job.inputs(), start=job.model)
    if job.method == "model":
        return put_regions_over(job, margin=_margin(job), overwrite=overwrite)
    scene = open_scene(job.scene, bands=job.band_choice, **job.reading)
    names = name_bands(scene.band_names, job.roles or [None] * scene.count)
    if job.method in INDICES:
        require_roles(job.method, names, scene.name)
        job = _scaled(job, scene)
    sample = sample_scene(scene, seed=job.seed)
    rule = _find(job, scene, sample, names)
    rule = replace(rule, notes=(*scene.notes, *rule.notes))
    if report is not None:
        report(rule.notes)
    regions = None if job.regions is None else _regions(job, sample)
    model = ModelDescription(
        name=job.name or job.out.name,
        version="1.0",
        architecture=rule.architecture,
        contract=_contract(rule, scene, sample, names),
        legend=rule.legend,
        licence=job.licence,
        margin=_margin(job),
        description=rule.description,
        regions=regions,
        provenance={"data": _files(scene), "command": f"geoseg fit {job.method}"},
        scores=rule.scores,
    )
    network = fill_network(rule.architecture, rule.weights, bands=scene.count, classes=len(rule.legend))
    card = write_card(job, rule, scene, sample, names, regions)
    return save_bundle(job.out, network, model, overwrite=overwrite, card=card)


def _scaled(job: FitJob, scene: Scene) -> FitJob:
    """The job of an index with the scale and offset that the scene states, unless it states its own."""
    if {"scale", "offset"} & job.model_fields_set or scene.scaling == (1.0, 0.0):
        return job
    if scene.scaling is None:
        tags = ", ".join(f"{b.name} x {b.scale:g} + {b.offset:g}" for b in scene.bands)
        raise InputError(
            "the bands' values mean different things by scale and offset",
            where=scene.name,
            why=f"the tags say {tags}, an index has one scale",
            hint="`scale` and `offset` to overrule the tags, or convert the file: "
            "gdal_translate -unscale -ot Float32 INPUT OUTPUT.tif",
        )
    scale, offset = scene.scaling
    return job.model_copy(update={"scale": scale, "offset": offset})


def _find(job: FitJob, scene: Scene, sample: Sample, names: Sequence[str]) -> Rule:
    if job.method in INDICES:
        return fit_index(job, sample, names, scene.name)
    if job.method == "kmeans":
        return fit_clusters(job, sample, names, scene.name)
    return fit_forest(job, read_labelled(job, scene), names)


def _margin(job: FitJob) -> int:
    if job.margin is not None:
        return job.margin
    return 0 if job.regions is None else REGION_MARGIN


def _regions(job: FitJob, sample: Sample) -> RegionRule:
    assert job.regions is not None
    std = sample.std
    return RegionRule(
        method=job.regions,
        parameters=job.region_parameters,
        mean=tuple(sample.mean.tolist()),
        std=tuple(np.where(std > 0, std, 1.0).tolist()),
    )


def _contract(rule: Rule, scene: Scene, sample: Sample, names: Sequence[str]) -> InputContract:
    low, high = float(sample.values.min()), float(sample.values.max())
    if scene.dtype.name == "uint8":
        low, high = 0.0, 255.0
    side = float(np.sqrt(abs(np.prod(scene.grid.ground_size))))
    return InputContract(
        bands=tuple(
            Band(name=name, description="" if name == own else own)
            for name, own in zip(names, scene.band_names, strict=True)
        ),
        dtype=scene.dtype.name,
        value_range=(low, high) if low < high else (low, low + 1),
        scale=rule.scale,
        offset=rule.offset,
        mean=rule.mean,
        std=rule.std,
        pixel_size=(round(side / 2, 4), round(side * 2, 4)),
    )


def _files(scene: Scene) -> str:
    return ", ".join(p.name for p in dict.fromkeys(scene.paths))
