"""The card of a trained model: data, licence, scores by class, calibration, how it was made."""

from __future__ import annotations

import textwrap

from geoseg.training.checkpoint import TrainingState
from geoseg.training.prepare import Preparation
from geoseg.training.task import Report


def split_in_words(preparation: Preparation) -> str:
    """What was held out, in words."""
    split, scenes = preparation.job.split, len(preparation.sources) - preparation.always
    if split.folds is not None and split.by == "file":
        groups = {s.group for s in preparation.job.scenes} - {None}
        grouped = f" of {len(groups)} groups" if groups else ""
        more = f"; {preparation.always} more teach every time" if preparation.always else ""
        return f"{scenes} scenes{grouped} in {split.folds} folds, each held out once{more}"
    if split.folds is not None:
        return f"squares of {split.block} px in {split.folds} folds, each held out once"
    if split.by == "file":
        used = [s for s in preparation.job.scenes if s.use == "validation"]
        return f"{', '.join(names_of(s.image) for s in used)}; whole scenes"
    if split.by == "feature":
        return f"{split.share:.0%} of the polygons or points of each class, drawn at random"
    if split.by == "block":
        return f"squares of {split.block} px drawn at random, {split.share:.0%} of those with labels"
    if split.polygons is not None:
        return f"the polygons of {split.polygons.name}"
    spans = [(k, getattr(split, k)) for k in ("rows", "columns") if getattr(split, k) is not None]
    return " and ".join(f"{k} {v[0]} to {v[1]}" for k, v in spans)


def write_card(preparation: Preparation, progress: TrainingState, report: Report, *, parameters: int) -> str:
    """Text of the README beside the weights."""
    job, legend, contract = preparation.job, preparation.legend, preparation.contract
    folds = job.split.folds
    scenes = "\n".join(
        f"- `{names_of(s.image)}`, labels `{s.labels.name}`"
        + (f" (field `{s.field}`)" if s.field else "")
        + (f", {s.use}" if s.use else "")
        for s in job.scenes
    )
    architecture = preparation.architecture
    stopped = f", stopped after {progress.step}" if progress.step < job.steps else ""
    back = f", {job.start_share:.0%} of the way back to those it started from" if job.start_share else ""
    return _CARD.format(
        name=job.name or job.out.name,
        description=wrapped(job.description or f"Classes: {', '.join(legend.names)}."),
        command=job.command,
        bands=", ".join(contract.band_names),
        dtype=contract.dtype,
        low=contract.value_range[0],
        high=contract.value_range[1],
        optional="".join(f"| may be missing | {s.name}: {', '.join(s.bands)} |\n" for s in contract.sensors),
        near=contract.pixel_size[0],
        far=contract.pixel_size[1],
        classes=", ".join(f"{c.id} {c.name}" for c in legend.classes),
        network=architecture.name + (f" over {architecture.encoder}" if architecture.encoder else ""),
        parameters=parameters / 1e6,
        start=f"started from {preparation.start.name} {preparation.start.version}"
        if preparation.start
        else f"encoder from {preparation.job.encoder_weights}, the rest at random"
        if preparation.job.encoder_weights
        else "trained from random weights",
        licence=job.licence,
        data=wrapped(job.data or "Not described."),
        credit=wrapped(f"\n\nCredit: {job.credit}") if job.credit else "",
        scenes=scenes,
        held_out=(_FOLDED if folds else _UNLABELLED if job.split.by == "feature" else _HELD_OUT).format(
            split=split_in_words(preparation), margin=job.split.margin, folds=folds
        ),
        scores=report.text,
        limits="\n## Limits\n\n" + "\n".join(wrapped(f"- {line}", indent="  ") for line in job.limits) + "\n"
        if job.limits
        else "",
        minutes=progress.seconds / 60,
        steps=f"{job.steps} steps{stopped}",
        batch=job.batch,
        crop=job.crop,
        sampling=job.sampling,
        loss=" + ".join(f"{w:g} {k}" for k, w in job.loss.items())
        if preparation.task == "semantic"
        else "the network's own",
        kept=f"at step {progress.best_step}{back}",
        seed=job.seed,
        identity=preparation.identity[:16],
        yaml="\n".join(f"    {line}" for line in job.placeless.dump().splitlines()),
    )


def wrapped(text: str, *, indent: str = "") -> str:
    """Paragraphs of at most 110 characters a line."""
    return "\n\n".join(
        textwrap.fill(part, 110, subsequent_indent=indent, break_on_hyphens=False)
        for part in text.split("\n\n")
    )


def names_of(image: str | list[str]) -> str:
    """File names of an image; paths where names repeat."""
    files = [image] if isinstance(image, str) else image
    names = [f.rsplit("/", 1)[-1] for f in files]
    return ", ".join(names if len(set(names)) == len(names) else files)


_CARD = """# {name}

{description}

![Validation windows: image, reference, found](samples.png)

## What it takes and gives

| | |
|---|---|
| input | {bands}; {dtype}, {low:g} to {high:g}; pixels of {near:g} to {far:g} m |
{optional}| output | {classes} |
| network | {network}, {parameters:.2f} million parameters, {start} |
| licence | {licence} |

## Data

{data}{credit}

{scenes}

{held_out}

## Scores on the held-out part

{scores}
{limits}
## Made by

    {command}

with the `train.yaml` below: {steps} of {batch} crops of {crop} px ({sampling} sampling), loss {loss}; kept is
the running average of the weights {kept}; {minutes:.1f} minutes, seed {seed}, identity `{identity}`.

{yaml}
"""

_HELD_OUT = """Held out for validation: {split}. No training crop comes nearer to it than {margin} px."""

_UNLABELLED = """Held out for validation: {split}. Training saw their ground, without their labels."""

_FOLDED = """Cross-validated: {split}. {folds} models were trained, each on all folds but one, with no
crop nearer to that one than {margin} px; the weights of this bundle learnt from everything, in the same
way."""
