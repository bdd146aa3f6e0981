"""Scores on objects that the network has not seen, beside what needs no training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from click_network.clicks import Sample, box_of, inner_of, next_click
from click_network.places import Place, Target
from click_network.windows import MEAN, STD, WINDOW, window_of
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb
from torch import Tensor

from geoseg.models.clicks import Clicks
from geoseg.models.contract import InputContract
from geoseg.models.prompt import Prompt
from geoseg.prompts.outline import meant
from geoseg.training.light import LIGHTS, Light
from geoseg.training.statistics import Tone
from geoseg.training.values import Values

Answer = Callable[[Tensor, Prompt], NDArray[np.bool_]]
"""From a normalised window (3, side, side) and what is asked of it to a mask."""
Scores = dict[str, float]
"""Mean intersection over union after ``1``, ``2``, ``3`` clicks and by a ``box``; number of ``objects``."""

_BOXES = 24
"""Objects that are also asked for by a box."""
_LEAST, _MOST = 8, 96
"""Pixels of the longer side of an object that is scored."""
_RADII = (6, 9, 13, 19, 27)
_SCALES = (50, 100, 200, 400, 800)


@torch.no_grad()
def by_network(network: Clicks) -> Answer:
    """The network's answers as `geoseg prompt` gives them: the part that was clicked."""
    network.eval()

    def answer(image: Tensor, prompt: Prompt) -> NDArray[np.bool_]:
        with torch.no_grad():
            probabilities, _ = network.answer(network.embed(image[None]), [prompt])
        return meant((probabilities[0] > 0.5).numpy(), prompt)

    return answer


def by_disc(radius: int) -> Answer:
    """Discs around the points inside, without those around the points beside; a box is filled."""

    def answer(image: Tensor, prompt: Prompt) -> NDArray[np.bool_]:
        side = image.shape[-1]
        return _drawn(prompt, side, lambda row, col: _disc(row, col, radius, side))

    return answer


def by_regions(scale: float) -> Answer:
    """Felzenszwalb's regions that hold the points inside, without those of points beside; a box is filled."""

    def answer(image: Tensor, prompt: Prompt) -> NDArray[np.bool_]:
        regions = felzenszwalb(shown(image), scale=scale, sigma=0.8, min_size=20)
        return _drawn(prompt, image.shape[-1], lambda row, col: regions == regions[row, col])

    return answer


def shown(image: Tensor) -> NDArray[np.float64]:
    """(side, side, 3) of 0 to 1: the window as it was before it was normalised."""
    pixels = image * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    return np.asarray(pixels.clamp(0, 1).numpy().transpose(1, 2, 0), np.float64)


def score_all(network: Clicks, places: Sequence[Place], scale: float, most: int) -> dict[str, Scores]:
    """Scores of the network, and of the best disc and the best regions, chosen on the same objects."""
    objects = list(chosen(places, scale, most))
    network_s = score(by_network(network), objects, scale)
    rivals: Mapping[str, list[Answer]] = {
        "disc": [by_disc(radius) for radius in _RADII],
        "regions": [by_regions(s) for s in _SCALES],
    }
    best = {
        name: max((score(a, objects, scale) for a in answers), key=lambda found: found["1"])
        for name, answers in rivals.items()
    }
    return {"network": network_s, **best}


def score_in_lights(
    network: Clicks, held: Mapping[str, tuple[Sequence[Place], float]], most: int, contract: InputContract
) -> dict[Light, dict[str, float]]:
    """Mean intersection over union after one click by what is held out; as it is first, then in other lights.

    Parameters
    ----------
    held
        Name to places and the scale at which they are seen.
    most
        Objects of each.
    """
    answer = by_network(network)
    return {
        light: {
            name: score(
                answer, list(chosen([relit(p, light, contract) for p in places], scale, most)), scale
            )["1"]
            for name, (places, scale) in held.items()
        }
        for light in (Light(), *LIGHTS)
    }


