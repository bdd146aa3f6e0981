"""Fully convolutional networks: class scores at strides 32, 16 and 8, added up on the way to full size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoseg.models.odd_sizes import cut, pad
from geoseg.models.smp import new_encoder


def fcn32s(*, encoder: str, bands: int, classes: int) -> nn.Module:
    """FCN-32s (Long et al. 2015, arXiv 1411.4038)."""
    return FCN(encoder=encoder, bands=bands, classes=classes, finest=32)


def fcn16s(*, encoder: str, bands: int, classes: int) -> nn.Module:
    """FCN-16s (Long et al. 2015, arXiv 1411.4038)."""
    return FCN(encoder=encoder, bands=bands, classes=classes, finest=16)


def fcn8s(*, encoder: str, bands: int, classes: int) -> nn.Module:
    """FCN-8s (Long et al. 2015, arXiv 1411.4038)."""
    return FCN(encoder=encoder, bands=bands, classes=classes, finest=8)


class FCN(nn.Module):
    """Scores of an encoder's last features, refined by the scores of earlier ones.

    The encoder takes the place of the paper's VGG-16. As there, skips start at zero, so that training starts
    from the coarsest prediction, and upsampling starts as bilinear interpolation and is learned, here with
    one filter per class.

    Parameters
    ----------
    finest
        Stride of the earliest features that are used: 32, 16 or 8.
    """

    def __init__(self, *, encoder: str, bands: int, classes: int, finest: int) -> None:
        super().__init__()

        self.encoder: nn.Module = new_encoder(encoder, bands)
        strides = [s for s in (32, 16, 8) if s >= finest]
        channels: list[int] = list(self.encoder.out_channels)
        self.scores = nn.ModuleList(
            nn.Conv2d(width, classes, 1) for _, width in zip(strides, reversed(channels), strict=False)
        )
        for skip in list(self.scores)[1:]:
            for value in skip.parameters():
                nn.init.zeros_(value)
        self.doublings = nn.ModuleList(bilinear_upsampling(classes, 2) for _ in strides[1:])
        self.enlarge = bilinear_upsampling(classes, finest)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of (N, C, H, W), with H and W of any size."""
        features = self.encoder(pad(x))[::-1]
        total: Tensor = self.scores[0](features[0])
        for score, double, feature in zip(list(self.scores)[1:], self.doublings, features[1:], strict=False):
            total = double(total) + score(feature)
        return cut(self.enlarge(total), x)


def bilinear_upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Transposed convolution that enlarges each channel `factor` times, at first by bilinear interpolation.

    The filter is that of Long et al. 2015 (section 3.3): a triangle of `factor` pixels to either side.
    """
    side = 2 * factor
    layer = nn.ConvTranspose2d(
        channels, channels, side, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    distance = (torch.arange(side) - (side - 1) / 2).abs()
    triangle = 1 - distance / factor
    with torch.no_grad():
        layer.weight.copy_(torch.outer(triangle, triangle).expand_as(layer.weight))
    return layer
