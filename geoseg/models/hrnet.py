"""HRNetV2 heads, plain and with object-contextual representations, over timm's high-resolution networks."""

from __future__ import annotations

from typing import Literal, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.models.odd_sizes import cut, pad


def hrnetv2(*, encoder: str, bands: int, classes: int, dropout: float = 0.0) -> nn.Module:
    """HRNetV2 (Wang et al. 2020, arXiv 1908.07919).

    Parameters
    ----------
    encoder
        One of timm's ``hrnet_*``.
    dropout
        Share of the concatenated channels that training leaves out.
    """
    return HRNetV2(encoder=encoder, bands=bands, classes=classes, dropout=dropout)


def hrnetv2_ocr(
    *,
    encoder: str,
    bands: int,
    classes: int,
    mid_channels: int = 512,
    key_channels: int = 256,
    dropout: float = 0.05,
) -> nn.Module:
    """HRNetV2 with object-contextual representations (Yuan et al. 2020, arXiv 1909.11065).

    Parameters
    ----------
    encoder
        One of timm's ``hrnet_*``.
    mid_channels, key_channels
        Width of the pixel representations and of the keys of the relation; the paper's by default.
    dropout
        Share of the augmented representation's channels that training leaves out.
    """
    return HRNetV2OCR(
        encoder=encoder,
        bands=bands,
        classes=classes,
        mid_channels=mid_channels,
        key_channels=key_channels,
        dropout=dropout,
    )


class HRNetV2(nn.Module):
    """Four resolutions kept to the end, upsampled to the finest, concatenated and classified per pixel."""

    def __init__(self, *, encoder: str, bands: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, channels = _branches(encoder, bands)
        self.head = nn.Sequential(_block(channels, channels), nn.Dropout2d(dropout))
        self.classify = nn.Conv2d(channels, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of (N, C, H, W) with H and W of any size."""
        features = _concatenate(self.encoder(pad(x)))
        return _resize(self.classify(self.head(features)), x)


class HRNetV2OCR(nn.Module):
    """HRNetV2 whose pixels are augmented by what the regions of each class look like in the same tile.

    Attributes
    ----------
    auxiliary_weight
        Weight of the auxiliary logits in a training loss, from the paper; their own logits are what the
        regions are made of. A trainer that finds this attribute calls ``network(x, auxiliary=True)``.
    """

    auxiliary_weight = 0.4

    def __init__(
        self, *, encoder: str, bands: int, classes: int, mid_channels: int, key_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.encoder, channels = _branches(encoder, bands)
        self.regions = nn.Sequential(_block(channels, channels), nn.Conv2d(channels, classes, 1))
        self.pixels = _block(channels, mid_channels, side=3)
        self.relation = Relation(mid_channels, key_channels)
        self.augment = nn.Sequential(_block(2 * mid_channels, mid_channels), nn.Dropout2d(dropout))
        self.classify = nn.Conv2d(mid_channels, classes, 1)

    @overload
    def forward(self, x: Tensor, *, auxiliary: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, *, auxiliary: Literal[True]) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, *, auxiliary: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (N, K, H, W) of (N, C, H, W) with H and W of any size; with `auxiliary` the regions' too."""
        features = _concatenate(self.encoder(pad(x)))
        coarse, pixels = self.regions(features), self.pixels(features)
        context = self.relation(pixels, describe_regions(coarse, pixels))
        logits = self.classify(self.augment(torch.cat((context, pixels), dim=1)))
        return (_resize(logits, x), _resize(coarse, x)) if auxiliary else _resize(logits, x)


def describe_regions(coarse: Tensor, pixels: Tensor) -> Tensor:
    """Representation (N, D, K, 1) of the soft region of every class.

    A region is the softmax of its class's logits over all pixels of the tile; its representation is the mean
    of the pixels' representations with those weights (Yuan et al. 2020, equation 2).

    Parameters
    ----------
    coarse
        Logits (N, K, h, w).
    pixels
        Representations (N, D, h, w).
    """
    weights = torch.softmax(coarse.flatten(2), dim=2)
    return torch.bmm(pixels.flatten(2), weights.transpose(1, 2)).unsqueeze(3)


class Relation(nn.Module):
    """Attention from pixels to regions (Yuan et al. 2020, equations 3 to 5)."""

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.query = nn.Sequential(_block(channels, key_channels), _block(key_channels, key_channels))
        self.key = nn.Sequential(_block(channels, key_channels), _block(key_channels, key_channels))
        self.value = _block(channels, key_channels)
        self.widen = _block(key_channels, channels)
        self._scale = key_channels**-0.5

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Context (N, D, h, w) of every pixel: values of the regions, weighted by likeness to the pixel."""
        query, key, value = (
            part(x).flatten(2)
            for part, x in ((self.query, pixels), (self.key, regions), (self.value, regions))
        )
        weights = torch.softmax(torch.bmm(query.transpose(1, 2), key) * self._scale, dim=2)
        context = torch.bmm(value, weights.transpose(1, 2))
        wide: Tensor = self.widen(context.reshape(*context.shape[:2], *pixels.shape[2:]))
        return wide


def _branches(encoder: str, bands: int) -> tuple[nn.Module, int]:
    """The network that gives the four resolutions, and their channels together."""
    import timm

    name = encoder.removeprefix("tu-")
    known = timm.list_models("hrnet_*")
    if name not in known:
        raise ValueError(f"expected one of {', '.join(known)}")
    network: nn.Module = timm.create_model(
        name,
        pretrained=False,
        features_only=True,
        feature_location="",  # the branches themselves, before the classifier's widening
        out_indices=(1, 2, 3, 4),
        in_chans=bands,
    )
    return network, sum(network.feature_info.channels())  # type: ignore[union-attr, operator]


def _block(taken: int, given: int, *, side: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(taken, given, side, padding=side // 2, bias=False), nn.BatchNorm2d(given), nn.ReLU()
    )


def _concatenate(branches: list[Tensor]) -> Tensor:
    finest = branches[0]
    others = [
        F.interpolate(b, size=finest.shape[2:], mode="bilinear", align_corners=False) for b in branches[1:]
    ]
    return torch.cat((finest, *others), dim=1)


def _resize(logits: Tensor, x: Tensor) -> Tensor:
    """Logits at the size of the image: four times larger, and without what was padded."""
    return cut(F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False), x)
