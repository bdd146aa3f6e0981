"""Images of any size through networks that halve them five times."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the field's name)

STRIDE = 32


def pad(x: Tensor) -> Tensor:
    """Image (N, C, H, W) with its last row and column repeated until H and W are multiples of `STRIDE`."""
    down, right = (-side % STRIDE for side in x.shape[2:])
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def cut(logits: Tensor, x: Tensor) -> Tensor:
    """Logits without the rows and columns that `pad` added to the image `x`."""
    return logits[..., : x.shape[2], : x.shape[3]]
