"""Another light over a scene: what a training draws at random, and what finished models are judged under."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

_MEAN = 1e-4
"""Standard deviations from it: what rounding leaves of zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What light is measured against: normalised values, (B, 1, 1) each.

    Attributes
    ----------
    zero
        Raw 0, around which a gain turns.
    level
        The scene's own mean, around which contrast and gamma turn.
    dark
        What its darkest pixels hold above raw 0: above all the air's own light.
    low, high
        Ends of the range that the model takes; what would lie outside is cut off, as a sensor does.
    """

    zero: Tensor
    level: Tensor
    dark: Tensor
    low: Tensor
    high: Tensor

    def chunk(self, parts: int) -> list[Frame]:
        """Frames of equally many bands each."""
        cut = (v.chunk(parts) for v in (self.zero, self.level, self.dark, self.low, self.high))
        names = ("zero", "level", "dark", "low", "high")
        return [Frame(**dict(zip(names, own, strict=True))) for own in zip(*cut, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """Factors for all bands, or (B, 1, 1) tensors of them.

    Attributes
    ----------
    clear
        Share of the scene's darkest values that is taken from all of it first, as where the air is corrected
        for (dark object subtraction, Chavez 1988, doi 10.1016/0034-4257(88)90019-3).
    contrast, gamma
        Factor of, and exponent to, what a value is apart from the scene's level; 1 leaves it as it is.
    gain
        Factor around raw zero.
    haze
        Share of a bright, even light, two deviations above the mean of the training.
    """

    clear: float | Tensor = 0.0
    contrast: float | Tensor = 1.0
    gamma: float | Tensor = 1.0
    gain: float | Tensor = 1.0
    haze: float | Tensor = 0.0

    def over(self, x: Tensor, frame: Frame) -> Tensor:
        """Normalised values (B, h, w) in this light.

        Contrast and gain together are any linear stretch of a sensor that keeps the order of values.
        """
        air = frame.dark * self.clear
        level = frame.level - frame.zero - air
        value = _power(x - frame.zero - air, level, torch.as_tensor(self.gamma))
        value = (level + (value - level) * self.contrast) * self.gain + frame.zero
        value = value * (1 - self.haze) + 2.0 * self.haze
        return torch.minimum(torch.maximum(value, frame.low), frame.high)


def has_data(x: Tensor) -> Tensor:
    """Where (h, w) there are normalised values (B, h, w): without, all bands hold the training's mean."""
    return ~(x.abs() < _MEAN).all(dim=0)


def where_data(before: Tensor, after: Tensor) -> Tensor:
    """Normalised values (B, h, w) `after` a change, but where there are no data: there they stay the mean.

    So it is in any light: in use, too, they are filled when the light is what it is.
    """
    return torch.where(has_data(before), after, before)


def _power(value: Tensor, level: Tensor, gamma: Tensor) -> Tensor:
    """``level * (value / level) ** gamma``; a value across zero from its level, or a level of zero, stays."""
    share = value / level
    return torch.where((share > 0) & (level != 0), level * share.clamp(min=0) ** gamma, value)


LIGHTS = tuple(
    Light(contrast=c, gamma=g, gain=e, haze=h)
    for c, g, e, h in product((0.6, 1.6), (0.8, 1.25), (0.7, 1.4), (0.0, 0.15))
)
"""The sixteen lights that every trained model is judged under."""
