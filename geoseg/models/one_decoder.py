"""One decoder for several tasks: classes, objects and prompts are queries over one encoder and its pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the field's name)

from geoseg.models.object_labels import ObjectLabels, things_and_stuff
from geoseg.models.object_rule import Task
from geoseg.models.odd_sizes import pad
from geoseg.models.prompt import Prompt
from geoseg.models.query_losses import Answer, Taught, class_losses, object_losses, prompt_losses
from geoseg.models.smp import new_encoder

_STRIDE = 4  # of the pixels that masks are made of
_GROUPS = 32
_HEADS = 8
_SCALES = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # pixels: how far a query's place reaches
_LEAST = 0.05  # objects less likely than that are not drawn at all
_SUPPRESSED = 50.0


def one_decoder(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """One decoder whose queries are classes, objects or prompts (after Li et al. 2024, arXiv 2401.10229).

    See `OneDecoder`.
    """
    return OneDecoder(encoder=encoder, bands=bands, classes=classes, **arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """What is computed once of N pictures, whatever is asked of them.

    Attributes
    ----------
    pixels
        (N, C, h, w) at a quarter of the resolution: what masks are products with.
    levels
        Two of (N, C, h, w) at a sixteenth and an eighth: what queries look at.
    places
        (N, h, w) at an eighth, logits: how deep in an object a place is.
    size
        Rows and columns of the pictures.
    """

    pixels: Tensor
    levels: tuple[Tensor, Tensor]
    places: Tensor
    size: tuple[int, int]


class OneDecoder(nn.Module):
    """A pyramid over any encoder and a decoder of masked attention, asked by queries of three kinds.

    A *class* is a learnt query, and its mask the logit of that class. A *prompt* is made of its points: of
    the pixels there, of where they lie to each other, and of whether they are inside; and of its box. An
    *object* is what the network finds for the prompts that it gives itself: a point wherever a place looks
    deeper in an object than those around it. All go through the same layers and the same product with the
    same pixels; what differs is which are asked. Objects look at each other, and so do classes; prompts do
    not, and no kind looks at another, so that each answer is the same whatever else is asked.

    The idea of one decoder for all tasks is that of OMG-Seg, over the decoder of Mask2Former (Cheng et al.
    2022); masks that are a product with pixels and a function of the distance from the query's place are
    after CondInst (Tian et al. 2020). Nothing depends on where in the tile something lies.

    Attributes
    ----------
    task
        What it answers to tiles: logits of classes, or detections.
    side
        Of the window in which it answers prompts, in pixels.

    Parameters
    ----------
    things
        Positions of the classes of things in the legend; the others are stuff.
    queries
        Most objects of a tile.
    width
        Of pixels and queries, a multiple of 32.
    layers
        Of the decoder.
    """

    centred = False

    def __init__(
        self,
        *,
        encoder: str,
        bands: int,
        classes: int,
        things: Sequence[int],
        queries: int = 100,
        width: int = 96,
        layers: int = 2,
        side: int = 512,
    ) -> None:
        super().__init__()

        self._things, self._stuff = things_and_stuff(things, classes)
        if width % _GROUPS:
            raise ValueError(f"width is a multiple of {_GROUPS}, found {width}")
        self.task: Task = "panoptic"
        self.side, self._queries = side, queries
        self.encoder: nn.Module = new_encoder(encoder, bands)
        self.pyramid = _Pyramid(list(self.encoder.out_channels)[-4:], width)
        self.places = nn.Conv2d(width, 1, 1)
        self.classes = nn.Parameter(torch.randn(classes, width))
        self.kinds = nn.Embedding(2, width)  # of objects and of prompts
        near = 4 * len(_SCALES)  # of two axes
        self.point = _perceptron(width + near + 1, width)
        self.box = _perceptron(width + near, width)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))
        self.said = nn.LayerNorm(width)
        self.mask = _perceptron(width, width)
        self.reach = nn.Linear(width, near + 1)
        self.kind_of = nn.Linear(width, len(self._things) + 1)
        with torch.no_grad():  # a disc to begin with
            self.reach.weight.mul_(0.1)
            self.reach.bias.zero_()
            self.reach.bias[[3, 3 + near // 2]] = 3.0
            self.reach.bias[-1] = -4.0

    def forward(self, x: Tensor, objects: Sequence[ObjectLabels] | None = None) -> Any:
        """What `task` says of tiles (N, B, H, W) in evaluation; losses by name in training.

        Logits (N, K, H, W) of classes, or for each tile a dictionary of detections, and of stuff where the
        task is panoptic.
        """
        encoded = self.embed(x)
        if objects is not None:
            return self._losses(encoded, objects)
        if self.task == "semantic":
            return self._logits(encoded)
        found = self._detected(encoded)
        if self.task == "panoptic":
            stuff = self._logits(encoded)[:, self._stuff].argmax(dim=1)
            ids = torch.tensor(self._stuff, device=x.device)[stuff]
            found = [{**own, "stuff": ground} for own, ground in zip(found, ids, strict=True)]
        return found

    def embed(self, x: Tensor) -> Encoded:
        """What is computed once of pictures (N, B, H, W)."""
        whole = pad(x)
        quarter, eighth, sixteenth = self.pyramid(list(self.encoder(whole))[-4:])
        return Encoded(
            pixels=quarter,
            levels=(sixteenth, eighth),
            places=self.places(eighth)[:, 0],
            size=(int(x.shape[2]), int(x.shape[3])),
        )

    def answer(self, encoded: Encoded, prompts: Sequence[Prompt]) -> tuple[Tensor, None]:
        """(probabilities (n, H, W), None) of n prompts in one picture, or of one in each of n.

        What is said by a box lies within it.
        """
        tokens, centres = self._prompted(
            encoded, [prompts] if len(encoded.pixels) == 1 else [[p] for p in prompts]
        )
        masks = self._decode(encoded, tokens, centres, together=False)[-1].masks.flatten(0, 1)
        shares = self._large(masks[:, None], encoded)[:, 0].sigmoid()
        for share, prompt in zip(shares, prompts, strict=True):
            if prompt.box is not None:
                share.mul_(_within(prompt.box, encoded.size).to(share.device))
        return shares, None

    def _logits(self, encoded: Encoded) -> Tensor:
        """Of classes (N, K, H, W)."""
        return self._large(self._classes(encoded)[-1].masks, encoded)

    def _classes(self, encoded: Encoded) -> list[Answer]:
        states = self.classes.expand(encoded.pixels.shape[0], -1, -1)  # len() would fix it in an export
        return self._decode(encoded, states, None, together=True)

    def _objects(self, encoded: Encoded) -> tuple[list[Answer], Tensor]:
        """What is said of the deepest places, and where these are (N, Q, 2), in pixels."""
        places = encoded.places
        above = F.max_pool2d(places[:, None], 3, stride=1, padding=1)[:, 0]
        ranked = torch.where(places < above, places - _SUPPRESSED, places).flatten(1)
        best = ranked.topk(min(self._queries, ranked.shape[1]), dim=1).indices
        row, col = best // places.shape[2], best % places.shape[2]
        centres = torch.stack((row, col), dim=-1) * 8.0 + 3.5
        features = _picked(encoded.levels[1], row, col)
        inside = features.new_ones(features.shape[:2])
        tokens = self._token(features, torch.zeros_like(centres), inside)
        return self._decode(encoded, tokens + self.kinds.weight[0], centres, together=True), centres

    def _prompted(self, encoded: Encoded, prompts: Sequence[Sequence[Prompt]]) -> tuple[Tensor, Tensor]:
        """Queries (N, Q, C) of as many prompts in each picture, and their places (N, Q, 2)."""
        made = [
            [self._query(eighth, prompt) for prompt in asked]
            for eighth, asked in zip(encoded.levels[1], prompts, strict=True)
        ]
        tokens, centres = (torch.stack([torch.stack([q[k] for q in own]) for own in made]) for k in (0, 1))
        return tokens, centres

    def _query(self, eighth: Tensor, prompt: Prompt) -> tuple[Tensor, Tensor]:
        """Query (C,) of one prompt and its place (2,), in features (C, h, w)."""
        points = torch.from_numpy(prompt.points).to(eighth)
        inside = torch.from_numpy(prompt.inside).to(eighth)
        box = None if prompt.box is None else torch.tensor(prompt.box).to(eighth)
        if inside.any():
            centre = points[inside > 0].mean(dim=0)
        elif box is not None:
            centre = (box[:2] + box[2:] - 1) / 2
        else:
            centre = points.mean(dim=0)
        token = self.kinds.weight[1]
        if len(points):
            cells = (points / 8).long()
            row, col = (cells[:, k].clamp(0, eighth.shape[1 + k] - 1) for k in (0, 1))
            features = _picked(eighth[None], row[None], col[None])[0]
            token = token + self._token(features, points - centre, inside).mean(dim=0)
        if box is not None and prompt.box is not None:
            first, end = prompt.box[:2], prompt.box[2:]
            (top, bottom), (left, right) = (
                _span(*ends) for ends in zip(first, end, eighth.shape[1:], strict=True)
            )
            mean = eighth[:, top:bottom, left:right].mean(dim=(1, 2))
            token = token + self.box(torch.cat((mean, _near(box[2:] - box[:2]).flatten())))
        return token, centre

    def _token(self, features: Tensor, offsets: Tensor, inside: Tensor) -> Tensor:
        """(..., C) of points with their features (..., C), offsets (..., 2), and whether they are inside."""
        said: Tensor = self.point(
            torch.cat((features, _near(offsets).flatten(-2), inside[..., None]), dim=-1)
        )
        return said

    def _decode(
        self, encoded: Encoded, states: Tensor, centres: Tensor | None, *, together: bool
    ) -> list[Answer]:
        """What queries (N, Q, C) say before the first layer and after each, the last one last."""
        answers = [self._said(encoded, states, centres)]
        for layer, level in zip(self.layers, cycle(encoded.levels), strict=False):
            masks = answers[-1].masks.detach()
            small = F.interpolate(masks, level.shape[2:], mode="bilinear", align_corners=False)
            shares = small.softmax(dim=1) if centres is None else small.sigmoid()
            seen = (shares > 0.5).flatten(2)
            seen = seen | ~seen.any(dim=2, keepdim=True)  # who sees nothing looks everywhere
            states = layer(states, level.flatten(2).transpose(1, 2), seen, together=together)
            answers.append(self._said(encoded, states, centres))
        return answers

    def _said(self, encoded: Encoded, states: Tensor, centres: Tensor | None) -> Answer:
        said = self.said(states)
        masks = torch.einsum("nqc,nchw->nqhw", self.mask(said), encoded.pixels) / math.sqrt(said.shape[-1])
        if centres is not None:
            masks = masks + self._reached(said, centres, encoded.pixels.shape)
        return Answer(kinds=self.kind_of(said), masks=masks)

    def _reached(self, said: Tensor, centres: Tensor, shape: Sequence[int]) -> Tensor:
        """(N, Q, h, w): what the distance from a query's place adds to its mask, along rows and columns."""
        *factors, constant = self.reach(said).split([2 * len(_SCALES)] * 2 + [1], dim=-1)
        along = []
        for axis, factor in enumerate(factors):
            at = torch.arange(shape[2 + axis], device=said.device) * float(_STRIDE) + (_STRIDE - 1) / 2
            away = _near(at - centres[..., axis, None])
            along.append(torch.einsum("nqlk,nqk->nql", away, factor))
        reached: Tensor = along[0][..., :, None] + along[1][..., None, :] + constant[..., None]
        return reached

    def _large(self, masks: Tensor, encoded: Encoded) -> Tensor:
        """Masks (N, Q, h, w) at the resolution of the pictures."""
        height, width = (_STRIDE * side for side in masks.shape[2:])
        large = F.interpolate(masks, (height, width), mode="bilinear", align_corners=False)
        return large[..., : encoded.size[0], : encoded.size[1]]

    def _detected(self, encoded: Encoded) -> list[dict[str, Any]]:
        answers, _ = self._objects(encoded)
        shares = answers[-1].kinds.softmax(dim=-1)
        found = []
        for n, masks in enumerate(answers[-1].masks):
            best, place = shares[n, :, :-1].max(dim=1)
            likely = (best > _LEAST).nonzero()[:, 0]
            inside = self._large(masks[None, likely], encoded)[0].sigmoid()
            found.append(self._found(best[likely], place[likely], inside))
        return found

    def _found(self, shares: Tensor, place: Tensor, masks: Tensor) -> dict[str, Any]:
        """Detections of one tile: probabilities and ranks of classes (Q,), masks (Q, H, W)."""
        kept, boxes = [], []
        for query, within in enumerate(masks > 0.5):
            if within.any():
                rows, cols = (within.any(dim=d).nonzero()[:, 0] for d in (1, 0))
                kept.append(query)
                boxes.append([int(v) for v in (rows[0], cols[0], rows[-1] + 1, cols[-1] + 1)])
        drawn = [masks[q, r0:r1, c0:c1] for q, (r0, c0, r1, c1) in zip(kept, boxes, strict=True)]
        scores = [shares[q] * own[own > 0.5].mean() for q, own in zip(kept, drawn, strict=True)]
        things = torch.tensor(self._things, device=masks.device)
        return {
            "scores": torch.stack(scores) if scores else shares.new_zeros(0),
            "classes": things[place[kept]],
            "boxes": torch.tensor(boxes, dtype=torch.int64).reshape(-1, 4),
            "masks": drawn,
        }

    def _losses(self, encoded: Encoded, objects: Sequence[ObjectLabels]) -> dict[str, Tensor]:
        """Of every layer's answers, and of the places; of each crop what its labels know."""
        taught = [Taught.of(own, self._things, _STRIDE) for own in objects]
        answers, centres = self._objects(encoded)
        losses = object_losses(answers, centres, encoded.places, taught)
        # where no prompt is drawn its weights have a gradient too, as a team of processes needs it
        losses["places"] = losses["places"] + 0.0 * sum(own.sum() for own in self.box.parameters())
        losses |= class_losses([self._large(a.masks, encoded) for a in self._classes(encoded)], objects)
        prompts = [own.prompts() for own in taught]
        asked = [n for n, own in enumerate(prompts) if own]
        prompted = []
        for n in asked:
            one = Encoded(
                pixels=encoded.pixels[n : n + 1],
                levels=(encoded.levels[0][n : n + 1], encoded.levels[1][n : n + 1]),
                places=encoded.places[n : n + 1],
                size=encoded.size,
            )
            queries = self._prompted(one, [[p for _, p in prompts[n]]])
            prompted.append(self._decode(one, *queries, together=False))
        masks = [taught[n].masks[[k for k, _ in prompts[n]]] for n in asked]
        return losses | prompt_losses(prompted, masks, [taught[n].unknown for n in asked])


