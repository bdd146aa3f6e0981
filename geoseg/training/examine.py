"""What a finished network says about its validation pixels; of several folds, each about its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy.calibration import CalibrationSample
from geoseg.engines.choice import Tta
from geoseg.engines.views import VIEWS, View
from geoseg.geometry import Window
from geoseg.models.experience import Experience, look_of
from geoseg.models.network import load_network
from geoseg.training import pictures
from geoseg.training.batches import Batches
from geoseg.training.light import LIGHTS, Light
from geoseg.training.measure import answers, counted, spread
from geoseg.training.pictures import Shown
from geoseg.training.prepare import Preparation
from geoseg.training.seen import experience_of


@dataclass(frozen=True, kw_only=True)
class Examination:
    """Scores on held-out pixels.

    Attributes
    ----------
    scenes
        Scene name to confusion counts (K, K), rows reference.
    views
        The same counts over all scenes by test-time augmentation; empty where none was asked for.
    without
        The same counts over all scenes by the sensor that is missing; empty where none may be.
    lights
        The same counts by light, the first as it is, over at most `light_windows` windows of each fold.
    before
        The same counts over all scenes by the bundle that it started from; None where it has other classes.
    novelty
        (N,) of every window in every light: how far it lies beyond what the training looked like.
    sample, lit, watched
        Logits: of all windows as they are, and of some in every other light, for calibration; of those that
        `novelty` is of.
    shown
        Windows for the picture.
    """

    scenes: Mapping[str, NDArray[np.int64]]
    views: Mapping[Tta, NDArray[np.int64]]
    without: Mapping[str, NDArray[np.int64]]
    lights: Mapping[Light, NDArray[np.int64]]
    before: NDArray[np.int64] | None
    novelty: NDArray[np.float64]
    sample: CalibrationSample
    lit: CalibrationSample
    watched: CalibrationSample
    shown: tuple[Shown, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        """(K, K) over all scenes."""
        return np.sum(list(self.scenes.values()), axis=0)  # type: ignore[no-any-return]


def examine(
    preparation: Preparation, network: nn.Module, device: torch.device, *, autocast: bool
) -> Examination:
    """Examination of a network on all validation pixels of a preparation."""
    batches, cores = Batches(preparation), preparation.cores
    network = network.to(device)
    sample = CalibrationSample.for_pixels(int(preparation.validation_pixels.sum()))
    largest = max(c.window.area for c in cores)  # narrow windows at the scene's end make poor pictures
    looked_at = spread([c for c in cores if c.window.area == largest], 48)
    chosen = set(pictures.pick([(c.number, pictures.classes_in(batches.core(c)[1])) for c in looked_at]))
    shown: list[Shown] = []
    scenes: dict[str, NDArray[np.int64]] = {}
    for answer in answers(batches, network, cores, device, autocast=autocast):
        name = preparation.sources[answer.core.source].scene.paths[0].stem
        scenes[name] = scenes.get(name, 0) + counted([answer], preparation)
        sample.add(answer.logits, answer.truth, window=answer.core.number)
        if answer.core.number in chosen:
            shown.append((answer.x, answer.truth, answer.guess))
    few = spread(cores, preparation.job.light_windows)
    lit, watched = (
        CalibrationSample.for_pixels(number * sum(c.window.area for c in few))
        for number in (len(LIGHTS), 1 + len(LIGHTS))
    )
    experience = experience_of(preparation)
    novelty: list[float] = []
    lights: dict[Light, NDArray[np.int64]] = {}
    for light in (None, *LIGHTS):
        found = []
        for answer in answers(batches, network, few, device, autocast=autocast, light=light):
            found.append(counted([answer], preparation))
            novelty.append(_novelty(answer.x, experience))
            watched.add(answer.logits, answer.truth, window=answer.core.number)
            if light is not None:
                lit.add(answer.logits, answer.truth, window=answer.core.number)
        lights[light or Light()] = np.sum(found, axis=0)
    views: dict[Tta, NDArray[np.int64]] = {}
    if preparation.job.tta:
        views = {"none": np.sum(list(scenes.values()), axis=0)}
        names: tuple[Tta, ...] = ("flips", "d4")
        for name in names:
            averaged = _Averaged(network, VIEWS[name])
            views[name] = counted(answers(batches, averaged, cores, device, autocast=autocast), preparation)
    return Examination(
        scenes=scenes,
        views=views,
        without={
            sensor.name: counted(
                answers(batches, network, cores, device, autocast=autocast, without=[sensor.name]),
                preparation,
            )
            for sensor in preparation.contract.sensors
        },
        lights=lights,
        before=_before(batches, device, autocast=autocast),
        novelty=np.array(novelty),
        sample=sample,
        lit=lit,
        watched=watched,
        shown=tuple(shown),
    )


def join(parts: Sequence[Examination]) -> Examination:
    """One examination of several folds; no pixel is in two of them."""
    scenes: dict[str, NDArray[np.int64]] = {}
    for part in parts:
        for name, counts in part.scenes.items():
            scenes[name] = scenes.get(name, 0) + counts
    views = {name: np.sum([p.views[name] for p in parts], axis=0) for name in parts[0].views}
    without = {name: np.sum([p.without[name] for p in parts], axis=0) for name in parts[0].without}
    lights = {light: np.sum([p.lights[light] for p in parts], axis=0) for light in parts[0].lights}
    sample = CalibrationSample.join([p.sample for p in parts])
    lit = CalibrationSample.join([p.lit for p in parts])
    watched = CalibrationSample.join([p.watched for p in parts])
    shown = [p.shown[i] for i in range(4) for p in parts if i < len(p.shown)][:4]
    earlier = [p.before for p in parts if p.before is not None]
    return Examination(
        scenes=scenes,
        views=views,
        without=without,
        lights=lights,
        before=np.sum(earlier, axis=0) if earlier else None,
        novelty=np.concatenate([p.novelty for p in parts]),
        sample=sample,
        lit=lit,
        watched=watched,
        shown=tuple(shown),
    )


def _before(batches: Batches, device: torch.device, *, autocast: bool) -> NDArray[np.int64] | None:
    """Confusion counts of the bundle that the job starts from, on the same pixels."""
    preparation = batches.preparation
    start = preparation.start
    if start is None or start.legend.names != preparation.legend.names:
        return None
    network = load_network(start).to(device)
    return counted(answers(batches, network, preparation.cores, device, autocast=autocast), preparation)


def _novelty(x: NDArray[np.float32], experience: Experience) -> float:
    """How far a window's squares lie beyond what was seen, their median; `x` (B, h, w) is normalised."""
    height, width = x.shape[1:]
    side = min(experience.side, height, width)  # what remains at the edge is too small to compare
    squares = Window(0, 0, height // side * side, width // side * side).blocks(side, side)
    looks = [look_of(x[:, w.row : w.row_end, w.col : w.col_end].reshape(len(x), -1)) for w in squares]
    return float(np.median(experience.beyond(np.stack(looks))))


class _Averaged(nn.Module):
    """Logarithm of the mean probability over several views of the input."""

    def __init__(self, network: nn.Module, views: Sequence[View]) -> None:
        super().__init__()
        self.network, self.views = network, views

    def forward(self, x: Tensor) -> Tensor:
        total = sum(self._answer(x, view) for view in self.views)
        assert isinstance(total, Tensor)
        return torch.log(total / len(self.views))

    def _answer(self, x: Tensor, view: View) -> Tensor:
        reversed_axes = [axis for axis, turn in ((2, view.flip), (3, view.mirror)) if turn]
        seen = x.flip(reversed_axes)
        seen = (seen.mT if view.transpose else seen).contiguous(memory_format=torch.channels_last)
        answer: Tensor = self.network(seen).float().softmax(dim=1)
        return (answer.mT if view.transpose else answer).flip(reversed_axes)
