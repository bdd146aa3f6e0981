"""The card of a baseline: what was fitted to what, what confidence means, and how to use it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

import yaml

from geoseg.baselines.job import FitJob
from geoseg.baselines.rule import Rule
from geoseg.baselines.sample import Sample
from geoseg.models.region_rule import RegionRule
from geoseg.raster.scene import Scene
from geoseg.tables import markdown


def write_card(
    job: FitJob,
    rule: Rule,
    scene: Scene,
    sample: Sample,
    names: Sequence[str],
    regions: RegionRule | None,
) -> str:
    """Text of the README beside the weights."""
    files = ", ".join(f"`{p.name}`" for p in dict.fromkeys(scene.paths))
    bands = [
        [str(i), name, own, f"{low:g} to {high:g}", f"{mean:.5g}", f"{std:.5g}"]
        for i, (name, own, low, high, mean, std) in enumerate(
            zip(
                names,
                scene.band_names,
                sample.values.min(axis=0),
                sample.values.max(axis=0),
                sample.mean,
                sample.std,
                strict=True,
            ),
            1,
        )
    ]
    tables = {**rule.tables, **({"Notes": "\n".join(f"- {n}" for n in rule.notes)} if rule.notes else {})}
    parts = "\n\n".join(f"## {title}\n\n{text}" for title, text in tables.items())
    objects = f"\nEvery region has one class: {regions}.\n" if regions else ""
    asked = yaml.safe_dump(job.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    asked = indent(asked.rstrip(), "    ")
    return f"""# {job.name or job.out.name}

{rule.description}
{objects}
Classes: {", ".join(f"{c.id} {c.name}" for c in rule.legend.classes)}.
Confidence: {rule.confidence}.

Fitted to {files} ({scene.grid.height} x {scene.grid.width} pixels): {len(sample.values):,} valid pixels of
{sample.looked_at:,} sampled, seed {job.seed}. It is a baseline for this scene: another date, sensor or place
needs a fit of its own.

## Bands

{markdown(["", "name", "in the file", "values", "mean", "std"], bands)}

{parts}

## Made by

{asked}

Licence: {job.licence}.
"""
