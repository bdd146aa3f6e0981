"""Training of objects: the network's own losses on what crops hold, scores by objects and areas of stuff."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy.calibration import Calibration, CalibrationSample, calibrate
from geoseg.accuracy.card import cell, rounded
from geoseg.accuracy.panoptic import Panoptic
from geoseg.engines.painting import paint
from geoseg.engines.segments import TileSegments
from geoseg.engines.torch_detector import detections_of
from geoseg.engines.torch_engine import choose_precision
from geoseg.errors import InputError
from geoseg.models.object_rule import ObjectRule, Task
from geoseg.tables import markdown
from geoseg.training import pictures
from geoseg.training.batches import Batches
from geoseg.training.card import split_in_words
from geoseg.training.forward import forward
from geoseg.training.found_objects import Found, compare, compare_stuff, overall_f1
from geoseg.training.light import LIGHTS, Light
from geoseg.training.lights import light_scores, light_table
from geoseg.training.measure import spread
from geoseg.training.pictures import Outlined
from geoseg.training.prepare import Core, Preparation
from geoseg.training.targets import ObjectTargets
from geoseg.training.task import Figures, Report

_ALL = ObjectRule(score=0.0)
"""Every object that is found; which of them count is chosen by score afterwards."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Scores on the held-out part.

    Attributes
    ----------
    scenes
        Scene name to what was found there.
    without
        Sensor to what was found everywhere while it was missing.
    lights
        The same by light, the first as it is, over at most `light_windows` windows of each fold.
    shown
        Windows for the picture.
    capped
        Windows with more objects than one tile may have.
    """

    scenes: Mapping[str, Found]
    without: Mapping[str, Found]
    lights: Mapping[Light, Found]
    shown: tuple[Outlined, ...]
    capped: int


class InstanceTask:
    """Networks that give the objects of a tile, and losses where they are told which there are."""

    def __init__(self, preparation: Preparation, device: torch.device, *, calibrated: bool = True) -> None:
        self._preparation, self._device, self._calibrated = preparation, device, calibrated
        self._autocast = choose_precision(preparation.job.precision, device) == "bf16"

    def check(self, network: nn.Module) -> None:
        """InputError, if the network does not give the objects of a crop."""
        preparation, crop = self._preparation, self._preparation.job.crop
        network.train(False)
        with torch.no_grad():
            found = forward(network, torch.zeros(1, len(preparation.contract.bands), crop, crop))
        if not (isinstance(found, list) and len(found) == 1 and {"scores", "masks"} <= set(found[0])):
            raise InputError(
                "the network does not answer with objects", why=f"it gives {type(found).__name__}"
            )

    def loss(self, network: nn.Module, x: Tensor, taught: Any) -> Tensor:
        """Sum of the network's losses."""
        objects = [o.to(self._device) for o in taught]
        losses: dict[str, Tensor] = forward(network, x, autocast=self._autocast, objects=objects)
        return torch.stack([value.float() for value in losses.values()]).sum()

    def figures(self, batches: Batches, network: nn.Module) -> Figures:
        """F1, precision and recall of objects, and PQ, at the score with the best F1.

        The first decides: PQ where stuff is taught too.
        """
        preparation = self._preparation
        if not preparation.cores:
            return dict.fromkeys(_figures(preparation.task))
        cores = spread(preparation.cores, preparation.job.validation_windows)
        found = Found.join([self._compared(batches, network, core)[0] for core in cores])
        values = _overall(found, found.best_score())
        return {name: round(values[name], 6) for name in _figures(preparation.task)}

    def examine(self, network: nn.Module) -> Examination:
        """Objects found in every validation window."""
        preparation = self._preparation
        scenes: dict[str, Found] = {}
        batches, cores = Batches(preparation), preparation.cores
        network = network.to(self._device)
        most = max(c.window.area for c in cores)
        chosen = {c.number for c in spread([c for c in cores if c.window.area == most], 4)}
        shown: list[Outlined] = []
        capped = 0
        for core in cores:
            found, segments, outlined = self._compared(batches, network, core)
            name = preparation.sources[core.source].scene.paths[0].stem
            scenes[name] = Found.join([scenes[name], found]) if name in scenes else found
            capped += segments.capped
            if core.number in chosen:
                shown.append(outlined)
        without = {
            sensor.name: Found.join(
                [self._compared(batches, network, core, without=[sensor.name])[0] for core in cores]
            )
            for sensor in preparation.contract.sensors
        }
        few = spread(cores, preparation.job.light_windows)
        lights = {
            light or Light(): Found.join(
                [self._compared(batches, network, core, light=light)[0] for core in few]
            )
            for light in (None, *LIGHTS)
        }
        return Examination(scenes=scenes, without=without, lights=lights, shown=tuple(shown), capped=capped)

    @torch.inference_mode()
    def _compared(
        self,
        batches: Batches,
        network: nn.Module,
        core: Core,
        *,
        light: Light | None = None,
        without: Sequence[str] = (),
    ) -> tuple[Found, TileSegments, Outlined]:
        """A window's objects beside the reference."""
        preparation, margin = self._preparation, self._preparation.margin
        network.train(False)
        x, layer = batches.core(core, light, without)
        answer = forward(
            network, x.to(self._device).contiguous(memory_format=torch.channels_last), autocast=self._autocast
        )
        legend, targets = preparation.legend, preparation.targets
        segments = paint(detections_of(answer[0], legend), _ALL, shape=(x.shape[-2], x.shape[-1]))
        assert isinstance(targets, ObjectTargets)
        truth = targets.objects(torch.from_numpy(layer), preparation.sources[core.source].labels)
        reference = truth.ids.numpy()
        height, width = core.window.shape
        window = slice(margin, margin + height), slice(margin, margin + width)
        found = compare(
            reference,
            truth.classes.numpy(),
            segments,
            window=window,
            ids=legend.ids,
            half=core.number % 2 == 1,
        )
        if truth.stuff is not None and segments.stuff is not None:
            stuff = compare_stuff(truth.stuff.numpy(), segments.stuff[window], legend.ids)
            found = replace(found, stuff=stuff)
        return found, segments, (x[0].numpy()[:, *window], reference, segments.ids[window].astype(np.int64))

    def report(self, parts: Sequence[Any]) -> Report:
        """What the folds found, as one: temperature, least score, scores, pictures."""
        preparation = self._preparation
        scenes: dict[str, Found] = {}
        for part in parts:
            for name, found in part.scenes.items():
                scenes[name] = Found.join([scenes[name], found]) if name in scenes else found
        found = Found.join(list(scenes.values()))
        without = {name: Found.join([part.without[name] for part in parts]) for name in parts[0].without}
        lights = {light: Found.join([part.lights[light] for part in parts]) for light in parts[0].lights}
        calibration = _calibrate(found) if self._calibrated else None
        temperature = 1.0 if calibration is None else calibration.temperature
        least = found.best_score(temperature)
        shown = [part.shown[i] for i in range(4) for part in parts if i < len(part.shown)][:4]
        drawn = {} if calibration is None else {"reliability.png": pictures.reliability_diagram(calibration)}
        return Report(
            temperature=temperature,
            scores={
                **_scores(preparation, found, least, calibration),
                **_missing_scores(without, least, temperature),
                "changed_light": light_scores(lights, _in_light(least, temperature)),
            },
            text=_text(preparation, scenes, least, calibration, sum(part.capped for part in parts))
            + _sensor_table(found, without, least, temperature)
            + _light_table(lights, least, temperature),
            pictures={"samples.png": pictures.outline_picture(shown), **drawn},
            objects=ObjectRule(score=least),
        )