def relit(place: Place, light: Light, contract: InputContract) -> Place:
    """The place in another light about its own level."""
    values, whole = Values(contract), place.images[0].double().flatten(1).numpy()
    frame = values.frame(Tone(level=whole.mean(axis=1), dark=np.quantile(whole, 0.01, axis=1)))
    mean, std = (torch.tensor(v)[:, None, None] for v in (contract.mean, contract.std))
    lit = (light.over(values.normalised(image.float()), frame) for image in place.images)
    return replace(place, images=[(x * std + mean).round().to(torch.uint8) for x in lit])


def chosen(places: Sequence[Place], scale: float, most: int) -> Iterator[tuple[Place, Target]]:
    """Objects drawn at random of those that are as large as one that is clicked on at this scale."""
    every = [
        (place, target)
        for place in places
        for target in place.targets
        if _LEAST * scale <= _longest(target) <= _MOST * scale
    ]
    for i in np.random.default_rng(1).permutation(len(every))[:most].tolist():
        yield every[i]


def score(answer: Answer, objects: Sequence[tuple[Place, Target]], scale: float) -> Scores:
    """Scores of anything that answers."""
    found: dict[str, list[float]] = {"1": [], "2": [], "3": [], "box": []}
    for number, (place, target) in enumerate(objects):
        sample = clicked(place, target, scale)
        truth = sample.mask.numpy()
        for count in ("1", "2", "3"):
            mask = answer(sample.image, sample.prompt)
            found[count].append(iou(mask, truth))
            sample.points.append(next_click(truth, mask, None))
        sample = boxed(place, target, scale)
        if number < _BOXES and sample.box is not None:
            found["box"].append(iou(answer(sample.image, sample.prompt), sample.mask.numpy()))
    means = {key: round(float(np.mean(values)), 4) if values else 0.0 for key, values in found.items()}
    return {"objects": len(objects), **means}


def clicked(place: Place, target: Target, scale: float) -> Sample:
    """The window around a click in the middle of an object."""
    inner = inner_of(place, target)
    row, col, _ = next_click(inner, np.zeros_like(inner), None)
    centre = target.box[0] + row + 0.5, target.box[1] + col + 0.5
    image, mask = window_of(place, target, centre=centre, scale=scale, side=WINDOW)
    return Sample(image=image, mask=mask, points=[(WINDOW // 2, WINDOW // 2, True)])


def boxed(place: Place, target: Target, scale: float) -> Sample:
    """The window around an object's box, which fills half of it or less."""
    r0, c0, r1, c1 = target.box
    fit = max(_longest(target) / (0.5 * WINDOW), scale)
    image, mask = window_of(place, target, centre=((r0 + r1) / 2, (c0 + c1) / 2), scale=fit, side=WINDOW)
    return Sample(image=image, mask=mask, points=[], box=box_of(mask) if mask.any() else None)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def _longest(target: Target) -> int:
    row, col, row_end, col_end = target.box
    return max(row_end - row, col_end - col)


def _disc(row: int, col: int, radius: int, side: int) -> NDArray[np.bool_]:
    at = np.arange(side)
    return np.asarray((at[:, None] - row) ** 2 + (at[None, :] - col) ** 2 <= radius**2)


def _drawn(prompt: Prompt, side: int, around: Callable[[int, int], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """What lies around points inside and not around points beside; of a box without points all of it."""
    mask = np.zeros((side, side), np.bool_)
    if prompt.box is not None and not len(prompt.points):
        row, col, row_end, col_end = prompt.box
        mask[row:row_end, col:col_end] = True
    order = np.argsort(~prompt.inside, kind="stable")
    for (row, col), inside in zip(prompt.points[order].tolist(), prompt.inside[order].tolist(), strict=True):
        mask = mask | around(row, col) if inside else mask & ~around(row, col)
    return mask
