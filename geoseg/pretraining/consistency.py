"""The loss: a place is to be found again in another crop, among all other places of a batch.

Places are described by the features of the encoder's stages at a point, through a small head for each stage.
The descriptions of one place in the two crops are to be more alike than those of different places:
noise-contrastive estimation (van den Oord et al. 2018, arXiv 1807.03748), point by point (Wang et al. 2021,
arXiv 2011.09157), where geography says which points are the same. A neighbour within a cell of the stage is
neither the same nor another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, grid_sample, normalize

from geoseg.errors import InputError, UsageError
from geoseg.models.smp import new_encoder
from geoseg.training.forward import forward

COLLAPSED = 0.05
"""Spread of an encoder's features below which all places look alike to it."""

_FIRST_STAGE = 2  # of four pixels a side; before, there is the image, and next to no depth
_WIDTH = 128
_TEMPERATURE = 0.2


class Described(nn.Module):
    """An encoder, and a head for each of its stages that describes points of crops.

    Raises
    ------
    UsageError
        No such encoder, or one that does not give five maps.
    """

    def __init__(self, encoder: str, bands: int) -> None:
        super().__init__()
        try:
            self.encoder = new_encoder(encoder, bands)
        except (TypeError, ValueError, KeyError, RuntimeError, AssertionError) as error:
            raise UsageError(f"encoder {encoder!r} cannot be built", why=str(error)) from error
        self.heads = nn.ModuleList(_head(width) for width in self.encoder.out_channels[_FIRST_STAGE:])

    def forward(self, x: Tensor, points: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Of each stage, descriptions and neighbours of points (2 N, P, 2) in crops (2 N, B, S, S).

        Descriptions (2, N P, D) have length 1; neighbours (N P, N P) are those of each among the points of
        the second crops, itself left out.
        """
        return self.described(self.features(x, points), points)

    def features(self, x: Tensor, points: Tensor) -> list[tuple[Tensor, int]]:
        """Of each stage, its features (2 N P, C) at the points, and how many cells a side of it has."""
        stages = self.encoder(x)[_FIRST_STAGE:]
        return [(_at(points, stage.float()), int(stage.shape[-1])) for stage in stages]

    def described(self, features: list[tuple[Tensor, int]], points: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What `forward` gives, of what `features` does."""
        found = []
        for (own, cells), head in zip(features, self.heads, strict=True):
            unit = normalize(head(own).float(), dim=1)
            found.append((unit.reshape(2, -1, unit.shape[1]), _neighbours(points, cells)))
        return found


class Consistency:
    """Loss and figures of `Described`, on one device."""

    def __init__(self, judged: tuple[Tensor, Tensor], device: torch.device, *, autocast: bool) -> None:
        self._judged, self._device, self._autocast = judged, device, autocast

    def loss(self, network: nn.Module, x: Tensor, points: Any) -> Tensor:
        """Mean over the stages."""
        stages = forward(network, x, autocast=self._autocast, points=points.to(self._device))
        return torch.stack([_loss(*stage) for stage in stages]).mean()

    def figures(self, network: nn.Module) -> dict[str, float | None]:
        """``matched`` and ``spread``.

        Matched is the share of points whose nearest in the other crops is themselves or a neighbour, the mean
        of the stages. Spread is the share of the encoder's features that differs from place to place, from 0,
        where all are alike, to 1; of the stage where it is least. Chen & He 2021 (arXiv 2011.10566) look at
        the same in descriptions, which batch norms keep apart here.

        Raises
        ------
        InputError
            The spread is less than `COLLAPSED`.
        """
        x, points = (tensor.to(self._device) for tensor in self._judged)
        # normalised by the batch, as in a step: running statistics take hundreds of steps to mean anything;
        # a copy, whose own they may be
        judged = cast(Described, deepcopy(network).train())
        with torch.no_grad():
            features = judged.features(x, points)
            stages = judged.described(features, points)
        spread = min(spread_of(own) for own, _ in features)
        if spread < COLLAPSED:
            raise InputError(
                "the encoder has collapsed: all places look alike to it",
                why=f"{spread:.1%} of its features differ from place to place",
                hint="a smaller `learning_rate`, a larger `batch`, or scenes of more than one kind of place",
            )
        return {"matched": _matched(stages), "spread": round(spread, 6)}


def spread_of(features: Tensor) -> float:
    """Deviation of features (P, C) over the places, as a share of their length."""
    varying = float(features.var(dim=0, correction=0).sum())
    return math.sqrt(varying / max(float(features.square().mean(dim=0).sum()), 1e-12))


def _at(points: Tensor, stage: Tensor) -> Tensor:
    """Features (2 N P, C) of a stage (2 N, C, h, w) at points (2 N, P, 2), between its cells."""
    found = grid_sample(stage, points[:, None], align_corners=False, padding_mode="border")
    return found[:, :, 0].transpose(1, 2).flatten(0, 1)


def _head(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, 2 * _WIDTH),
        nn.BatchNorm1d(2 * _WIDTH),
        nn.ReLU(),
        nn.Linear(2 * _WIDTH, _WIDTH),
        nn.BatchNorm1d(_WIDTH, affine=False),
    )


def _neighbours(points: Tensor, cells: int) -> Tensor:
    """Which points of the second crops (N P, N P) lie less than a cell of a stage from each other."""
    second = points[len(points) // 2 :]
    near = torch.cdist(second, second) < 2 / cells
    near.diagonal(dim1=1, dim2=2).fill_(False)
    blocks: Tensor = torch.block_diag(*near)  # type: ignore[no-untyped-call]
    return blocks


def _loss(described: Tensor, neighbours: Tensor) -> Tensor:
    one, other = described
    alike = (one @ other.T / _TEMPERATURE).masked_fill(neighbours, -torch.inf)
    same = torch.arange(len(one), device=one.device)
    return (cross_entropy(alike, same) + cross_entropy(alike.T, same)) / 2


def _matched(stages: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean over the stages of the share of points that are found again."""
    shares = []
    for (one, other), neighbours in stages:
        nearest = (one @ other.T).argmax(dim=1)
        same = torch.arange(len(one), device=one.device)
        found = (nearest == same) | neighbours[same, nearest]
        shares.append(float(found.float().mean()))
    return round(sum(shares) / len(shares), 6)