def _calibrate(found: Found) -> Calibration | None:
    """Calibration of the scores as the probability of a partner; None where nothing was found."""
    if not len(found.score):
        return None
    odds = found.log_odds().astype(np.float32)
    logits = np.stack([np.zeros_like(odds), odds], axis=1)
    truth = (found.iou > 0).astype(np.uint8)
    return calibrate(CalibrationSample(stride=1, logits=[logits], truth=[truth], half=[found.half]))


def _figures(task: Task) -> tuple[str, ...]:
    return ("PQ", "F1", "precision", "recall") if task == "panoptic" else ("F1", "PQ", "precision", "recall")


def _overall(found: Found, least: float, temperature: float = 1.0) -> dict[str, float]:
    """F1, precision and recall over all objects; PQ is the mean of the classes that there are."""
    counts, every = found.counts(least, temperature), found.all_counts(least, temperature)
    matched, missed, extra = (int(v.sum()) for v in (counts.matched, counts.missed, counts.extra))
    there = every.matched + every.missed + every.extra > 0
    return {
        "F1": overall_f1(counts),
        "PQ": float(every.quality[there].mean()) if there.any() else 0.0,
        "precision": matched / max(matched + extra, 1),
        "recall": matched / max(matched + missed, 1),
    }


def _of_classes(counts: Panoptic) -> dict[str, NDArray[np.float64]]:
    return {
        "f1": counts.recognition,
        "precision": counts.precision,
        "recall": counts.recall,
        "pq": counts.quality,
        "sq": counts.segmentation,
    }


def _scores(
    preparation: Preparation, found: Found, least: float, calibration: Calibration | None
) -> dict[str, Any]:
    """Scores in the form of ``bundle.json``; null where there is none."""
    temperature = 1.0 if calibration is None else calibration.temperature
    kind = "cross-validated" if preparation.job.split.folds else "validation"
    columns = _of_classes(found.all_counts(least, temperature))
    return {
        "data": f"{found.reference.sum()} {kind} objects ({split_in_words(preparation)})",
        "classes": {
            name: {key: rounded(values[i]) for key, values in columns.items()}
            for i, name in enumerate(preparation.legend.names)
        },
        **{key.lower(): rounded(value) for key, value in _overall(found, least, temperature).items()},
        "calibration_error": None if calibration is None else rounded(calibration.after),
    }


