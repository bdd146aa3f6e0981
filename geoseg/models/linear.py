"""The smallest network: every pixel decided by its own values (multinomial logistic regression)."""

from __future__ import annotations

from torch import nn


def linear(*, encoder: str = "", bands: int, classes: int) -> nn.Module:
    """Per-pixel linear classifier, a 1x1 convolution.

    A baseline without spatial context, and a network whose answer can be worked out by hand.
    """
    if encoder:
        raise ValueError("a linear classifier has no encoder")
    return nn.Conv2d(bands, classes, kernel_size=1)
