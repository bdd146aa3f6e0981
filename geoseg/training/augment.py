"""Random changes of a crop, on tensors with any number of bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from geoseg.training.job import Augmentation
from geoseg.training.light import Frame, Light, where_data
from geoseg.training.targets import COPY

_HAZE_CELLS = 4
_BRIGHTEST = 3.0
"""Times that clearer air may brighten a scene at most: of a dark forest it leaves hardly anything."""


def resize(pixels: Tensor, layer: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Crop (B, h, w) and its layer (h, w) brought to `side`: bilinear with antialiasing, and nearest."""
    if layer.shape == (side, side):
        return pixels, layer
    small = resized(pixels, side)
    exact = layer if layer.dtype == torch.uint8 else layer.double()  # of integers torch resizes bytes alone
    return small, interpolate(exact[None, None], (side, side), mode="nearest-exact")[0, 0].to(layer.dtype)


def resized(pixels: Tensor, side: int) -> Tensor:
    """Crop (B, h, w) brought to `side`: bilinear with antialiasing."""
    if pixels.shape[1:] == (side, side):
        return pixels
    return interpolate(pixels[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]


def paste(
    x: Tensor, layer: Tensor, objects: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Crop (B, S, S) and its layer (S, S) with objects of its own turned views laid over it.

    Parameters
    ----------
    objects
        Numbers in the layer of what may be laid; copies by k quarter turns are number + k * `COPY`.
    share
        Probability of each, in each of the three turns.
    """
    pixels, numbers = x, layer
    for turn in (1, 2, 3):
        chosen = objects[torch.from_numpy(rng.random(len(objects)) < share)]
        seen = torch.rot90(layer, turn, (0, 1))
        over = torch.isin(seen, chosen)
        pixels = torch.where(over, torch.rot90(x, turn, (1, 2)), pixels)
        numbers = torch.where(over, seen + turn * COPY, numbers)
    return pixels, numbers


def augment(
    x: Tensor,
    layer: Tensor,
    how: Augmentation,
    rng: np.random.Generator,
    *,
    frame: Frame,
    sensors: Sequence[Sequence[int]] = (),
    stored: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[Tensor, Tensor]:
    """Crop (B, S, S) of normalised values and its layer (S, S), changed at random.

    Parameters
    ----------
    x, layer
        Band values minus mean over standard deviation; what is taught, as whole numbers.
    how
        Strengths.
    rng
        The only source of chance.
    frame
        The scene's level and range.
    sensors
        Positions of the bands that come together or not at all.
    stored
        What a file would hold of values in another light: what is dim or flat loses its finest shades, as it
        will in use.
    """
    if how.flips:
        turns, mirror = int(rng.integers(4)), bool(rng.random() < 0.5)
        x, layer = torch.rot90(x, turns, (1, 2)), torch.rot90(layer, turns, (0, 1))
        if mirror:
            x, layer = x.flip(2), layer.flip(1)
    dates = zip(x.chunk(how.dates), frame.chunk(how.dates), strict=True)
    lit = torch.cat([_light(one, how, rng, own) for one, own in dates])
    if how.changes_light:
        x = where_data(x, stored(lit))
    if how.drop_band:
        x = torch.cat([_without_bands(one, how.drop_band, rng) for one in x.chunk(how.dates)])
    if sensors:
        x = _without_some(x, sensors, how.sensor_odds, rng)
    return x.contiguous(), layer.contiguous()


def _without_some(
    x: Tensor, sensors: Sequence[Sequence[int]], odds: float, rng: np.random.Generator
) -> Tensor:
    """The crop with sensors taken away at random: 0, as where a scene lacks them; never all bands."""
    gone = rng.random(len(sensors)) < odds
    if gone.all() and sum(map(len, sensors)) == len(x):
        gone[rng.integers(len(sensors))] = False
    x = x.clone()
    for number in np.flatnonzero(gone).tolist():
        x[list(sensors[number])] = 0
    return x


def _light(x: Tensor, how: Augmentation, rng: np.random.Generator, frame: Frame) -> Tensor:
    """The bands of one date, with the values changed and the place left."""
    bands = x.shape[0]
    drawn = {
        name: _both(rng, bands, strength, own).exp()
        for name, strength, own in (
            ("contrast", how.contrast, 0.2),
            ("gamma", how.gamma, 0.2),
            ("gain", how.gain, 0.4),
        )
        if strength
    }
    if how.tint:
        drawn["gain"] = drawn.get("gain", 1.0) * _column(rng.uniform(-how.tint, how.tint, bands)).exp()
    if how.clear:
        drawn |= _cleared(how.clear, frame, rng, drawn.get("gain", 1.0))
    veil = {"haze": _veil(x, how.haze, rng)} if how.haze else {}
    if drawn or veil:
        x = Light(**drawn, **veil).over(x, frame)
    if how.offset:
        x = x + _both(rng, bands, how.offset, 0.4)
    if how.noise:
        sigma = float(rng.uniform(0, how.noise))
        x = x + sigma * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
    return x


def _without_bands(x: Tensor, odds: float, rng: np.random.Generator) -> Tensor:
    """The bands of one date, each replaced by its mean with a probability; never all."""
    bands = len(x)
    if bands == 1:
        return x
    dropped = rng.random(bands) < odds
    if dropped.all():
        dropped[rng.integers(bands)] = False
    return x * torch.from_numpy(~dropped).float().view(-1, 1, 1)


def _cleared(strength: float, frame: Frame, rng: np.random.Generator, gain: Tensor | float) -> dict[str, Any]:
    """Clearer air in half of the draws, and all bands brighter: at most as they were, or by a few times."""
    share = max(0.0, float(rng.uniform(-strength, strength)))
    level = frame.level - frame.zero
    left = (level - share * frame.dark).mean() / level.mean()
    brighter = float(rng.uniform(0, 1)) * -left.clamp(min=1 / _BRIGHTEST).log()
    return {"clear": share, "gain": gain * brighter.exp()}


def _both(rng: np.random.Generator, bands: int, strength: float, own: float) -> Tensor:
    """One draw for all bands plus one for each, `own` times as strong, (B, 1, 1)."""
    return _column(rng.uniform(-strength, strength) + rng.uniform(-own * strength, own * strength, bands))


def _column(values: NDArray[np.float64]) -> Tensor:
    """Values of the bands, (B, 1, 1)."""
    return torch.from_numpy(values.astype(np.float32)).view(-1, 1, 1)


def _veil(x: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Share (1, h, w) of haze that varies smoothly over the crop."""
    cells = rng.random((1, 1, _HAZE_CELLS, _HAZE_CELLS), np.float32)
    share = torch.from_numpy(cells) * float(rng.uniform(0, strength))
    return interpolate(share, x.shape[1:], mode="bicubic", align_corners=False)[0].clamp(0, 1)
