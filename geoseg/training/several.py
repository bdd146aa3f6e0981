"""Training of several tasks at once: every scene teaches what its labels say, and each task is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy import metrics
from geoseg.accuracy.card import cell, rounded
from geoseg.accuracy.matrix import confusion
from geoseg.engines.torch_engine import choose_precision
from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.object_rule import ObjectRule, Task
from geoseg.models.prompt import Prompt
from geoseg.tables import markdown
from geoseg.training import instance
from geoseg.training.batches import Batches
from geoseg.training.card import split_in_words
from geoseg.training.forward import forward
from geoseg.training.instance import InstanceTask
from geoseg.training.measure import spread
from geoseg.training.prepare import Core, Preparation
from geoseg.training.targets import ObjectTargets
from geoseg.training.task import Figures, Report
from geoseg.truth.shapes import PolygonTruth

_LEAST_PIXELS = 16  # of an object that is asked for by a click


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was answered on held-out windows besides objects.

    Attributes
    ----------
    counts
        (K, K) pixels by class in the reference and as mapped.
    clicks
        Intersection over union of each object with what answers a click in its middle.
    """

    counts: NDArray[np.int64]
    clicks: tuple[float, ...]

    @property
    def mean_iou(self) -> float:
        """Of the classes of pixels; NaN without any."""
        return metrics.mean_iou(self.counts) if self.counts.any() else float("nan")

    @property
    def click_iou(self) -> float:
        """Mean over the objects; NaN without any."""
        return float(np.mean(self.clicks)) if self.clicks else float("nan")


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Scores on the held-out part; `objects` of windows with outlines, None where there is none."""

    asked: Asked
    objects: instance.Examination | None


class SeveralTask:
    """Networks of `geoseg.models.architectures.SEVERAL`: one loss of all tasks, and a score of each."""

    def __init__(self, preparation: Preparation, device: torch.device) -> None:
        self._preparation, self._device = preparation, device
        self._autocast = choose_precision(preparation.job.precision, device) == "bf16"
        outlined = [c for c in preparation.cores if _has_outlines(preparation, c)]
        self._outlined = replace(preparation, cores=tuple(outlined))
        # the bundle has one temperature, and that of scores of objects would not be that of classes
        self._objects = InstanceTask(self._outlined, device, calibrated=False)

    def check(self, network: nn.Module) -> None:
        """InputError, if the network does not give the objects of a crop."""
        self._objects.check(network)

    def loss(self, network: nn.Module, x: Tensor, taught: Any) -> Tensor:
        """Sum of the network's losses."""
        return self._objects.loss(network, x, taught)

    def figures(self, batches: Batches, network: nn.Module) -> Figures:
        """The mean over the tasks; then mean IoU of classes, IoU at a click, and what is said of objects."""
        others = [c for c in self._preparation.cores if c not in self._outlined.cores]
        most = self._preparation.job.validation_windows
        cores = [core for own in (others, self._outlined.cores) if own for core in spread(own, most)]
        asked = self._asked(batches, network, cores)
        objects = self._objects.figures(batches, network)
        values = {
            "mean IoU": rounded(asked.mean_iou),
            "click IoU": rounded(asked.click_iou),
            "F1": objects["F1"],
        }
        known = [value for value in values.values() if value is not None]
        return {"mean": round(float(np.mean(known)), 6) if known else None, **values, **objects}

    def examine(self, network: nn.Module) -> Examination:
        """Every validation window, asked for all that is known of it."""
        network = network.to(self._device)
        asked = self._asked(Batches(self._preparation), network, self._preparation.cores)
        return Examination(
            asked=asked, objects=self._objects.examine(network) if self._outlined.cores else None
        )

    def report(self, parts: Sequence[Any]) -> Report:
        """What the folds found, as one."""
        preparation = self._preparation
        asked = Asked(
            counts=np.sum([part.asked.counts for part in parts], axis=0),
            clicks=tuple(value for part in parts for value in part.asked.clicks),
        )
        objects = [part.objects for part in parts if part.objects is not None]
        found = self._objects.report(objects) if objects else _NO_OBJECTS
        iou = metrics.iou(asked.counts)
        legend = preparation.legend
        classes = {
            name: {**_NO_SCORES, **found.scores.get("classes", {}).get(name, {}), "iou": rounded(iou[i])}
            for i, name in enumerate(legend.names)
        }
        table = markdown(
            ["class", "pixels", "IoU"],
            [[name, f"{asked.counts[i].sum():,}", cell(iou[i])] for i, name in enumerate(legend.names)],
        )
        return replace(
            found,
            scores={
                **{"f1": None, "pq": None, **found.scores},
                "data": f"{asked.counts.sum()} pixels of classes, {len(asked.clicks)} clicks and "
                f"{found.scores.get('data', f'no objects ({split_in_words(preparation)})')}",
                "classes": classes,
                "mean_iou": rounded(asked.mean_iou),
                "click_iou": rounded(asked.click_iou),
            },
            text=_TEXT.format(
                mean=cell(asked.mean_iou),
                table=table,
                clicks=cell(asked.click_iou),
                count=f"{len(asked.clicks):,}",
                objects=found.text,
            ),
        )

    @torch.inference_mode()
    def _asked(self, batches: Batches, network: nn.Module, cores: Sequence[Core]) -> Asked:
        """Classes where they are known, and clicks on objects with outlines."""
        classes = len(self._preparation.legend)
        counts, clicks = np.zeros((classes, classes), np.int64), []
        network.train(False)
        for core, truth in self._known(batches, cores):
            pixels = truth.classes_of_pixels()
            if not (pixels != UNKNOWN).any() and not len(truth.classes):
                continue
            x = batches.core(core)[0].to(self._device).contiguous(memory_format=torch.channels_last)
            if (pixels != UNKNOWN).any():
                guess = self._within(self._answer(network, "semantic", x)[0].argmax(dim=0), core)
                counts += confusion(pixels.numpy().astype(np.uint8), guess.astype(np.uint8), classes)
            clicks += self._clicked(network, x, core, truth)
        return Asked(counts=counts, clicks=tuple(clicks))

    def _known(self, batches: Batches, cores: Sequence[Core]) -> Iterator[tuple[Core, ObjectLabels]]:
        """Windows with what their labels say."""
        preparation = self._preparation
        for core in cores:
            layer = batches.core(core)[1]
            labels = preparation.sources[core.source].labels
            yield core, cast(ObjectTargets, preparation.targets).objects(torch.from_numpy(layer), labels)

    def _clicked(self, network: Any, x: Tensor, core: Core, truth: ObjectLabels) -> list[float]:
        """Intersection over union at a click in the middle of each object, one after another."""
        from scipy.ndimage import distance_transform_edt

        masks, found = truth.masks()[0].numpy(), []
        encoded = network.embed(x)
        for mask in masks:
            if mask.sum() < _LEAST_PIXELS:
                continue
            depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            at = np.argwhere(depth == depth.max())[:1] + self._preparation.margin
            shares = network.answer(encoded, [Prompt(points=at, inside=np.ones(1, np.bool_))])[0]
            answer = (self._within(shares[0], core) > 0.5) & (truth.ids >= 0).numpy()
            found.append(float((answer & mask).sum() / max((answer | mask).sum(), 1)))
        return found

    def _answer(self, network: Any, task: Task, x: Tensor) -> Any:
        """What the network answers, asked for another task than its first."""
        network.task = task
        try:
            return forward(network, x, autocast=self._autocast)
        finally:
            network.task = self._preparation.task

    def _within(self, values: Tensor, core: Core) -> NDArray[Any]:
        """The part of (S, S) that is scored."""
        margin, (height, width) = self._preparation.margin, core.window.shape
        own: NDArray[Any] = values[margin : margin + height, margin : margin + width].cpu().numpy()
        return own


def _has_outlines(preparation: Preparation, core: Core) -> bool:
    return isinstance(preparation.sources[core.source].labels, PolygonTruth)


_NO_SCORES = dict.fromkeys(("f1", "precision", "recall", "pq", "sq"))
_NO_OBJECTS = Report(temperature=1.0, scores={}, text="", pictures={}, objects=ObjectRule())

_TEXT = """**Classes**, where they are known: mean IoU {mean}.

{table}

**Clicks**: one in the middle of each of {count} objects; mean intersection over union {clicks}.

**Objects.** {objects}"""
