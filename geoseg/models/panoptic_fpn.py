"""Panoptic FPN: Mask R-CNN for things, and on the same pyramid a branch that classifies pixels of stuff."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from geoseg.models.mask_rcnn import MaskRcnn
from geoseg.models.object_labels import UNKNOWN, ObjectLabels, things_and_stuff

_WEIGHT = 0.5  # of the branch's loss beside those of objects, the paper's choice
_GROUPS = 32
_LEVELS = 4


def panoptic_fpn(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Panoptic feature pyramid network (Kirillov et al. 2019, arXiv 1901.02446).

    See `PanopticFpn`.
    """
    return PanopticFpn(encoder=encoder, bands=bands, classes=classes, **arguments)


class PanopticFpn(MaskRcnn):
    """Mask R-CNN with a semantic branch over the levels of its pyramid.

    The branch knows the classes of stuff and one more, "a thing", which it is taught where things are; of a
    pixel it gives the likeliest class of stuff, under things too.

    Parameters
    ----------
    things
        Positions of the classes of things in the legend; all others are stuff.
    branch
        Width of the semantic branch.
    arguments
        Of `MaskRcnn`.
    """

    _rank: Tensor

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        things: Sequence[int],
        branch: int = 96,
        channels: int = 96,
        **arguments: Any,
    ) -> None:
        own, stuff = things_and_stuff(things, classes)
        super().__init__(encoder=encoder, bands=bands, classes=len(own), channels=channels, **arguments)
        self.semantic = _SemanticBranch(channels, branch, len(stuff) + 1)
        self._things, self._stuff = own, stuff
        rank = torch.full((UNKNOWN + 1,), UNKNOWN)
        rank[own], rank[stuff] = torch.arange(len(own)), torch.arange(len(stuff))
        self.register_buffer("_rank", rank, persistent=False)  # of a class among those of its kind

    def forward(
        self, x: Tensor, objects: Sequence[ObjectLabels] | None = None
    ) -> list[dict[str, Any]] | dict[str, Tensor]:
        """Detections and stuff of each tile (N, B, H, W) in evaluation, losses in training."""
        features = self.features(x)
        logits = self.semantic(list(features.values())[:_LEVELS]).float()
        if objects is not None:
            own = [replace(o, classes=self._rank[o.classes]) for o in objects]
            return {**self.losses(x, features, own), "semantic": _WEIGHT * self._loss(logits, objects)}
        stuff = torch.tensor(self._stuff, device=x.device)[logits[:, :-1].argmax(dim=1)]
        things = torch.tensor(self._things, device=x.device)
        return [
            {**found, "classes": things[found["classes"]], "stuff": own}
            for found, own in zip(self.detections(x, features), stuff, strict=True)
        ]

    def _loss(self, logits: Tensor, objects: Sequence[ObjectLabels]) -> Tensor:
        """Cross-entropy of classes of stuff and of "a thing", where either is known."""
        truth = torch.stack(
            [torch.full_like(o.ids, UNKNOWN) if o.stuff is None else self._rank[o.stuff] for o in objects]
        )
        truth[torch.stack([o.ids for o in objects]) > 0] = len(self._stuff)
        if not (truth != UNKNOWN).any():
            return logits.sum() * 0.0  # nothing to learn, and no division by nothing
        return cross_entropy(logits, truth, ignore_index=UNKNOWN)


class _SemanticBranch(nn.Module):
    """Every level is brought to a quarter of the tile's size in steps of two; their sum is classified."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                *(_step(channels if n == 0 else width, width, double=level > 0) for n in range(max(level, 1)))
            )
            for level in range(_LEVELS)
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits (N, classes, H, W), of levels with strides 4, 8, 16, 32."""
        joined = torch.stack([part(x) for part, x in zip(self.levels, levels, strict=True)]).sum(dim=0)
        logits: Tensor = interpolate(self.head(joined), scale_factor=4, mode="bilinear", align_corners=False)
        return logits


def _step(channels: int, width: int, *, double: bool) -> nn.Sequential:
    larger = [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)] if double else []
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.GroupNorm(math.gcd(_GROUPS, width), width),
        nn.ReLU(inplace=True),
        *larger,
    )
