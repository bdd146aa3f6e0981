"""A network of a few layers that is quickly written as ONNX: ``tests.models.stacks:stack``."""

from __future__ import annotations

from torch import nn

NAME = "tests.models.stacks:stack"


def stack(*, encoder: str, bands: int, classes: int, width: int = 12) -> nn.Module:
    """Five convolutions, the inner ones at half the size."""
    return nn.Sequential(
        nn.Conv2d(bands, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1, groups=width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(2 * width, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, classes, 1),
    )
