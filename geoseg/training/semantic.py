"""Training of a class for every pixel: losses on pixels, scores by confusion, in other light too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy import metrics
from geoseg.accuracy.calibration import Calibration, calibrate
from geoseg.accuracy.card import bundle_scores, cell, class_table, confusion_table, overall_line, rounded
from geoseg.accuracy.ranking import auroc
from geoseg.engines.torch_engine import choose_precision
from geoseg.engines.views import VIEWS
from geoseg.errors import InputError
from geoseg.models.experience import doubt_of, sureness_of
from geoseg.tables import markdown
from geoseg.training import pictures
from geoseg.training.batches import Batches
from geoseg.training.card import split_in_words, wrapped
from geoseg.training.examine import Examination, examine, join
from geoseg.training.forward import forward
from geoseg.training.lights import light_scores, light_table
from geoseg.training.losses import build_loss
from geoseg.training.measure import answers, counted, spread
from geoseg.training.prepare import Preparation
from geoseg.training.task import Figures, Report

_MOST_SCENES = 40
_FAILS = 0.2
_IN_LIGHT = {"overall_accuracy": metrics.overall_accuracy, "mean_iou": metrics.mean_iou}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """How well the worst windows are told from the others: areas under the ROC curve.

    Attributes
    ----------
    look, doubt
        By how unlike the training they look, and by how unsure the model is of them.
    both
        By the larger of the two.
    """

    look: float
    doubt: float
    both: float


class SemanticTask:
    """Networks that give logits (N, K, S, S)."""

    def __init__(self, preparation: Preparation, device: torch.device) -> None:
        self._preparation, self._device = preparation, device
        self._autocast = choose_precision(preparation.job.precision, device) == "bf16"
        self._loss = build_loss(preparation.job, _class_weights(preparation, device))

    def check(self, network: nn.Module) -> None:
        """InputError, if the network does not give a logit of every class for every pixel of a crop."""
        preparation, crop = self._preparation, self._preparation.job.crop
        network.train(False)
        with torch.no_grad():
            found = forward(network, torch.zeros(1, len(preparation.contract.bands), crop, crop)).shape
        if found != (1, len(preparation.legend), crop, crop):
            raise InputError(
                "the network does not fit the crops",
                why=f"it gives {tuple(found)} for crops of {crop} px and {len(preparation.legend)} classes",
            )

    def loss(self, network: nn.Module, x: Tensor, taught: Any) -> Tensor:
        """The job's losses; of a second head too, where the network has one."""
        weight = float(getattr(getattr(network, "module", network), "auxiliary_weight", 0.0))
        outputs = forward(network, x, autocast=self._autocast, **({"auxiliary": True} if weight > 0 else {}))
        first, *more = outputs if weight > 0 else (outputs,)
        truth = taught.to(self._device)
        value = self._loss(first.float(), truth)
        for logits in more:
            value = value + weight * self._loss(logits.float(), truth)
        return value

    def figures(self, batches: Batches, network: nn.Module) -> Figures:
        """Mean IoU, and IoU by class."""
        preparation = self._preparation
        names = [f"IoU {name}" for name in preparation.legend.names]
        if not preparation.cores:
            return dict.fromkeys(["mean IoU", *names])
        cores = spread(preparation.cores, preparation.job.validation_windows)
        said = answers(batches, network, cores, self._device, autocast=self._autocast)
        counts = counted(said, preparation)
        found = [metrics.mean_iou(counts), *metrics.iou(counts).tolist()]
        return {
            name: None if np.isnan(v) else round(v, 6)
            for name, v in zip(["mean IoU", *names], found, strict=True)
        }

    def examine(self, network: nn.Module) -> Examination:
        """Scores, calibration and novelty on all validation pixels."""
        return examine(self._preparation, network, self._device, autocast=self._autocast)

    def report(self, parts: Sequence[Any]) -> Report:
        """What the folds found, as one."""
        preparation, found = self._preparation, join(parts)
        calibration = calibrate(found.sample, found.lit)
        sureness = sureness_of(found.sample.of_windows(calibration.temperature)[0])
        trust = _trust(found, calibration.temperature, sureness)
        return Report(
            temperature=calibration.temperature,
            sureness=sureness,
            scores=_score_table(preparation, found, calibration, trust),
            text=_text(preparation, found, calibration, trust),
            pictures={
                "reliability.png": pictures.reliability_diagram(calibration),
                "confusion.png": pictures.confusion_picture(found.counts, preparation.legend),
                "samples.png": pictures.sample_picture(found.shown, preparation.legend),
            },
        )


def _class_weights(preparation: Preparation, device: torch.device) -> Tensor | None:
    given, legend = preparation.job.class_weights, preparation.legend
    if given is None:
        return None
    if given == "balanced":
        pixels = preparation.training_pixels.astype(np.float64)
        weights = np.divide(1.0, np.sqrt(pixels), out=np.zeros_like(pixels), where=pixels > 0)
        weights *= (pixels > 0).sum() / weights.sum()
    else:
        weights = np.ones(len(legend))
        for name, weight in given.items():
            weights[legend.ids.index(legend.find(name).id)] = weight
    return torch.tensor(weights, dtype=torch.float32, device=device)


