"""Learning rate and averaging as functions of the step alone, so that a resumed training needs no state."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from geoseg.training.course import Schedule


def rate_factor(step: int, steps: int, *, schedule: Schedule, warmup: float) -> float:
    """Factor of the learning rate at a step counted from 0.

    ``one_cycle`` (Smith & Topin 2018) rises from 1/25 along a cosine and falls to 1/250000; ``cosine``
    (Loshchilov & Hutter 2017) rises linearly and falls to 0; ``constant`` only rises.
    """
    peak = max(warmup * steps - 1, 0)
    if step < peak:
        return _cosine(1 / 25, 1.0, step / peak) if schedule == "one_cycle" else (step + 1) / (peak + 1)
    if schedule == "constant":
        return 1.0
    done = (step - peak) / max(steps - 1 - peak, 1)
    return _cosine(1.0, 4e-6 if schedule == "one_cycle" else 0.0, min(done, 1.0))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def average_into(averages: Iterable[Tensor], values: Iterable[Tensor], *, step: int, decay: float) -> None:
    """Move running averages of weights and buffers towards their values.

    In the first steps the average forgets faster; the weights at random would otherwise stay in it for long.
    """
    weight = 1 - min(decay, (1 + step) / (10 + step)) if decay else 1.0
    for average, value in zip(averages, values, strict=True):
        if average.is_floating_point():
            average.lerp_(value, weight)
        else:
            average.copy_(value)
