"""Random changes of a crop, on tensors with any number of bands."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from geoseg.training.job import Augmentation

_HAZE_CELLS = 4


def resize(pixels: Tensor, classes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Crop (B, h, w) and classes (h, w) brought to `side`: bilinear with antialiasing, and nearest."""
    if classes.shape == (side, side):
        return pixels, classes
    small = interpolate(pixels[None], (side, side), mode="bilinear", antialias=True, align_corners=False)[0]
    return small, interpolate(classes[None, None], (side, side), mode="nearest-exact")[0, 0]


def augment(
    x: Tensor, classes: Tensor, how: Augmentation, rng: np.random.Generator, *, zero: Tensor
) -> tuple[Tensor, Tensor]:
    """Crop (B, S, S) of normalised values and its classes (S, S), changed at random.

    Parameters
    ----------
    x, classes
        Band values minus mean over standard deviation; class positions.
    how
        Strengths.
    rng
        The only source of chance.
    zero
        (B, 1, 1) normalised value of a raw 0: a gain turns around it, as light does.
    """
    if how.flips:
        turns, mirror = int(rng.integers(4)), bool(rng.random() < 0.5)
        x, classes = torch.rot90(x, turns, (1, 2)), torch.rot90(classes, turns, (0, 1))
        if mirror:
            x, classes = x.flip(2), classes.flip(1)
    dates = zip(x.chunk(how.dates), zero.chunk(how.dates), strict=True)
    x = torch.cat([_light(one, how, rng, zero=dark) for one, dark in dates])
    return x.contiguous(), classes.contiguous()


def _light(x: Tensor, how: Augmentation, rng: np.random.Generator, *, zero: Tensor) -> Tensor:
    """The bands of one date, with the values changed and the place left."""
    bands = x.shape[0]
    if how.gain:
        x = zero + (x - zero) * _both(rng, bands, how.gain).exp()
    if how.offset:
        x = x + _both(rng, bands, how.offset)
    if how.haze:
        x = _veil(x, how.haze, rng)
    if how.noise:
        sigma = float(rng.uniform(0, how.noise))
        x = x + sigma * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
    if how.drop_band and bands > 1:
        dropped = rng.random(bands) < how.drop_band
        if dropped.all():
            dropped[rng.integers(bands)] = False
        x = x * torch.from_numpy(~dropped).float().view(-1, 1, 1)
    return x


def _both(rng: np.random.Generator, bands: int, strength: float) -> Tensor:
    """One draw for all bands plus a smaller one for each, (B, 1, 1)."""
    drawn = rng.uniform(-strength, strength) + rng.uniform(-0.4 * strength, 0.4 * strength, bands)
    return torch.from_numpy(drawn.astype(np.float32)).view(-1, 1, 1)


def _veil(x: Tensor, strength: float, rng: np.random.Generator) -> Tensor:
    """Mix with a bright, even light (two deviations above the mean) by a share that varies smoothly."""
    cells = rng.random((1, 1, _HAZE_CELLS, _HAZE_CELLS), np.float32)
    share = torch.from_numpy(cells) * float(rng.uniform(0, strength))
    share = interpolate(share, x.shape[1:], mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return x * (1 - share) + 2.0 * share
