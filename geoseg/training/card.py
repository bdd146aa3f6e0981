"""The card of a trained model: data, licence, scores by class, calibration, how it was made."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

from geoseg.accuracy import metrics
from geoseg.accuracy.calibration import Calibration
from geoseg.accuracy.card import bundle_scores, cell, class_table, confusion_table, overall_line, rounded
from geoseg.accuracy.ranking import auroc
from geoseg.engines.views import VIEWS
from geoseg.tables import markdown
from geoseg.training.checkpoint import TrainingState
from geoseg.training.examine import Examination
from geoseg.training.prepare import Preparation

_MOST_SCENES = 40
_FAILS = 0.2


def score_table(preparation: Preparation, found: Examination, calibration: Calibration) -> dict[str, Any]:
    """Scores of the bundle, in the form that every bundle has them."""
    kind = "cross-validated" if preparation.job.split.folds else "validation"
    data = f"{found.counts.sum()} {kind} pixels ({split_in_words(preparation)})"
    evidence = {"counts": found.counts, "calibration": calibration}
    return {
        **bundle_scores(evidence, preparation.legend, data),
        **({} if found.before is None else {"before": _overall(found.before)}),
        "changed_light": {**_light_scores(found), "calibration_error": rounded(calibration.other)},
        "novelty_auroc": rounded(_trust(found)),
    }


def _overall(counts: metrics.Counts) -> dict[str, float | None]:
    """Mean IoU and accuracy, rounded."""
    return {m.__name__: rounded(m(counts)) for m in (metrics.mean_iou, metrics.overall_accuracy)}


def _light_scores(found: Examination) -> dict[str, Any]:
    """Accuracy and mean IoU as it is, and mean and worst over the other lights."""
    table: dict[str, Any] = {"lights": len(found.lights) - 1}
    for measured in (metrics.overall_accuracy, metrics.mean_iou):
        same, *other = (measured(counts) for counts in found.lights.values())
        table[measured.__name__] = {
            "as_it_is": rounded(same),
            "mean": rounded(float(np.mean(other))),
            "worst": rounded(min(other)),
        }
    return table


def _trust(found: Examination) -> float:
    """How well novelty ranks the worst windows above the others, as the area under the ROC curve."""
    accuracy, strangeness = found.trust.T
    return auroc(strangeness, accuracy <= np.quantile(accuracy, _FAILS))


def split_in_words(preparation: Preparation) -> str:
    """What was held out, in words."""
    split, scenes = preparation.job.split, len(preparation.sources)
    if split.folds is not None and split.by == "file":
        return f"{scenes} scenes in {split.folds} folds, each held out once"
    if split.folds is not None:
        return f"squares of {split.block} px in {split.folds} folds, each held out once"
    if split.by == "file":
        used = [s for s in preparation.job.scenes if s.use == "validation"]
        return f"{', '.join(_names(s.image) for s in used)}; whole scenes"
    if split.by == "feature":
        return f"{split.share:.0%} of the polygons or points of each class, drawn at random"
    if split.by == "block":
        return f"squares of {split.block} px drawn at random, {split.share:.0%} of those with labels"
    if split.polygons is not None:
        return f"the polygons of {split.polygons.name}"
    spans = [(k, getattr(split, k)) for k in ("rows", "columns") if getattr(split, k) is not None]
    return " and ".join(f"{k} {v[0]} to {v[1]}" for k, v in spans)


def write_card(
    preparation: Preparation,
    progress: TrainingState,
    found: Examination,
    calibration: Calibration,
    *,
    parameters: int,
) -> str:
    """Text of the README beside the weights."""
    job, legend, contract = preparation.job, preparation.legend, preparation.contract
    folds, evidence = job.split.folds, {"counts": found.counts}
    sizes = {
        "training pixels": preparation.training_pixels,
        "validation pixels": metrics.support(found.counts).tolist(),
    }
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
        description=_wrapped(job.description or f"Classes: {', '.join(legend.names)}."),
        command=job.command,
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
        else f"encoder from {preparation.job.encoder_weights}, the rest at random"
        if preparation.job.encoder_weights
        else "trained from random weights",
        licence=job.licence,
        data=_wrapped(job.data or "Not described."),
        credit=_wrapped(f"\n\nCredit: {job.credit}") if job.credit else "",
        scenes=scenes,
        held_out=(_FOLDED if folds else _UNLABELLED if job.split.by == "feature" else _HELD_OUT).format(
            split=split_in_words(preparation), margin=job.split.margin, folds=folds
        ),
        scored=_SCORED_FOLDS if folds else _SCORED_LAST if job.keeps_last else _SCORED_BEST,
        before=_before_table(preparation, found),
        scene_table=_scene_table(found, legend.names),
        views=_view_table(found, legend.names),
        lights=_light_table(found, legend.names),
        fails=_FAILS,
        trust=_trust(found),
        limits="\n## Limits\n\n" + "\n".join(_wrapped(f"- {line}", indent="  ") for line in job.limits) + "\n"
        if job.limits
        else "",
        classes_table=class_table(evidence, legend, sizes),
        overall=overall_line(evidence),
        matrix=confusion_table(found.counts, legend, "reference \\ map"),
        temperature=calibration.temperature,
        uncalibrated=calibration.before,
        after=calibration.after,
        other=calibration.other,
        minutes=progress.seconds / 60,
        steps=f"{job.steps} steps{stopped}",
        batch=job.batch,
        crop=job.crop,
        sampling=job.sampling,
        loss=" + ".join(f"{w:g} {k}" for k, w in job.loss.items()),
        kept=f"at step {progress.best_step}",
        seed=job.seed,
        identity=preparation.identity[:16],
        yaml="\n".join(f"    {line}" for line in job.placeless.dump().splitlines()),
    )


def _wrapped(text: str, *, indent: str = "") -> str:
    """Paragraphs of at most 110 characters a line."""
    return "\n\n".join(
        textwrap.fill(part, 110, subsequent_indent=indent, break_on_hyphens=False)
        for part in text.split("\n\n")
    )


def _scene_table(found: Examination, names: tuple[str, ...]) -> str:
    """Table of each scene's scores; of many scenes only how they are spread."""
    if len(found.scenes) < 2:
        return ""
    head = ["scene", "pixels", *(f"IoU {n}" for n in names), "mean IoU", "accuracy"]
    rows = [[name, f"{counts.sum():,}", *_few(counts)] for name, counts in found.scenes.items()]
    means = [metrics.mean_iou(counts) for counts in found.scenes.values()]
    spread = np.nanpercentile(means, (0, 10, 50, 90, 100))
    said = f"Mean IoU of the {len(rows)} scenes: " + ", ".join(
        f"{word} {value:.3f}"
        for word, value in zip(("least", "10 %", "median", "90 %", "most"), spread, strict=True)
    )
    lines = ["", f"{said}.", ""]
    if len(rows) <= _MOST_SCENES:
        lines.append(markdown(head, rows))
    return "\n".join(lines) + "\n"


