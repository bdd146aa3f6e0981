"""Mask2Former over any encoder, for any number of bands: every query answers with a mask and its class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from geoseg.errors import ResourceError
from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.smp import new_encoder

try:
    from geoseg.models.mask2former_decoder import Mask2FormerDecoder
except ImportError as error:
    raise ResourceError(
        "architecture 'mask2former' needs the library transformers",
        why=str(error),
        hint="pip install 'geoseg[objects]'; all other models of objects work without it",
    ) from None

_LEVELS = 4  # strides 4, 8, 16, 32
_GROUPS = 32
_NONE = -20.0  # logit of a pixel that is certainly not in a mask


def mask2former(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Mask2Former of transformers' parts (Cheng et al. 2022, arXiv 2112.01527).

    See `Mask2Former`.
    """
    return Mask2Former(encoder=encoder, bands=bands, classes=classes, **arguments)


class Mask2Former(nn.Module):
    """An encoder, transformers' pixel decoder of deformable attention, and its decoder of masked attention.

    A query of which the likeliest class of things is not nothing gives an object. Its score is that class's
    probability, times the mean of the mask where it is more than a half. Of stuff a pixel has the class with
    the largest sum over all queries of probability times mask.

    Parameters
    ----------
    things
        Positions of the classes of things in the legend; None for all.
    queries
        Most objects of a tile, classes of stuff included.
    width
        Of both decoders, a multiple of 32.
    pixel_layers, layers
        Of the decoder of pixels, and of that of queries.
    """

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        things: Sequence[int] | None = None,
        queries: int = 100,
        width: int = 128,
        pixel_layers: int = 3,
        layers: int = 4,
    ) -> None:
        super().__init__()

        own = list(range(classes)) if things is None else sorted(things)
        if not own or not set(own) <= set(range(classes)):
            raise ValueError(f"things are some of the positions 0 to {classes - 1}, found {own}")
        if width % _GROUPS:
            raise ValueError(f"width is a multiple of {_GROUPS}, found {width}")
        self.encoder: nn.Module = new_encoder(encoder, bands)
        self.decoder = Mask2FormerDecoder(
            list(self.encoder.out_channels)[-_LEVELS:],
            classes=classes,
            sizes={
                "num_queries": queries,
                "width": width,
                "encoder_layers": pixel_layers,
                "decoder_layers": layers,
            },
        )
        self._things, self._stuff = own, sorted(set(range(classes)) - set(own))

    def forward(
        self, x: Tensor, objects: Sequence[ObjectLabels] | None = None
    ) -> list[dict[str, Any]] | dict[str, Tensor]:
        """Detections of each tile (N, B, H, W) in evaluation, transformers' losses in training."""
        levels = list(self.encoder(x)[-_LEVELS:])
        # places in bfloat16 would be off by whole pixels
        with torch.autocast(x.device.type, enabled=False):
            levels = [level.float() for level in levels]
            if objects is not None:
                return self._losses(levels, objects)
            # a tile by itself: in a batch, sums are taken in another order
            tiles = [self.decoder([level[n : n + 1] for level in levels])[-1] for n in range(len(x))]
            side = int(x.shape[-2]), int(x.shape[-1])
            return [self._found(classes[0].softmax(dim=-1), masks, side) for classes, masks in tiles]

    def _losses(self, levels: list[Tensor], objects: Sequence[ObjectLabels]) -> dict[str, Tensor]:
        masks, classes, unknown = zip(*(_target(o, self._stuff) for o in objects), strict=True)
        answers = []
        for logits, shapes in self.decoder(levels):
            # what is not known is taken for what the target says there, and teaches nothing
            hidden = interpolate(torch.stack(unknown)[:, None].float(), size=shapes.shape[-2:]) > 0
            answers.append((logits, shapes.masked_fill(hidden, _NONE)))
        losses: dict[str, Tensor] = self.decoder.losses(answers, list(masks), list(classes))
        return losses

    def _found(self, shares: Tensor, masks: Tensor, side: tuple[int, int]) -> dict[str, Any]:
        """Detections of one tile, of classes (Q, K + 1) and logits of masks (1, Q, h, w)."""
        inside = interpolate(masks, size=side, mode="bilinear", align_corners=False)[0].sigmoid()
        best, place = shares[:, self._things].max(dim=1)
        scores, boxes, cut, kept = [], [], [], []
        for query, mask in enumerate(inside):
            within = mask > 0.5
            if not within.any():
                continue
            rows, cols = (within.any(dim=d).nonzero()[:, 0] for d in (1, 0))
            box = [int(v) for v in (rows[0], cols[0], rows[-1] + 1, cols[-1] + 1)]
            kept.append(query)
            scores.append(best[query] * mask[within].mean())
            boxes.append(box)
            cut.append(mask[box[0] : box[2], box[1] : box[3]])
        things = torch.tensor(self._things, device=masks.device)
        found = {
            "scores": torch.stack(scores) if scores else shares.new_zeros(0),
            "classes": things[place[kept]],
            "boxes": torch.tensor(boxes, dtype=torch.int64).reshape(-1, 4),
            "masks": cut,
        }
        if self._stuff:
            by_class = torch.einsum("qk,qhw->khw", shares[:, self._stuff], inside)
            found["stuff"] = torch.tensor(self._stuff, device=masks.device)[by_class.argmax(dim=0)]
        return found


def _target(objects: ObjectLabels, stuff: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """(masks (n, H, W), classes (n,), unknown (H, W)): objects, and each class of stuff that occurs."""
    masks, classes = objects.masks()
    unknown = objects.ids < 0
    if stuff:
        ground = torch.full_like(objects.ids, UNKNOWN) if objects.stuff is None else objects.stuff
        seen = torch.unique(ground[ground != UNKNOWN])
        masks, classes = torch.cat([masks, ground[None] == seen[:, None, None]]), torch.cat([classes, seen])
        unknown = (objects.ids <= 0) & (ground == UNKNOWN)
    return masks.float(), classes, unknown
