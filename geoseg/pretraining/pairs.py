"""Two crops that overlap on the ground, and points that lie in both: a function of (seed, step) alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.geometry import Window
from geoseg.pretraining.prepare import LEAST, Preparation
from geoseg.training.augment import augment, resized
from geoseg.training.values import Values

POINTS = 64
"""Of each pair."""

_TRIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two windows of a scene, and (POINTS, 2) places in both, in pixels of the scene."""

    scene: int
    windows: tuple[Window, Window]
    points: NDArray[np.float64]


class Pairs:
    """Batches of pairs of crops, normalised by the preparation's contract."""

    def __init__(self, preparation: Preparation) -> None:
        self._preparation, self._values = preparation, Values(preparation.contract)

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Crops (2 N, B, S, S) float32 of one step, counted from 0, and points (2 N, POINTS, 2) in them.

        The first N are one side of the pairs, the others the other; points are x and y from -1 to 1, as
        torch's `grid_sample` takes them, and those of the same number lie in the same place on the ground.
        """
        return self._batch(1, step, self._preparation.job.batch)

    def judged(self) -> tuple[Tensor, Tensor]:
        """The batch that a network is judged by, which no step has."""
        return self._batch(2, 0, max(self._preparation.job.batch, 8))

    def _batch(self, use: int, step: int, number: int) -> tuple[Tensor, Tensor]:
        one, other = zip(*(self._item([use, step, i]) for i in range(number)), strict=True)
        pixels, points = zip(*one, *other, strict=True)
        return torch.stack(pixels), torch.stack(points)

    def _item(self, key: list[int]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([self._preparation.job.seed, *key])
        pair = self._draw(rng)
        one, other = (self._view(pair, window, rng) for window in pair.windows)
        return one, other

    def _draw(self, rng: np.random.Generator) -> _Pair:
        """Two windows that share a quarter of a side or more, with data where they overlap."""
        preparation, crop = self._preparation, self._preparation.job.crop
        number = int(rng.choice(len(preparation.scenes), p=preparation.shares))
        height, width = preparation.scenes[number].grid.shape
        for _ in range(_TRIES):
            reach = rng.uniform(-1, 1, 2) * np.log1p(preparation.job.augment.scale)
            sides = [min(max(round(crop * f), 8), height, width) for f in np.exp(reach).tolist()]
            start = rng.integers(0, [height - sides[0] + 1, width - sides[0] + 1])
            apart = rng.uniform(-1, 1, 2) * sum(sides) / 4  # between the centres
            beside = np.round(start + (sides[0] - sides[1]) / 2 + apart).astype(int)
            beside = np.clip(beside, 0, [height - sides[1], width - sides[1]])
            one, other = (
                Window(int(at[0]), int(at[1]), side, side)
                for at, side in zip((start, beside), sides, strict=True)
            )
            if (pair := self._pair(number, (one, other), rng)) is not None:
                return pair
        home = preparation.homes[number][int(rng.integers(len(preparation.homes[number])))]
        pair = self._pair(number, (home, home), rng)
        assert pair is not None, "homes have data"
        return pair

    def _pair(self, scene: int, windows: tuple[Window, Window], rng: np.random.Generator) -> _Pair | None:
        """The windows with points at pixels that have data; None where too few in both have."""
        shared = windows[0].intersect(windows[1])
        rows, cols = np.nonzero(self._preparation.scenes[scene].read(shared)[1])
        if len(rows) < LEAST * shared.area:
            return None
        chosen = rng.integers(0, len(rows), POINTS)
        points = np.stack((rows[chosen] + shared.row, cols[chosen] + shared.col), axis=1) + np.float64(0.5)
        return _Pair(scene=scene, windows=windows, points=points)

    def _view(self, pair: _Pair, window: Window, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One side of a pair: the crop (B, S, S) in its own light, turned, and the points in it."""
        preparation, side = self._preparation, self._preparation.job.crop
        raw, _ = self._values.read(preparation.scenes[pair.scene], window)
        x = self._values.normalised(resized(torch.from_numpy(raw), side))
        frame, how = self._values.frame(preparation.tones[pair.scene]), preparation.job.augment
        turned, places = augment(x, _places(side), how, rng, frame=frame, stored=self._values.stored)
        inside = (pair.points - (window.row, window.col)) / (window.height, window.width)
        return turned, _found(places, torch.from_numpy(inside).float())


def _places(side: int) -> Tensor:
    """(side, side, 2) row and column of each pixel's centre, as shares of the crop's side."""
    centres = (torch.arange(side) + 0.5) / side
    return torch.stack(torch.meshgrid(centres, centres, indexing="ij"), dim=-1)


def _found(places: Tensor, points: Tensor) -> Tensor:
    """Where points (P, 2), row and column as shares, went in a crop whose pixels come from `places`.

    Flips and turns map the crop's square on itself, so that three of its corners say where all went.
    """
    origin, down, right = places[0, 0], places[1, 0] - places[0, 0], places[0, 1] - places[0, 0]
    steps: Tensor = torch.linalg.solve(
        torch.stack((down, right), dim=1), (points - origin).T
    )  # rows, columns
    return ((2 * steps + 1) / len(places) - 1).flip(0).T
