"""Simulated clicks: where somebody would click next, and samples of training with their first clicks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from click_network.places import Place, Target
from click_network.windows import light_of, window_of
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from geoseg.models.clicks import guides_of
from geoseg.models.prompt import Prompt

SHARE = {"buildings": 0.55, "cover": 0.35, "forest": 0.10}
"""How often each kind of target is drawn."""
_BOXED, _LOOSE = 0.25, 0.2
_LEAST_PIXELS = 16


def next_click(
    mask: NDArray[np.bool_], answer: NDArray[np.bool_], rng: np.random.Generator | None
) -> tuple[int, int, bool]:
    """(row, column, whether inside) in the middle of the largest wrong area, or near it with `rng`."""
    best = None
    for wrong, positive in ((mask & ~answer, True), (answer & ~mask, False)):
        if wrong.any():
            depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
            if best is None or depth.max() > best[0].max():
                best = depth, positive
    if best is None:
        row, col = np.argwhere(mask)[0] if mask.any() else (0, 0)
        return int(row), int(col), True
    depth, positive = best
    if rng is None:
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        near = np.argwhere(depth >= depth.max() * rng.uniform(0.3, 1.0))
        row, col = near[rng.integers(len(near))]
    return int(row), int(col), positive


@dataclass(slots=True, kw_only=True)
class Sample:
    """A window with its mask and what was clicked so far."""

    image: Tensor
    mask: Tensor
    points: list[tuple[int, int, bool]]
    box: tuple[int, int, int, int] | None = None

    @property
    def prompt(self) -> Prompt:
        """What was clicked so far."""
        return Prompt(
            points=np.array([p[:2] for p in self.points], np.int64).reshape(-1, 2),
            inside=np.array([p[2] for p in self.points], np.bool_),
            box=self.box,
        )

    def guides(self, before: Tensor | None) -> Tensor:
        """(3, side, side): discs, and the mask before or the box."""
        planes = guides_of(self.prompt, self.mask.shape[0])
        if before is not None:
            planes[2] = before
        return planes


def box_of(mask: Tensor) -> tuple[int, int, int, int]:
    """Row, column, and the ends of both, of a mask that is not empty."""
    rows, cols = (np.flatnonzero(mask.any(d).numpy()) for d in (1, 0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def inner_of(place: Place, target: Target) -> NDArray[np.bool_]:
    """The target within its box."""
    r0, c0, r1, c1 = target.box
    return np.asarray(place.numbers[0][r0:r1, c0:c1].numpy() == target.number, np.bool_)


def draw(kinds: Mapping[str, Sequence[Place]], rng: np.random.Generator, side: int) -> Sample:
    """A random sample of training, with its first clicks or a box."""
    while True:
        places = kinds[rng.choice(list(SHARE), p=list(SHARE.values()))]
        place = places[rng.integers(len(places))]
        if not place.targets:
            continue
        boxed = bool(rng.random() < _BOXED)
        image, mask = _window(place, place.targets[rng.integers(len(place.targets))], boxed, rng, side)
        if mask.sum() < _LEAST_PIXELS:
            continue
        sample = Sample(image=image, mask=mask, points=[])
        if boxed:
            sample.box = _loose_box(mask, rng)
        elif not mask[side // 2, side // 2] or rng.random() < _LOOSE:
            sample.points.append(next_click(mask.numpy(), np.zeros_like(mask.numpy()), rng))
        else:
            sample.points.append((side // 2, side // 2, True))
        for _ in range(rng.choice(3, p=(0.7, 0.2, 0.1))):
            _click_beside(sample, rng)
        return sample


def _window(
    place: Place, target: Target, boxed: bool, rng: np.random.Generator, side: int
) -> tuple[Tensor, Tensor]:
    """A target at a random scale and turn: around a click in it, or around its box."""
    r0, c0, r1, c1 = target.box
    wanted = np.exp(rng.uniform(np.log(12), np.log(0.8 * side)))
    widest = max(0.6, 1.2 * min(place.images[0].shape[1:]) / side)
    scale = float(np.clip(max(r1 - r0, c1 - c0) / wanted, 0.6, widest))
    if boxed:
        centre = (r0 + r1) / 2, (c0 + c1) / 2
    else:  # the click is at the centre, but for some that were moved with other points
        depth = ndimage.distance_transform_edt(np.pad(inner_of(place, target), 1))[1:-1, 1:-1]
        near = np.argwhere(depth >= depth.max() * rng.uniform(0.0, 0.9))
        row, col = near[rng.integers(len(near))] + 0.5
        reach = 0.2 * side if rng.random() < _LOOSE else 0.5
        jitter = rng.uniform(-reach, reach, 2) * scale
        centre = r0 + row + jitter[0], c0 + col + jitter[1]
    turn = 0.5 * np.pi * rng.integers(4) + (0 if boxed else rng.uniform(-0.6, 0.6)), bool(rng.integers(2))
    return window_of(place, target, centre=centre, scale=scale, side=side, turn=turn, lit=light_of(rng))


def _loose_box(mask: Tensor, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """The box of a mask as somebody would draw it."""
    row, col, row_end, col_end = box_of(mask)
    off = rng.normal(0, max(row_end - row, col_end - col) * 0.06 + 1, 4).round().astype(int).tolist()
    return row + off[0], col + off[1], row_end + off[2], col_end + off[3]


def _click_beside(sample: Sample, rng: np.random.Generator) -> None:
    """Half of the times one more click, beside the object and near it."""
    if rng.random() < 0.5:
        mask = sample.mask.numpy()
        near = ndimage.binary_dilation(mask, iterations=int(rng.integers(4, 24))) & ~mask
        if near.any():
            at = np.argwhere(near)
            row, col = at[rng.integers(len(at))].tolist()
            sample.points.append((row, col, False))