def _score_table(
    preparation: Preparation, found: Examination, calibration: Calibration, trust: _Trust
) -> dict[str, Any]:
    """Scores of the bundle, in the form that every bundle has them."""
    kind = "cross-validated" if preparation.job.split.folds else "validation"
    data = f"{found.counts.sum()} {kind} pixels ({split_in_words(preparation)})"
    evidence = {"counts": found.counts, "calibration": calibration}
    return {
        **bundle_scores(evidence, preparation.legend, data),
        **({} if found.before is None else {"before": _overall(found.before)}),
        **({"without": {name: _overall(c) for name, c in found.without.items()}} if found.without else {}),
        "changed_light": {
            **light_scores(found.lights, _IN_LIGHT),
            "calibration_error": rounded(calibration.other),
        },
        "novelty_auroc": rounded(trust.both),
    }


def _overall(counts: metrics.Counts) -> dict[str, float | None]:
    """Mean IoU and accuracy, rounded."""
    return {m.__name__: rounded(m(counts)) for m in (metrics.mean_iou, metrics.overall_accuracy)}


def _trust(found: Examination, temperature: float, sureness: NDArray[np.float64] | None) -> _Trust:
    """How well what lies beyond what was seen, and doubt, tell the worst windows from the others."""
    confidence, right = found.watched.of_windows(temperature)
    doubt = doubt_of(confidence, sureness)
    failed = right <= np.quantile(right, _FAILS)
    return _Trust(
        look=auroc(found.novelty, failed),
        doubt=auroc(doubt, failed),
        both=auroc(np.maximum(found.novelty, doubt), failed),
    )


def _text(preparation: Preparation, found: Examination, calibration: Calibration, trust: _Trust) -> str:
    """The card's part on scores."""
    job, legend, evidence = preparation.job, preparation.legend, {"counts": found.counts}
    sizes = {
        "training pixels": preparation.training_pixels,
        "validation pixels": metrics.support(found.counts).tolist(),
    }
    return _TEXT.format(
        scored=_SCORED_FOLDS if job.split.folds else _SCORED_LAST if job.keeps_last else _SCORED_BEST,
        before=_before_table(preparation, found),
        scene_table=_scene_table(found, legend.names),
        sensors=_sensor_table(preparation, found),
        views=_view_table(found, legend.names),
        lights=_light_table(found, legend.names),
        fails=_FAILS,
        trust=trust,
        classes_table=class_table(evidence, legend, sizes),
        overall=overall_line(evidence),
        matrix=confusion_table(found.counts, legend, "reference \\ map"),
        temperature=calibration.temperature,
        uncalibrated=calibration.before,
        after=calibration.after,
        other=calibration.other,
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


def _sensor_table(preparation: Preparation, found: Examination) -> str:
    """Table of the scores where a sensor is missing."""
    if not found.without:
        return ""
    rows = [["all sensors", *_few(found.counts)]]
    rows += [[f"without {name}", *_few(counts)] for name, counts in found.without.items()]
    head = ["", *(f"IoU {n}" for n in preparation.legend.names), "mean IoU", "accuracy"]
    said = (
        "**Sensors that may be missing** (`geoseg predict --without NAME`): the same pixels, the sensor's "
        f"bands at the training's mean. Training took each away with probability "
        f"{preparation.job.augment.sensor_odds:g}."
    )
    return "\n".join(["", wrapped(said), "", markdown(head, rows)]) + "\n"


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
    columns = [*(f"IoU {n}" for n in names), "mean IoU", "accuracy"]
    return light_table(found.lights, _IN_LIGHT, ("Accuracy", "mean IoU"), columns, _few)


def _few(counts: metrics.Counts) -> list[str]:
    """IoU of each class, their mean and the overall accuracy, as text."""
    found = [*metrics.iou(counts), metrics.mean_iou(counts), metrics.overall_accuracy(counts)]
    return [cell(value) for value in found]


_TEXT = """{scored}

{classes_table}

{overall}.

{matrix}
{before}{scene_table}{sensors}{views}{lights}
![Confusion](confusion.png) ![Learning curve](curve.png)

**Calibration.** Temperature {temperature} (smallest log-loss over pixels as they are and in other light, half
the weight each). Expected calibration error (15 bins) {uncalibrated:.4f} without it; {after:.4f}, and
{other:.4f} in other light, where each half of the windows has its temperature from the other half.

**Novelty.** What `predict --novelty` maps ranks the {fails:.0%} of windows and lights that are mapped worst
above the others with an AUROC of {trust.both:.3f} (0.5 is chance). It is the larger of two measures: how far
a window lies beyond what training drew (level and contrast of each band; alone {trust.look:.3f}), and of how
many scored windows the model was surer (alone {trust.doubt:.3f}).

![Reliability](reliability.png)
"""

_SCORED_BEST = """Every labelled validation pixel, once, with its surroundings as context. The held-out part
also chose the step that was kept and the temperature: scores on other ground will be lower."""

_SCORED_LAST = """Every labelled validation pixel, once, with its surroundings as context. The last weights
were kept, whatever validation said; only the temperature was chosen on the held-out part."""

_SCORED_FOLDS = """Every labelled pixel, once, by the model that has not seen its fold, with its surroundings
as context. The last weights were kept, whatever validation said; only the temperature was chosen on
held-out pixels."""