def _before_table(preparation: Preparation, found: Examination) -> str:
    """Table of the scores before and after a training that started from a bundle of the same classes."""
    if found.before is None or preparation.start is None:
        return ""
    start = preparation.start
    rows = [[f"before: {start.name} {start.version}", *_few(found.before)], ["after", *_few(found.counts)]]
    head = ["", *(f"IoU {n}" for n in preparation.legend.names), "mean IoU", "accuracy"]
    said = "**Before and after**, on the same held-out pixels."
    return "\n".join(["", said, "", markdown(head, rows)]) + "\n"


def _view_table(found: Examination, names: tuple[str, ...]) -> str:
    """Table of what test-time augmentation brings and costs."""
    if not found.views:
        return ""
    rows = [[f"`--tta {v}`", f"{len(VIEWS[v])}x", *_few(counts)] for v, counts in found.views.items()]
    head = ["", "cost", *(f"IoU {n}" for n in names), "mean IoU", "accuracy"]
    said = "**Test-time augmentation** averages the probabilities of turned and mirrored views."
    return "\n".join(["", said, "", markdown(head, rows)]) + "\n"


def _light_table(found: Examination, names: tuple[str, ...]) -> str:
    """Table of the scores in every light of the check."""
    rows = [
        [*(f"{v:g}" for v in (light.contrast, light.gamma, light.gain, light.haze)), *_few(counts)]
        for light, counts in found.lights.items()
    ]
    table = _light_scores(found)
    said = [
        f"{word} {own['as_it_is']:.4f} as it is, {own['mean']:.4f} in the mean, {own['worst']:.4f} at worst"
        for word, own in (("Accuracy", table["overall_accuracy"]), ("mean IoU", table["mean_iou"]))
    ]
    text = (
        f"**Accuracy under changed light**: the same pixels in {table['lights']} other lights. Contrast and "
        "gamma turn around each scene's own mean, gain around raw zero, haze is a share of bright light over "
        f"everything; values are rounded and cut off as in a file. {', '.join(said)}."
    )
    head = ["contrast", "gamma", "gain", "haze", *(f"IoU {n}" for n in names), "mean IoU", "accuracy"]
    return "\n".join(["", _wrapped(text), "", markdown(head, rows)]) + "\n"


def _few(counts: metrics.Counts) -> list[str]:
    """IoU of each class, their mean and the overall accuracy, as text."""
    found = [*metrics.iou(counts), metrics.mean_iou(counts), metrics.overall_accuracy(counts)]
    return [cell(value) for value in found]


def _names(image: str | list[str]) -> str:
    files = [image] if isinstance(image, str) else image
    names = [f.rsplit("/", 1)[-1] for f in files]
    return ", ".join(names if len(set(names)) == len(names) else files)


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

{data}{credit}

{scenes}

{held_out}

## Scores on the held-out part

{scored}

{classes_table}

{overall}.

{matrix}
{before}{scene_table}{views}{lights}
![Confusion](confusion.png) ![Learning curve](curve.png)

**Calibration.** Temperature {temperature} (smallest log-loss over pixels as they are and in other light, half
the weight each). Expected calibration error (15 bins) {uncalibrated:.4f} without it; {after:.4f}, and
{other:.4f} in other light, where each half of the windows has its temperature from the other half.

**Novelty.** How unlike the training a window looks (level and contrast of each band) ranks the {fails:.0%}
of windows and lights that are mapped worst above the others with an AUROC of {trust:.3f} (0.5 is chance).

![Reliability](reliability.png)
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

_SCORED_BEST = """Every labelled validation pixel, once, with its surroundings as context. The held-out part
also chose the step that was kept and the temperature: scores on other ground will be lower."""

_SCORED_LAST = """Every labelled validation pixel, once, with its surroundings as context. The last weights
were kept, whatever validation said; only the temperature was chosen on the held-out part."""

_SCORED_FOLDS = """Every labelled pixel, once, by the model that has not seen its fold, with its surroundings
as context. The last weights were kept, whatever validation said; only the temperature was chosen on
held-out pixels."""
