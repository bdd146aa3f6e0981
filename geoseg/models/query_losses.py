"""What queries are taught: objects they are matched to, classes of pixels, and objects they are asked for.

Cross-entropy of classes, and binary cross-entropy and Dice of masks, with the weights and the matching of
Mask2Former (Cheng et al. 2022), after every layer. What is not known teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.models.object_labels import UNKNOWN, ObjectLabels
from geoseg.models.prompt import Prompt

_CLASS, _MASK, _DICE = 2.0, 5.0, 5.0
_NOTHING = 0.1  # weight of queries that are no object
_NONE = -20.0  # logit of a pixel that is certainly not in a mask
_DEEP = 4.0  # places in objects weigh by so much more than those beside
_PROMPTS = 8  # of a crop
_SECOND, _BESIDE, _BOXED, _LOOSE = 0.3, 0.4, 0.25, 0.06


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What N x Q queries say.

    Attributes
    ----------
    kinds
        (N, Q, T + 1) logits of the classes of things, the last for no object.
    masks
        (N, Q, h, w) logits.
    """

    kinds: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """Objects of one crop at the resolution of masks.

    Attributes
    ----------
    masks
        (n, h, w) float: shares of pixels that are in each object.
    kinds
        (n,) rank of its class among those of things.
    depths
        (h, w) float: 1 where an object is deepest, 0 outside of all.
    unknown
        (h, w) bool: where it is not known whether there is an object.
    objects
        (n, H, W) bool: the masks of every pixel.
    """

    masks: Tensor
    kinds: Tensor
    depths: Tensor
    unknown: Tensor
    objects: NDArray[np.bool_]

    @classmethod
    def of(cls, labels: ObjectLabels, things: Sequence[int], stride: int) -> Taught:
        """Those of a crop's labels, on pixels `stride` times as large."""
        masks, classes = labels.masks()
        rank = torch.full((UNKNOWN + 1,), UNKNOWN, device=classes.device)
        rank[list(things)] = torch.arange(len(things), device=classes.device)
        small = (
            F.avg_pool2d(masks.float()[None], stride)[0]
            if len(masks)
            else masks[:, ::stride, ::stride].float()
        )
        unknown = F.avg_pool2d((labels.ids < 0).float()[None], stride)[0] > 0
        return cls(
            masks=small,
            kinds=rank[classes],
            depths=_depths(small),
            unknown=unknown,
            objects=masks.cpu().numpy(),
        )

    def prompts(self) -> list[tuple[int, Prompt]]:
        """Numbers of some of the objects, with points and boxes drawn at random as people give them."""
        count = len(self.objects)
        if not count:
            return []
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        chosen = rng.permutation(count)[:_PROMPTS].tolist()
        return [(k, _prompt(self.objects[k], rng)) for k in chosen]


def object_losses(
    answers: Sequence[Answer], centres: Tensor, places: Tensor, taught: Sequence[Taught]
) -> dict[str, Tensor]:
    """Losses of objects after every layer, and of the places (N, h, w) that queries are taken from.

    Parameters
    ----------
    centres
        (N, Q, 2) rows and columns of the queries' places, in pixels of the crop.
    """
    known = [n for n, own in enumerate(taught) if not bool(own.unknown.all())]
    count = max(sum(len(taught[n].masks) for n in known), 1)
    kinds, masks, dices = ([_zero(answers[-1].masks, places)] for _ in range(3))
    for answer in answers:
        for n in known:
            own, logits = taught[n], answer.masks[n].masked_fill(taught[n].unknown, _NONE)
            query, number = _matched(answer.kinds[n], logits, own)
            truth = torch.full((len(logits),), answer.kinds.shape[-1] - 1, device=logits.device)
            truth[query] = own.kinds[number]
            weight = torch.where(truth == answer.kinds.shape[-1] - 1, _NOTHING, 1.0)
            row, col = (
                centres[n, :, k].long() * own.unknown.shape[k] // (8 * places.shape[1 + k]) for k in (0, 1)
            )
            silent = own.unknown[row, col] & (weight < 1)
            weight = weight.masked_fill(silent, 0.0)
            said = F.cross_entropy(answer.kinds[n], truth, reduction="none")
            kinds.append(_CLASS * (said * weight).sum() / weight.sum().clamp(min=1e-6) / len(known))
            masks.append(_MASK * _binary(logits[query], own.masks[number]) / count)
            dices.append(_DICE * _dice(logits[query], own.masks[number]) / count)
    losses = {"objects": kinds, "object masks": masks, "object dice": dices}
    return {
        **{name: torch.stack(own).sum() for name, own in losses.items()},
        "places": _places(places, taught),
    }


