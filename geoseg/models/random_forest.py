"""A random forest as arrays, walked in torch: no pickle, and the same probabilities as its maker's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Pixels walked at once: one tree's nodes and rows of this length stay in a core's cache, and torch does not
# share out operations this small. A walk is thousands of them, and threads would have to meet after each.
_AT_ONCE = 8192
_LEAST = 1e-12  # probability that no tree gives; its logarithm has to be finite


def random_forest(
    *, encoder: str = "", bands: int, classes: int, nodes: int = 3, depths: Sequence[int] = (1,)
) -> RandomForest:
    """Random forest (Breiman 2001)."""
    if encoder:
        raise ValueError("a random forest has no encoder")
    return RandomForest(bands=bands, classes=classes, nodes=nodes, depths=depths)


class RandomForest(nn.Module):
    """Logarithms of the mean of all trees' class shares.

    The children of a node lie side by side, so that one step of a walk is ``child + (value > threshold)``; a
    leaf is its own child, with an infinite threshold.

    Attributes
    ----------
    feature, child
        (trees, nodes) int32: band that a node asks, and its left child.
    threshold
        (trees, nodes) float32; a value goes left where it is not larger.
    share
        (trees, nodes, classes) share of each class in a node.
    """

    def __init__(self, *, bands: int, classes: int, nodes: int, depths: Sequence[int]) -> None:
        super().__init__()
        trees = len(depths)
        if trees < 1 or nodes < 1 or min(depths) < 0:
            raise ValueError(f"a forest of {trees} trees with {nodes} nodes")
        self.depths = tuple(int(d) for d in depths)
        self.feature: Tensor
        self.child: Tensor
        self.threshold: Tensor
        self.register_buffer("feature", torch.zeros(trees, nodes, dtype=torch.int32))
        self.register_buffer("child", torch.arange(nodes, dtype=torch.int32).repeat(trees, 1))
        self.register_buffer("threshold", torch.full((trees, nodes), torch.finfo(torch.float32).max))
        self.share = nn.Parameter(torch.full((trees, nodes, classes), 1 / classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K, H, W) of bands (N, B, H, W)."""
        if torch.compiler.is_exporting():  # a number of parts that hangs on the batch cannot be written
            return self._shares(x).clamp(min=_LEAST).log()
        rows = max(_AT_ONCE // (x.shape[3] * max(x.shape[0], 1)), 1)
        parts = [self._shares(part) for part in torch.split(x, rows, dim=2)]
        return torch.cat(parts, dim=2).clamp(min=_LEAST).log()

    def _shares(self, x: Tensor) -> Tensor:
        """Mean share (N, K, h, W) of each class."""
        values = x.transpose(0, 1).reshape(x.shape[1], -1)  # (B, pixels)
        pixels = values.shape[1]
        flat, place = values.reshape(-1), torch.arange(pixels, dtype=torch.int32, device=x.device)
        total = torch.zeros(pixels, self.share.shape[2], dtype=torch.float32, device=x.device)
        for tree, depth in enumerate(self.depths):
            first, child, threshold = self.feature[tree] * pixels, self.child[tree], self.threshold[tree]
            node = torch.zeros_like(place)
            for _ in range(depth):
                value = flat.index_select(0, first.index_select(0, node) + place)
                right = value > threshold.index_select(0, node)
                node = child.index_select(0, node) + right.to(torch.int32)
            total = total + self.share[tree].index_select(0, node)
        mean = total / len(self.depths)
        return mean.view(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)
