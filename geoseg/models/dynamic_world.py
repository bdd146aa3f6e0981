"""The land-cover network of Dynamic World: two resolutions, separable blocks, light put on a logarithm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

_DIM = 50.0
"""Factor in the logarithm of reflectance, 0.005 of reflectance x 10000."""

_STEM, _SKIP, _WIDTHS = 64, 48, (96, 144, 144)
_SHORTEST = 1e-12  # of the square of a pixel's vector


def dynamic_world(
    *,
    encoder: str = "",
    bands: int,
    classes: int,
    shift: Sequence[float] | None = None,
    scale: Sequence[float] | None = None,
) -> nn.Module:
    """Dynamic World's land-cover network (Brown et al. 2022).

    It takes reflectance and gives, of each band, ``sigmoid(5 (ln(50 x + 1) - shift) / scale - 1)`` to its
    convolutions. Where a side is odd, the halved image is stretched to it and with it what is found: tiles
    of even sides and a whole scene of odd ones differ by that.

    Parameters
    ----------
    encoder
        Of no meaning: it has none.
    shift, scale
        One number per band; 0 and 1 where not said.
    """
    constants = (shift or [0.0] * bands, scale or [1.0] * bands)
    if any(len(numbers) != bands for numbers in constants):
        raise ValueError(f"shift and scale are one number per band, {bands} of them")
    return _DynamicWorld(bands, classes, *constants)


class _DynamicWorld(nn.Module):
    def __init__(self, bands: int, classes: int, shift: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.light = _Light(shift, scale)
        self.stem = _unit(bands, _STEM, side=3)
        self.halve = _Halve(_STEM)
        self.skip = nn.Sequential(_unit(_STEM, _SKIP), _depthwise(_SKIP))
        self.deep = nn.Sequential(_Block(_STEM, first), _Block(first, second))
        self.join = _Block(second + _SKIP, third)
        self.head = nn.Conv2d(third, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of reflectance (N, C, H, W)."""
        half = self.halve(self.stem(self.light(x)))
        features = self.join(torch.cat([self.deep(half), self.skip(half)], dim=1))
        whole = F.interpolate(features, size=x.shape[2:], mode="bilinear", align_corners=False)
        length = whole.square().sum(dim=1, keepdim=True).clamp_min(_SHORTEST).rsqrt()
        logits: Tensor = self.head(whole * length)
        return logits


class _Light(nn.Module):
    """Reflectance on a logarithm, each band put between 0 and 1 by constants that are not learnt."""

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        for name, numbers in (("shift", shift), ("scale", scale)):
            constant = torch.tensor(numbers, dtype=torch.float32)[:, None, None]
            self.register_buffer(name, constant, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        light = torch.log(x.clamp_min(0.0) * _DIM + 1.0)
        return torch.sigmoid(5.0 * (light - self.shift) / self.scale - 1.0)


class _Block(nn.Module):
    """Three times a pixel's own mixture and a look around, beside one mixture; their sum."""

    def __init__(self, given: int, wide: int) -> None:
        super().__init__()
        widths = (given, wide, wide)
        self.path = nn.Sequential(*(part for n in widths for part in (_unit(n, wide), _depthwise(wide))))
        self.beside = _unit(given, wide)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.path(x) + self.beside(x)
        return total


class _Halve(nn.Module):
    """Half the size: bilinear with antialiasing, weights 1 3 3 1, none beyond the edge."""

    _kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        weights = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("_kernel", torch.outer(weights, weights)[None, None] / 64, persistent=False)
        self._channels = channels

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 2 or x.shape[3] % 2:  # stretched a little, as the original does; tiles are even
            half = (x.shape[2] // 2, x.shape[3] // 2)
            return F.interpolate(x, size=half, mode="bilinear", antialias=True, align_corners=False)
        kernel = self._kernel.expand(self._channels, 1, 4, 4)
        inside = F.conv2d(torch.ones_like(x[:1, :1]), self._kernel, stride=2, padding=1)
        return F.conv2d(x, kernel, stride=2, padding=1, groups=self._channels) / inside


def _unit(given: int, wide: int, *, side: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(given, wide, side, padding=side // 2, groups=groups)
    return nn.Sequential(convolution, nn.BatchNorm2d(wide, eps=1e-3), nn.Mish())


def _depthwise(channels: int) -> nn.Sequential:
    return _unit(channels, channels, side=3, groups=channels)
