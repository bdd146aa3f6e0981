"""Regions over a model that exists: the same weights, one class for every region."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from geoseg.baselines.job import FitJob
from geoseg.models.bundle import Bundle, load_bundle, save_bundle
from geoseg.models.network import load_network
from geoseg.models.region_rule import RegionRule


def put_regions_over(job: FitJob, *, margin: int, overwrite: bool) -> Bundle:
    """Bundle with a model's weights and regions; its scores no longer hold and are left out."""
    assert job.model is not None and job.regions is not None
    inner = load_bundle(job.model).for_classes("a map of regions")
    contract = inner.contract
    rule = RegionRule(
        method=job.regions,
        parameters=job.region_parameters,
        mean=contract.fill,
        std=tuple(float(v) for v in np.asarray(contract.std) / abs(contract.scale)),
    )
    # the seeds of superpixels lie on a lattice of divisors of 32
    multiple = math.lcm(inner.size_multiple, 32)
    least = max(margin, inner.margin)
    card = inner.path / "README.md"
    before = card.read_text(encoding="utf-8") if card.is_file() else ""
    name = job.name or job.out.name
    model = replace(
        inner,
        name=name,
        margin=-(-least // multiple) * multiple,
        size_multiple=multiple,
        description=f"{inner.name} with one class for every region ({rule}). {inner.description}".strip(),
        regions=rule,
        provenance={**inner.provenance, "command": f"geoseg fit model --model {inner.name}"},
        scores={},
    )
    return save_bundle(
        job.out,
        load_network(inner),
        model,
        overwrite=overwrite,
        card=f"# {name}\n\nThe model {inner.name} (digest `{inner.digest[:16]}`) with one class for every "
        f"region: {rule}. Its scores were measured without regions and do not hold here.\n\n"
        + (f"Its own card:\n\n{before}" if "](" not in before else ""),
    )
