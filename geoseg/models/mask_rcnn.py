"""Mask R-CNN of torchvision's parts over any encoder, for any number of bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, masks_to_boxes
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from geoseg.models.object_labels import ObjectLabels
from geoseg.models.smp import new_encoder, rest_norms

_LEVELS = ("0", "1", "2", "3")  # strides 4, 8, 16, 32
_RATIOS = (0.5, 1.0, 2.0)
_POOLED, _MASK = 7, 14  # sides of what the heads see of a box, torchvision's


def mask_rcnn(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Mask R-CNN (He et al. 2017, arXiv 1703.06870).

    See `MaskRcnn`.
    """
    return MaskRcnn(encoder=encoder, bands=bands, classes=classes, **arguments)


class MaskRcnn(nn.Module):
    """Feature pyramid, proposals, and heads for box, class and mask; torchvision's, without its transform.

    Tiles come normalised and of one size, so that nothing is resized; masks stay as large as their boxes.

    Parameters
    ----------
    channels
        Width of the feature pyramid and of the heads for masks.
    hidden
        Width of the head for boxes.
    anchors
        Sides in pixels that are looked for, one for each of five levels, from fine to coarse.
    detections
        Most objects of a tile.
    freeze_norms
        Leave the encoder's batch norms as they are loaded; for pretrained encoders and small batches.
    """

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        channels: int = 96,
        hidden: int = 512,
        anchors: Sequence[float] = (12, 24, 48, 96, 192),
        detections: int = 500,
        freeze_norms: bool = False,
    ) -> None:
        super().__init__()

        if len(anchors) != len(_LEVELS) + 1:
            raise ValueError(f"anchors are {len(_LEVELS) + 1} sides in pixels, found {list(anchors)}")
        self.encoder: nn.Module = new_encoder(encoder, bands)
        widths = list(self.encoder.out_channels)[-len(_LEVELS) :]
        self.pyramid = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())
        self.proposals = _proposals(channels, anchors)
        self.heads = _heads(channels, hidden, classes + 1, detections)
        self._frozen = freeze_norms

    def train(self, mode: bool = True) -> Self:
        """Switch to training; frozen norms stay as they are."""
        super().train(mode)
        if self._frozen:
            rest_norms(self.encoder)
        return self

    def forward(
        self, x: Tensor, objects: Sequence[ObjectLabels] | None = None
    ) -> list[dict[str, Any]] | dict[str, Tensor]:
        """Detections of each tile (N, B, H, W) in evaluation, torchvision's losses in training."""
        features = self.features(x)
        return self.detections(x, features) if objects is None else self.losses(x, features, objects)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The pyramid's levels, from fine to coarse."""
        found: dict[str, Tensor] = self.pyramid(
            dict(zip(_LEVELS, self.encoder(x)[-len(_LEVELS) :], strict=True))
        )
        return found

    def detections(self, x: Tensor, features: dict[str, Tensor]) -> list[dict[str, Any]]:
        """Detections of each tile, of features that are there."""
        return [_detections(one) for one in self._pass(x, features, None)[0]]

    def losses(
        self, x: Tensor, features: dict[str, Tensor], objects: Sequence[ObjectLabels]
    ) -> dict[str, Tensor]:
        """Losses of torchvision by name, of features that are there."""
        return self._pass(x, features, [_target(o) for o in objects])[1]

    def _pass(
        self, x: Tensor, features: dict[str, Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """What the heads find in each tile, and their losses where there are targets."""
        sizes = [(int(x.shape[-2]), int(x.shape[-1]))] * len(x)
        with torch.autocast(x.device.type, enabled=False):  # boxes in bfloat16 would be off by whole pixels
            features = {k: v.float() for k, v in features.items()}
            boxes, first = self.proposals(ImageList(x, sizes), features, targets)
            found, second = self.heads(features, boxes, sizes, targets)
        return found, {**first, **second}


def _proposals(channels: int, anchors: Sequence[float]) -> RegionProposalNetwork:
    generator = AnchorGenerator(tuple((a,) for a in anchors), (_RATIOS,) * len(anchors))
    return RegionProposalNetwork(
        generator,
        RPNHead(channels, len(_RATIOS)),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 2000},
        post_nms_top_n={"training": 1000, "testing": 1000},
        nms_thresh=0.7,
    )


def _heads(channels: int, hidden: int, classes: int, detections: int) -> RoIHeads:
    return RoIHeads(
        MultiScaleRoIAlign(list(_LEVELS), _POOLED, sampling_ratio=2),
        TwoMLPHead(channels * _POOLED**2, hidden),
        FastRCNNPredictor(hidden, classes),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=256,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=detections,
        mask_roi_pool=MultiScaleRoIAlign(list(_LEVELS), _MASK, sampling_ratio=2),
        mask_head=MaskRCNNHeads(channels, [channels] * 4, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, classes),
    )


def _target(objects: ObjectLabels) -> dict[str, Tensor]:
    """A crop's objects as torchvision wants them; class 0 is its background."""
    masks, classes = objects.masks()
    boxes = masks_to_boxes(masks)
    boxes[:, 2:] += 1  # it names the last pixel, boxes end behind it
    return {"boxes": boxes.float(), "labels": classes + 1, "masks": masks.to(torch.uint8)}


def _detections(found: dict[str, Tensor]) -> dict[str, Any]:
    boxes = torch.stack(
        [found["boxes"][:, i].floor() if i < 2 else found["boxes"][:, i].ceil() for i in (1, 0, 3, 2)], dim=1
    ).long()
    masks = [
        _paste(mask[0], box, place)
        for mask, box, place in zip(found["masks"], found["boxes"], boxes.tolist(), strict=True)
    ]
    return {"scores": found["scores"], "classes": found["labels"] - 1, "boxes": boxes, "masks": masks}


def _paste(mask: Tensor, box: Tensor, place: Sequence[int]) -> Tensor:
    """Probabilities (h, w) in the pixels of `place`, of a mask (M, M) that fills `box` (x, y, x, y)."""
    row, col, row_end, col_end = place
    x = (torch.arange(col, col_end, device=mask.device) + 0.5 - box[0]) / (box[2] - box[0])
    y = (torch.arange(row, row_end, device=mask.device) + 0.5 - box[1]) / (box[3] - box[1])
    at = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1) * 2 - 1
    values: Tensor = grid_sample(mask[None, None], at[None].to(mask.dtype), align_corners=False)
    return values[0, 0]