def _missing_scores(without: Mapping[str, Found], least: float, temperature: float) -> dict[str, Any]:
    """The overall scores with each sensor missing, in the form of ``bundle.json``."""
    if not without:
        return {}
    overall = {name: _overall(found, least, temperature) for name, found in without.items()}
    return {
        "without": {name: {k.lower(): rounded(v) for k, v in own.items()} for name, own in overall.items()}
    }


def _sensor_table(found: Found, without: Mapping[str, Found], least: float, temperature: float) -> str:
    """The same for the card."""
    if not without:
        return ""
    of = {"all sensors": found, **{f"without {name}": own for name, own in without.items()}}
    values = {name: _overall(own, least, temperature) for name, own in of.items()}
    rows = [[name, *map(cell, own.values())] for name, own in values.items()]
    said = "**Sensors that may be missing** (`geoseg predict --without NAME`): their bands at the mean."
    return "\n".join(["", said, "", markdown(["", *values["all sensors"]], rows)]) + "\n"


def _in_light(least: float, temperature: float) -> dict[str, Callable[[Found], float]]:
    """What is measured in other light."""
    return {
        name.lower(): partial(_one, name=name, least=least, temperature=temperature) for name in ("F1", "PQ")
    }


def _one(found: Found, *, name: str, least: float, temperature: float) -> float:
    return _overall(found, least, temperature)[name]


def _light_table(lights: Mapping[Light, Found], least: float, temperature: float) -> str:
    """Table of the scores in every light of the check."""
    measures, columns = _in_light(least, temperature), ("F1", "PQ", "precision", "recall")

    def row(found: Found) -> list[str]:
        own = _overall(found, least, temperature)
        return [cell(own[name]) for name in columns]

    return light_table(lights, measures, ("F1", "PQ"), columns, row)


def _text(
    preparation: Preparation,
    scenes: Mapping[str, Found],
    least: float,
    calibration: Calibration | None,
    capped: int,
) -> str:
    """The card's part on scores."""
    temperature = 1.0 if calibration is None else calibration.temperature
    found = Found.join(list(scenes.values()))
    head = ["", "reference", "found", "F1", "precision", "recall", "PQ", "SQ"]
    counts = found.all_counts(least, temperature)
    reference, mapped = counts.matched + counts.missed, counts.matched + counts.extra
    rows = [
        [f"**{name}**", f"{int(reference[i]):,}", f"{int(mapped[i]):,}"]
        + [cell(values[i]) for values in _of_classes(counts).values()]
        for i, name in enumerate(preparation.legend.names)
    ]
    for name, own in scenes.items() if len(scenes) > 1 else ():
        one = own.counts(least, temperature)
        total = _overall(own, least, temperature)
        sq = float(one.iou.sum() / one.matched.sum()) if one.matched.any() else float("nan")
        shares = [total[key] for key in ("F1", "precision", "recall", "PQ")]
        rows.append(
            [name, f"{own.reference.sum():,}", f"{int(one.matched.sum() + one.extra.sum()):,}"]
            + [cell(v) for v in [*shares, sq]]
        )
    lines = [
        _SCORED.format(least=least, tempered="" if calibration is None else ", as was the temperature"),
        "",
        markdown(head, rows),
    ]
    if found.stuff is not None:
        lines[1:1] = ["", _STUFF]
    if capped:
        lines += ["", f"In {capped} windows more objects were found than one tile may have."]
    lines += ["", "![Learning curve](curve.png)"]
    if calibration is not None:
        said = _CALIBRATED.format(
            temperature=calibration.temperature, before=calibration.before, after=calibration.after
        )
        lines += ["", said, "", "![Reliability](reliability.png)"]
    return "\n".join(lines) + "\n"


_SCORED = """Objects of every validation window, once, with their surroundings as context. A found object
counts where its intersection over union with one of the reference is more than a half; at the windows' edges
both are cut. Counted are objects with a score of {least:.2f} or more: that score has the best F1 here, and it
was chosen on these objects{tempered}. Scores on other ground will be lower."""

_STUFF = """A class of stuff is one region in each window, compared where the reference has stuff; it counts
where the intersection over union is more than a half. Its pixels under objects are not judged."""

_CALIBRATED = """**Calibration.** The score says how likely an object has such a partner: temperature
{temperature} on its log odds. Expected calibration error (15 bins) {before:.4f} without it; {after:.4f} where
each half of the windows has its temperature from the other half."""
