"""Objects from the bottom up: a U-Net tells interiors from rims, and each interior grows over its rim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, max_pool2d

from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.smp import rest_norms, unet

_SMOOTH = 0.75
"""Deviation of the Gaussian that smooths probabilities, in widths of the rim."""

_REACHED = 0.3
"""Objects reach to where they are as likely as this: with a half their outlines come out too small."""


def interior_rim(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Interiors and rims of objects by a U-Net (Chen et al. 2016, arXiv 1604.02677).

    See `InteriorRim`.
    """
    return InteriorRim(encoder=encoder, bands=bands, classes=classes, **arguments)


class InteriorRim(nn.Module):
    """A U-Net of the classes background, interior of each kind of objects, rim.

    Parameters
    ----------
    rim
        Width of an object's rim in pixels, from its outline inwards; objects that are narrower keep a core.
    freeze_norms
        Leave the encoder's batch norms as they are loaded: for pretrained encoders and few places.
    arguments
        Of the U-Net.
    """

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        rim: int = 2,
        freeze_norms: bool = False,
        **arguments: Any,
    ) -> None:
        super().__init__()
        if not 1 <= rim <= 64:
            raise ValueError(f"rim is 1 to 64 pixels wide, found {rim}")
        network: Any = unet(encoder=encoder, bands=bands, classes=classes + 2, **arguments)
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.segmentation_head = network.segmentation_head
        self._kinds, self._rim, self._frozen = classes, rim, freeze_norms

    def train(self, mode: bool = True) -> Self:
        """Switch to training; frozen norms stay as they are."""
        super().train(mode)
        if self._frozen:
            rest_norms(self.encoder)
        return self

    def forward(
        self, x: Tensor, objects: Sequence[ObjectLabels] | None = None
    ) -> list[dict[str, Any]] | dict[str, Tensor]:
        """Detections of each tile (N, B, H, W) in evaluation, losses on `objects` in training.

        A detection has the least box of its pixels, and the mean of its foreground's probability there as its
        score.
        """
        logits = self.segmentation_head(self.decoder(self.encoder(x))).float()
        if objects is not None:
            return self._losses(logits, objects)
        shares = logits.softmax(dim=1).cpu().numpy()
        return [_detections(share, self._kinds, self._rim) for share in shares]

    def _losses(self, logits: Tensor, objects: Sequence[ObjectLabels]) -> dict[str, Tensor]:
        from segmentation_models_pytorch.losses import DiceLoss

        truth = torch.stack([interior_and_rim(o, self._kinds, self._rim) for o in objects])
        if not (truth != UNKNOWN).any():
            return {"cross_entropy": logits.sum() * 0.0}  # nothing to learn, and no division by nothing
        dice = DiceLoss("multiclass", ignore_index=UNKNOWN)
        return {
            "cross_entropy": cross_entropy(logits, truth, ignore_index=UNKNOWN),
            "dice": dice(logits, truth),
        }


def interior_and_rim(objects: ObjectLabels, kinds: int, rim: int) -> Tensor:
    """(H, W) int64: 0 background, 1 + class in interiors, 1 + `kinds` in rims, 255 not known.

    A gap of one or two pixels between two objects is rim too. The rim of an object that has no pixel deeper
    than `rim` is as narrow as leaves it a core.
    """
    ids = objects.ids
    truth = torch.where(ids > 0, kinds + 1, 0)
    low, high = _range(torch.where(ids > 0, ids, torch.iinfo(torch.int32).max), 1)[0], _range(ids, 1)[1]
    truth[(ids == 0) & (high > 0) & (low < high)] = kinds + 1
    left = torch.unique(ids[ids > 0])
    for depth in range(rim, -1, -1):
        low, high = _range(ids, depth)
        deep = (low == high) & torch.isin(ids, left)
        truth[deep] = 1 + objects.classes[ids[deep] - 1]
        left = left[~torch.isin(left, ids[deep])]
    truth[ids < 0] = UNKNOWN
    return truth


def _range(ids: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Least and largest number within `reach` pixels of each; outside the crop there is none."""
    values = torch.stack([-ids, ids])[:, None].double()  # exact for every int32
    low, high = max_pool2d(values, 2 * reach + 1, stride=1, padding=reach)[:, 0].long()
    return -low, high


def _detections(share: NDArray[np.float32], kinds: int, rim: int) -> dict[str, Any]:
    """Detections of one tile, of its probabilities (kinds + 2, H, W).

    Interiors and scores are of probabilities smoothed over less than a rim, so that the ribs of a roof do not
    part it. Objects reach to where they are `_REACHED` likely, which is one half in their masks.
    """
    from scipy.ndimage import find_objects, gaussian_filter, label

    smooth = gaussian_filter(share, (0, _SMOOTH * rim, _SMOOTH * rim))
    top = smooth.argmax(axis=0)
    cores, count = label((top > 0) & (top <= kinds))
    object_share = 1 - share[0]
    grown = _grow(cores, object_share > _REACHED, 3 * rim)
    inside, pixels = grown > 0, np.bincount(grown.ravel(), minlength=count + 1)[1:]

    def mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.bincount(grown[inside], values[inside], minlength=count + 1)[1:] / np.maximum(pixels, 1)

    of_kind = np.stack([mean(smooth[1 + k]) for k in range(kinds)])
    places = find_objects(grown, max_label=count)
    masks = [
        torch.from_numpy(np.where(grown[place] == n, np.minimum(object_share[place] / (2 * _REACHED), 1), 0))
        for n, place in enumerate(places, start=1)
    ]
    return {
        "scores": torch.from_numpy(mean(1 - smooth[0])),
        "classes": torch.from_numpy(of_kind.argmax(axis=0)),
        "boxes": torch.tensor(
            [(r.start, c.start, r.stop, c.stop) for r, c in places], dtype=torch.int64
        ).reshape(-1, 4),
        "masks": masks,
    }


def _grow(cores: NDArray[np.int32], ground: NDArray[np.bool_], reach: int) -> NDArray[np.int32]:
    """Cores grown over `ground` by up to `reach` pixels; of those that meet in one the first has it."""
    none = np.iinfo(np.int32).max
    grown = np.where(cores > 0, cores, none)
    for _ in range(reach):
        near = np.full_like(grown, none)
        np.minimum(near[1:], grown[:-1], out=near[1:])
        np.minimum(near[:-1], grown[1:], out=near[:-1])
        np.minimum(near[:, 1:], grown[:, :-1], out=near[:, 1:])
        np.minimum(near[:, :-1], grown[:, 1:], out=near[:, :-1])
        new = ground & (grown == none) & (near < none)
        if not new.any():
            break
        grown[new] = near[new]
    return np.where(grown == none, 0, grown)