class _Pyramid(nn.Module):
    """Features of four levels joined from the coarsest to the finest (Lin et al. 2017), of one width."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(own, width, 1) for own in widths)
        self.smooth = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(_GROUPS, width), nn.ReLU()
            )
            for _ in widths
        )
        self.last = nn.Conv2d(width, width, 1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, h, w) of strides 4, 8 and 16, of levels with strides 4, 8, 16, 32."""
        joined: list[Tensor] = []
        for level, lateral, smooth in list(zip(levels, self.lateral, self.smooth, strict=True))[::-1]:
            x = lateral(level)
            if joined:
                x = x + F.interpolate(joined[-1], scale_factor=2, mode="nearest")
            joined.append(smooth(x))
        _, sixteenth, eighth, quarter = joined
        return self.last(quarter), eighth, sixteenth


class _Layer(nn.Module):
    """Masked attention to pixels, attention among queries, and a perceptron (Cheng et al. 2022)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.look, self.talk = _Attention(width), _Attention(width)
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, states: Tensor, level: Tensor, seen: Tensor, *, together: bool) -> Tensor:
        """Queries (N, Q, C) that looked at those of the pixels (N, L, C) that they see (N, Q, L)."""
        states = states + self.look(self.norms[0](states), level, seen)
        if together:
            own = self.norms[1](states)
            states = states + self.talk(own, own, None)
        thought: Tensor = states + self.think(self.norms[2](states))
        return thought


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, states: Tensor, told: Tensor, seen: Tensor | None) -> Tensor:
        """(N, Q, C) from what is told (N, L, C), as far as it is seen (N, Q, L)."""
        ask, key, value = (
            part(x).unflatten(-1, (_HEADS, -1)).transpose(1, 2)
            for part, x in ((self.ask, states), (self.key, told), (self.value, told))
        )
        weights = ask @ key.transpose(2, 3) / math.sqrt(key.shape[-1])
        if seen is not None:
            weights = weights.masked_fill(~seen[:, None], -math.inf)
        heard: Tensor = self.out((weights.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))
        return heard


def _perceptron(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width))


def _near(away: Tensor) -> Tensor:
    """(..., 2S) of distances in pixels (...): at each of the S scales how near, and how far on which side.

    Far away all are constant, so that an answer in a wide tile is that in a narrow one.
    """
    scaled = away[..., None] / away.new_tensor(_SCALES)
    return torch.cat((torch.exp(-(scaled**2)), torch.tanh(scaled)), dim=-1)


def _picked(level: Tensor, row: Tensor, col: Tensor) -> Tensor:
    """Features (N, Q, C) at cells (N, Q) of a level (N, C, h, w)."""
    at = (row * level.shape[3] + col)[..., None].expand(-1, -1, level.shape[1])
    return level.flatten(2).transpose(1, 2).gather(1, at)


def _span(start: int, end: int, cells: int) -> tuple[int, int]:
    """First and end of the cells of eight pixels that a side of a box touches, at least one."""
    first = min(max(start // 8, 0), cells - 1)
    return first, max(min(-(-end // 8), cells), first + 1)


def _within(box: tuple[int, int, int, int], size: tuple[int, int]) -> Tensor:
    inside = np.zeros(size, np.float32)
    row, col, row_end, col_end = (max(end, 0) for end in box)
    inside[row:row_end, col:col_end] = 1
    return torch.from_numpy(inside)
