"""The card of a trained model: data, licence, scores by class, calibration, how it was made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.training import scores
from geoseg.training.checkpoint import Progress
from geoseg.training.prepare import Preparation
from geoseg.training.scores import Calibration


def score_table(preparation: Preparation, counts: NDArray[np.int64], found: Calibration) -> dict[str, Any]:
    """Scores of the bundle, in the form that every bundle has them."""
    hits = np.diagonal(counts).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "iou": scores.iou(counts),
            "f1": 2 * hits / (counts.sum(axis=0) + counts.sum(axis=1)),
            "precision": hits / counts.sum(axis=0),
            "recall": hits / counts.sum(axis=1),
        }
    classes = {
        name: {key: _number(values[i]) for key, values in columns.items()}
        for i, name in enumerate(preparation.legend.names)
    }
    total = int(counts.sum())
    chance = float((counts.sum(axis=0).astype(float) * counts.sum(axis=1)).sum()) / max(total, 1) ** 2
    accuracy = float(hits.sum()) / max(total, 1)
    return {
        "data": f"{total} validation pixels ({split_in_words(preparation)})",
        "classes": classes,
        "mean_iou": _number(scores.mean_iou(counts)),
        "overall_accuracy": _number(accuracy),
        "kappa": _number((accuracy - chance) / (1 - chance)) if chance < 1 else None,
        "calibration_error": _number(found.after),
    }


def _number(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)


def split_in_words(preparation: Preparation) -> str:
    """What was held out, in words."""
    split = preparation.job.split
    if split.by == "file":
        used = [s for s in preparation.job.scenes if s.use == "validation"]
        return f"{len(used)} of {len(preparation.job.scenes)} scenes"
    if split.by == "block":
        return f"squares of {split.block} px drawn at random, {split.share:.0%} of those with labels"
    if split.polygons is not None:
        return f"the polygons of {split.polygons.name}"
    spans = [(k, getattr(split, k)) for k in ("rows", "columns") if getattr(split, k) is not None]
    return " and ".join(f"{k} {v[0]} to {v[1]}" for k, v in spans)


def write_card(
    preparation: Preparation,
    progress: Progress,
    counts: NDArray[np.int64],
    found: Calibration,
    table: dict[str, Any],
    *,
    parameters: int,
) -> str:
    """Text of the README beside the weights."""
    job, legend, contract = preparation.job, preparation.legend, preparation.contract
    rows = "\n".join(
        f"| {name} | {t:,} | {v:,} | {_cell(s['iou'])} | {_cell(s['f1'])} | {_cell(s['precision'])} "
        f"| {_cell(s['recall'])} |"
        for (name, s), t, v in zip(
            table["classes"].items(), preparation.training_pixels, preparation.validation_pixels, strict=True
        )
    )
    matrix = "\n".join(
        f"| {name} | " + " | ".join(f"{n:,}" for n in line) + " |"
        for name, line in zip(legend.names, counts.tolist(), strict=True)
    )
    scenes = "\n".join(
        f"- `{_names(s.image)}`, labels `{s.labels.name}`"
        + (f" (field `{s.field}`)" if s.field else "")
        + (f", {s.use}" if s.use else "")
        for s in job.scenes
    )
    architecture = preparation.architecture
    stopped = f", stopped after {progress.step}" if progress.step < job.steps else ""
    return _CARD.format(
        name=job.name or job.out.name,
        description=job.description or f"Classes: {', '.join(legend.names)}.",
        bands=", ".join(contract.band_names),
        dtype=contract.dtype,
        low=contract.value_range[0],
        high=contract.value_range[1],
        near=contract.pixel_size[0],
        far=contract.pixel_size[1],
        classes=", ".join(f"{c.id} {c.name}" for c in legend.classes),
        network=architecture.name + (f" over {architecture.encoder}" if architecture.encoder else ""),
        parameters=parameters / 1e6,
        start=f"started from {preparation.start.name} {preparation.start.version}"
        if preparation.start
        else "trained from random weights",
        licence=job.licence,
        data=job.data or "Not described.",
        credit=f"\nCredit: {job.credit}\n" if job.credit else "",
        scenes=scenes,
        split=split_in_words(preparation),
        margin=job.split.margin,
        rows=rows,
        head=" | ".join(legend.names),
        rule="|".join("---" for _ in legend.names),
        matrix=matrix,
        mean=_cell(table["mean_iou"]),
        accuracy=_cell(table["overall_accuracy"]),
        kappa=_cell(table["kappa"]),
        temperature=found.temperature,
        before=found.before,
        after=found.after,
        minutes=progress.seconds / 60,
        steps=f"{job.steps} steps{stopped}",
        batch=job.batch,
        crop=job.crop,
        sampling=job.sampling,
        loss=" + ".join(f"{w:g} {k}" for k, w in job.loss.items()),
        best=progress.best_step,
        seed=job.seed,
        identity=preparation.identity[:16],
        yaml="\n".join(f"    {line}" for line in job.dump().splitlines()),
    )


def _names(image: str | list[str]) -> str:
    files = [image] if isinstance(image, str) else image
    return ", ".join(f.rsplit("/", 1)[-1] for f in files)


def _cell(value: float | None) -> str:
    return "not there" if value is None else f"{value:.4f}"


_CARD = """# {name}

{description}

![Validation windows: image, reference, map](samples.png)

## What it takes and gives

| | |
|---|---|
| input | {bands}; {dtype}, {low:g} to {high:g}; pixels of {near:g} to {far:g} m |
| output | {classes} |
| network | {network}, {parameters:.2f} million parameters, {start} |
| licence | {licence} |

## Data

{data}
{credit}
{scenes}

Held out for validation: {split}. No training crop comes nearer to it than {margin} px.

## Scores on the held-out part

Every labelled validation pixel, once, with its surroundings as context. The held-out part also chose the
step that was kept and the temperature: scores on other ground will be lower.

| class | training pixels | validation pixels | IoU | F1 | precision | recall |
|---|---|---|---|---|---|---|
{rows}

Mean IoU **{mean}**, overall accuracy **{accuracy}**, kappa {kappa}.

| reference \\ map | {head} |
|---|{rule}|
{matrix}

![Confusion](confusion.png) ![Learning curve](curve.png)

**Calibration.** Temperature {temperature} (smallest log-loss). Expected calibration error (15 bins)
{before:.4f} without it; {after:.4f} where each half of the windows has its temperature from the other half.

![Reliability](reliability.png)

## Made by

    geoseg train train.yaml

with the `train.yaml` below: {steps} of {batch} crops of {crop} px ({sampling} sampling), loss {loss}; kept is
the running average of the weights at step {best}; {minutes:.1f} minutes, seed {seed}, identity `{identity}`.

{yaml}
"""
