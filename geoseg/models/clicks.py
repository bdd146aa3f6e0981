"""The click network: an image, where somebody clicked and the answer before, to one mask of any object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.models.odd_sizes import cut, pad
from geoseg.models.prompt import Prompt
from geoseg.models.smp import new_encoder

GUIDES = 3
"""Planes beside the image: discs of points inside, discs of points beside, and the mask before or a box."""

_LIKENESS = 2  # to what was clicked as inside, and as outside
_RADIUS = 5


def clicks(*, encoder: str, bands: int, classes: int, **arguments: object) -> nn.Module:
    """U-Net guided by clicks and the mask before (after Sofiiuk et al. 2021, arXiv 2102.06583).

    See `Clicks`; `classes` has to be 1, since the mask is of any object.
    """
    if classes != 1:
        raise ValueError(f"a click network answers with one mask, found {classes} classes")
    return Clicks(encoder=encoder, bands=bands, **arguments)  # type: ignore[arg-type]


class Clicks(nn.Module):
    """Features of an image by an encoder, decoded with guides at every level to one logit a pixel.

    The paper's network hands the guides to the encoder; here they join its features at every level of the
    decoder, so that an image is encoded once however many passes answer it. With them goes how alike each
    pixel's feature is to those clicked as inside and as outside (cosines). A `PromptNetwork`.

    Parameters
    ----------
    bands
        Of the image.
    decoder_channels
        Widths of the decoder, from the coarsest to the finest, which has half the image's resolution.
    side
        Of the window in which it answers a prompt, in pixels.
    """

    centred = True

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        decoder_channels: Sequence[int] = (96, 48, 32, 16),
        side: int = 256,
    ) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

        depth = len(decoder_channels)
        self.side = side
        self.encoder: nn.Module = new_encoder(encoder, bands, depth=depth + 1)
        self.decoder = UnetDecoder(
            encoder_channels=[width + GUIDES + _LIKENESS for width in self.encoder.out_channels],
            decoder_channels=list(decoder_channels),
            n_blocks=depth,
        )
        self.classify = nn.Conv2d(decoder_channels[-1], 1, 3, padding=1)

    def forward(self, x: Tensor, guides: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of images (N, bands, H, W) and their guides (N, GUIDES, H, W), of any size."""
        return self.decode(self.embed(x), guides)

    def embed(self, x: Tensor) -> list[Tensor]:
        """Features of images (N, bands, H, W) at every level."""
        features: list[Tensor] = self.encoder(pad(x))
        return features

    def decode(self, features: Sequence[Tensor], guides: Tensor) -> Tensor:
        """Logits (N, 1, H, W) of what `embed` made of the images, and their guides (N, GUIDES, H, W)."""
        whole = pad(guides)
        guided = [features[0], *(_guided(feature, whole) for feature in features[1:])]
        logits = self.classify(self.decoder(guided))
        logits = F.interpolate(logits, whole.shape[2:], mode="bilinear", align_corners=False)
        return cut(logits, guides)

    def answer(self, features: Sequence[Tensor], prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor | None]:
        """(probabilities (N, side, side), None) of N images with a prompt each.

        Points are answered in two passes, of which the second sees the first one's mask, as those of the
        training did. It would see nothing of a box any more: a box alone is answered in one, within it.
        """
        side = int(features[0].shape[-1])
        guides = torch.stack([guides_of(prompt, side) for prompt in prompts]).to(features[0].device)
        first = self.decode(features, guides)[:, 0].sigmoid()
        second = self.decode(features, torch.cat((guides[:, :2], first[:, None]), dim=1))[:, 0].sigmoid()
        pointed = torch.tensor([len(prompt.points) > 0 for prompt in prompts], device=first.device)
        return torch.where(pointed[:, None, None], second, first * guides[:, 2]), None


def guides_of(prompt: Prompt, side: int) -> Tensor:
    """(GUIDES, side, side) float: discs of the points, and the box filled."""
    planes = torch.zeros((GUIDES, side, side))
    at = torch.arange(side)
    for (row, col), inside in zip(prompt.points.tolist(), prompt.inside.tolist(), strict=True):
        near = (at[:, None] - row) ** 2 + (at[None, :] - col) ** 2 <= _RADIUS * _RADIUS
        planes[0 if inside else 1][near] = 1
    if prompt.box is not None:
        row, col, row_end, col_end = (max(end, 0) for end in prompt.box)
        planes[2, row:row_end, col:col_end] = 1
    return planes


def _guided(feature: Tensor, guides: Tensor) -> Tensor:
    """A feature with the guides at its resolution, and its likeness to what is clicked."""
    size = (int(feature.shape[2]), int(feature.shape[3]))
    shares = F.adaptive_avg_pool2d(guides, size)
    discs = F.adaptive_max_pool2d(guides[:, :2], size)
    inside, outside, before = shares.unbind(dim=1)
    clicked = inside.flatten(1).sum(dim=1) > 0
    inside = torch.where(clicked[:, None, None], inside, before)  # a box alone stands for clicks
    unit = F.normalize(feature, dim=1)
    likeness = [_likeness(unit, weight) for weight in (inside, outside)]
    return torch.cat((feature, discs, before[:, None], *likeness), dim=1)


def _likeness(unit: Tensor, weight: Tensor) -> Tensor:
    """Cosines (N, 1, h, w) of each feature to the weighted mean of them; 0 where nothing has weight."""
    mean = torch.einsum("nchw,nhw->nc", unit, weight)
    return torch.einsum("nchw,nc->nhw", unit, F.normalize(mean, dim=1))[:, None]
