"""A spectral index cut by thresholds, as a network: every pixel by its own values."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def spectral_index(*, encoder: str = "", bands: int, classes: int) -> SpectralIndex:
    """Ratio of two sums over the bands, cut by thresholds (Rouse et al. 1974; Otsu 1979)."""
    if encoder:
        raise ValueError("a spectral index has no encoder")
    return SpectralIndex(bands=bands, classes=classes)


class SpectralIndex(nn.Module):
    """Logits of adjacent classes along an index ``(numerator . x + p) / (denominator . x + q)``.

    The log-odds of class k against class k-1 are ``steepness[k] * (index - threshold[k])``, so that with
    ascending thresholds the most probable class is the number of thresholds that the index exceeds (the
    adjacent-categories logit of Goodman 1983). An index equal to a threshold belongs to the lower class.

    Only element-wise arithmetic: a reduced precision of matrix products cannot reach it.

    Attributes
    ----------
    numerator, denominator
        (bands + 1,) weights; the last is the constant.
    thresholds, steepness
        (classes - 1,) each; steepness is positive.
    """

    def __init__(self, *, bands: int, classes: int) -> None:
        super().__init__()
        weights = torch.ones(bands + 1)
        self.numerator = nn.Parameter(weights * torch.linspace(-1, 1, bands + 1))
        self.denominator = nn.Parameter(weights)
        self.thresholds = nn.Parameter(torch.linspace(-0.5, 0.5, classes - 1))
        self.steepness = nn.Parameter(torch.ones(classes - 1))

    def index(self, x: Tensor) -> Tensor:
        """Index (N, H, W) of bands (N, B, H, W); 0 where the denominator is."""
        numerator, denominator = _form(x, self.numerator), _form(x, self.denominator)
        zero = denominator == 0
        value = numerator / torch.where(zero, 1.0, denominator)
        return torch.where(zero, 0.0, value)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W)."""
        value = self.index(x)[:, None]
        steps = (value - self.thresholds.view(1, -1, 1, 1)) * self.steepness.view(1, -1, 1, 1)
        return torch.cat([torch.zeros_like(value), torch.cumsum(steps, dim=1)], dim=1)


def _form(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights[:-1].view(1, -1, 1, 1)).sum(dim=1) + weights[-1]
