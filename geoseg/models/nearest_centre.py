"""The nearest of some centres, as a network: what k-means makes of a pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def nearest_centre(*, encoder: str = "", bands: int, classes: int) -> NearestCentre:
    """Nearest of the classes' centres, as k-means finds them (Lloyd 1982)."""
    if encoder:
        raise ValueError("nearest centre has no encoder")
    return NearestCentre(bands=bands, classes=classes)


class NearestCentre(nn.Module):
    """Logits ``-distance^2 / (2 * variance)`` to the centre of each class.

    Their softmax is the posterior of a mixture of normal classes, equally frequent, with this one variance
    in every direction: k-means is the limit in which it decides. Differences are taken before squares, and
    element-wise, so that neither cancellation nor a reduced precision of matrix products can reach it.

    Attributes
    ----------
    centres
        (classes, bands), in the units of the input.
    variance
        (1,) of a band within a class.
    """

    def __init__(self, *, bands: int, classes: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, bands))
        self.variance = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of bands (N, B, H, W)."""
        squares = [(x - centre.view(1, -1, 1, 1)).square().sum(dim=1) for centre in self.centres]
        return torch.stack(squares, dim=1) / (-2 * self.variance)