def class_losses(logits: Sequence[Tensor], labels: Sequence[ObjectLabels]) -> dict[str, Tensor]:
    """Cross-entropy and Dice of the classes (N, K, H, W) of pixels, after every layer."""
    from segmentation_models_pytorch.losses import DiceLoss

    truth = torch.stack([own.classes_of_pixels() for own in labels])
    taught = (truth != UNKNOWN).flatten(1).any(dim=1)
    if not taught.any():
        nothing = torch.stack([own.sum() for own in logits]).sum() * 0.0
        return {"classes": nothing, "class dice": nothing}
    dice = DiceLoss("multiclass", ignore_index=UNKNOWN)
    own = [one[taught] for one in logits]
    return {
        "classes": _CLASS
        * torch.stack([F.cross_entropy(x, truth[taught], ignore_index=UNKNOWN) for x in own]).sum(),
        "class dice": _CLASS * torch.stack([dice(x, truth[taught]) for x in own]).sum(),
    }


def prompt_losses(
    answers: Sequence[Sequence[Answer]], masks: Sequence[Tensor], unknown: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Losses of what prompts are answered with in each crop, after every layer."""
    count = max(sum(len(own) for own in masks), 1)
    said = [
        (one.masks[0].masked_fill(hidden, _NONE), truth)
        for layers, truth, hidden in zip(answers, masks, unknown, strict=True)
        for one in layers
    ]
    if not said:
        return {}
    return {
        "prompts": _MASK * torch.stack([_binary(*pair) for pair in said]).sum() / count,
        "prompt dice": _DICE * torch.stack([_dice(*pair) for pair in said]).sum() / count,
    }


def _matched(kinds: Tensor, logits: Tensor, taught: Taught) -> tuple[Tensor, Tensor]:
    """Queries and the objects they are for, in the cheapest way (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    with torch.no_grad():
        own, truth = logits.flatten(1), taught.masks.flatten(1)
        right = kinds.softmax(dim=-1)[:, taught.kinds]
        binary = (F.softplus(-own) @ truth.T + F.softplus(own) @ (1 - truth).T) / own.shape[1]
        share = own.sigmoid()
        both = 2 * share @ truth.T + 1
        dice = 1 - both / (share.sum(dim=1)[:, None] + truth.sum(dim=1)[None] + 1)
        cost = _MASK * binary + _DICE * dice - _CLASS * right
    query, number = linear_sum_assignment(cost.cpu().numpy())
    return (torch.from_numpy(side).to(logits.device) for side in (query, number))  # type: ignore[return-value]


def _places(places: Tensor, taught: Sequence[Taught]) -> Tensor:
    """How far the places (N, h, w) are from saying how deep in objects they are."""
    shape = places.shape[1:]
    depth = torch.stack([F.adaptive_max_pool2d(own.depths[None], shape)[0] for own in taught])
    known = torch.stack([F.adaptive_max_pool2d(own.unknown[None].float(), shape)[0] == 0 for own in taught])
    weight = known * (1 + _DEEP * depth)
    said = F.binary_cross_entropy_with_logits(places, depth, reduction="none")
    return _CLASS * (said * weight).sum() / weight.sum().clamp(min=1.0)


def _binary(logits: Tensor, truth: Tensor) -> Tensor:
    """Sum over masks of the mean binary cross-entropy."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2)).sum()


def _dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Sum over masks of the soft Dice loss."""
    share = logits.sigmoid()
    both, total = (share * truth).sum(dim=(1, 2)), (share + truth).sum(dim=(1, 2))
    return (1 - (2 * both + 1) / (total + 1)).sum()


def _zero(*tensors: Tensor) -> Tensor:
    return torch.stack([own.sum() for own in tensors]).sum() * 0.0


def _depths(masks: Tensor) -> Tensor:
    """(h, w) distances to the outside of the object that a pixel is in, as shares of its largest."""
    from scipy.ndimage import distance_transform_edt

    deepest = np.zeros(masks.shape[1:], np.float32)
    for mask in masks.cpu().numpy():
        depth = distance_transform_edt(mask > 0.5)
        deepest = np.maximum(deepest, depth / max(depth.max(), 1.0))
    return torch.from_numpy(deepest.astype(np.float32)).to(masks.device)


def _prompt(mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompt:
    """Points in an object, sometimes one beside it; or a box around it, mostly without a point."""
    from scipy.ndimage import binary_dilation, distance_transform_edt

    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = np.array([rows[0], cols[0], rows[-1] + 1, cols[-1] + 1])
    boxed, points = bool(rng.random() < _BOXED), []
    if not boxed or rng.random() < 0.5:
        depth = distance_transform_edt(mask)
        near = np.argwhere(depth >= depth.max() * rng.uniform(0.2, 1.0))
        points += [near[rng.integers(len(near))] for _ in range(1 + int(rng.random() < _SECOND))]
    inside = [True] * len(points)
    if points and rng.random() < _BESIDE:
        beside = np.argwhere(binary_dilation(mask, iterations=int(rng.integers(3, 20))) & ~mask)
        if len(beside):
            points.append(beside[rng.integers(len(beside))])
            inside.append(False)
    spread = (box[2:] - box[:2]).max() * _LOOSE
    row, col, row_end, col_end = (box + rng.normal(0, spread, 4).round().astype(np.int64)).tolist()
    return Prompt(
        points=np.array(points, np.int64).reshape(-1, 2),
        inside=np.array(inside, np.bool_),
        box=(row, col, max(row_end, row + 1), max(col_end, col + 1)) if boxed else None,
    )
