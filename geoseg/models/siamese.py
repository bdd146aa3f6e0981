"""Change networks: one encoder for two dates, what differs between them, and a U-Net's decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.models.odd_sizes import cut, pad
from geoseg.models.smp import new_encoder

_DECODER = (256, 128, 64, 32, 16)  # the U-Net's of segmentation-models-pytorch


def siamese_diff(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Siamese U-Net on the differences of two dates (Daudt et al. 2018, arXiv 1810.08462).

    The paper's FC-Siam-diff; see `Siamese`.
    """
    return Siamese(encoder=encoder, bands=bands, classes=classes, difference=True, **arguments)


def siamese_conc(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Siamese U-Net on the features of two dates side by side (Daudt et al. 2018, arXiv 1810.08462).

    The paper's FC-Siam-conc; see `Siamese`.
    """
    return Siamese(encoder=encoder, bands=bands, classes=classes, difference=False, **arguments)


class Siamese(nn.Module):
    """Features of both dates by one encoder, combined at every level, then decoded as in a U-Net.

    The bands are those of the first date, then those of the second in the same order. Both dates go through
    the encoder as one batch, so that batch norms see them together.

    Skip connections carry the absolute difference of the two dates' features, or both side by side, as in the
    paper. The decoder of the paper's network (as its authors published it) starts from the second date's
    deepest features, without which absolute differences could not tell clearing from regrowth. Here it starts
    from those and their difference from the first date's (with `difference`), or from both dates' (without).
    The encoder takes the place of the paper's, and with it the depth.

    Parameters
    ----------
    bands
        Of both dates together: an even number.
    difference
        Absolute differences at the skip connections; else both dates side by side.
    decoder_channels
        Widths of the decoder, from the coarsest to the finest; one per level of the encoder (3 to 5).
    """

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        difference: bool,
        decoder_channels: Sequence[int] = _DECODER,
    ) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

        if bands % 2:
            raise ValueError(
                f"two dates have an even number of bands, found {bands}: the first date's, then the second's"
            )
        depth = len(decoder_channels)
        self.encoder: nn.Module = new_encoder(encoder, bands // 2, depth=depth)
        self._difference = difference
        widths: list[int] = list(self.encoder.out_channels)
        skips = widths if difference else [2 * width for width in widths]
        self.decoder = UnetDecoder(
            encoder_channels=[*skips[:-1], 2 * widths[-1]],
            decoder_channels=list(decoder_channels),
            n_blocks=depth,
        )
        self.classify = nn.Conv2d(decoder_channels[-1], classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of both dates' bands (N, 2B, H, W), with H and W of any size."""
        count = x.shape[0]
        both = self.encoder(torch.cat(pad(x).chunk(2, dim=1)))
        dates = [(feature[:count], feature[count:]) for feature in both]
        skips = [self._combine(first, second) for first, second in dates[:-1]]
        first, second = dates[-1]
        start = (first - second).abs() if self._difference else first
        logits: Tensor = self.classify(self.decoder([*skips, torch.cat((start, second), dim=1)]))
        return cut(logits, x)

    def _combine(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs() if self._difference else torch.cat((first, second), dim=1)
