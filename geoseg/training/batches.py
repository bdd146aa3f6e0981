"""Batches of normalised tensors: each a function of (seed, step) alone, prepared one step ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.geometry import Window
from geoseg.training.augment import augment, paste, resize
from geoseg.training.job import Augmentation
from geoseg.training.light import Light, where_data
from geoseg.training.prepare import Core, Preparation
from geoseg.training.samples import Sampler, pad
from geoseg.training.values import Values


class Batches:
    """Training batches and validation windows of a preparation, normalised by its contract.

    In a training of several processes, each makes its own part of every batch; together they draw what one
    process alone would.
    """

    def __init__(self, preparation: Preparation, *, rank: int = 0, world: int = 1) -> None:
        job, contract = preparation.job, preparation.contract
        self.preparation, self._rank, self._world = preparation, rank, world
        self._sampler = Sampler(
            preparation.sources, preparation.index, sampling=job.sampling, scale=job.augment.scale
        )
        self._values = Values(contract)
        self._sensors = [contract.positions([sensor.name]) for sensor in contract.sensors]

    def at(self, step: int) -> tuple[Tensor, Any]:
        """Pixels (N, B, S, S) float32 and what is taught of them, of one step, counted from 0."""
        job = self.preparation.job
        items = [
            self._item(step, i, job.augment, self._sensors) for i in range(self._rank, job.batch, self._world)
        ]
        pixels, layers, sources = zip(*items, strict=True)
        labels = [self.preparation.sources[number].labels for number in sources]
        return torch.stack(pixels), self.preparation.targets.taught(layers, labels)

    def crop(self, step: int, number: int) -> Tensor:
        """Pixels (B, S, S) of the one of so many in a step, in the light it was drawn in, with all bands."""
        every = self.preparation.job.augment.model_copy(update={"drop_band": 0.0})
        return self._item(step, number, every, ())[0]

    def core(
        self, core: Core, light: Light | None = None, without: Sequence[str] = ()
    ) -> tuple[Tensor, NDArray[Any]]:
        """Normalised pixels (1, B, S, S) around a validation core, and its own layer (h, w).

        The core stands `margin` pixels inside; beyond the scene, pixels are mirrored. In another `light`,
        values are as a file of the model's data type would hold them. Bands of sensors in `without` are 0, as
        where a scene lacks them.
        """
        preparation = self.preparation
        source, margin = preparation.sources[core.source], preparation.margin
        wide = core.window.grow(margin)
        inside = wide.clip(*source.scene.grid.shape)
        pixels, valid = self._values.read(source.scene, inside)
        known = valid[core.window.slices_in(inside)] & source.region.mask(core.window)
        layer = self._layer(core.source, core.window, known)
        side = preparation.side
        rows = _mirrored(wide.row, side, inside.row, inside.height)
        cols = _mirrored(wide.col, side, inside.col, inside.width)
        x = self._values.normalised(torch.from_numpy(pixels[:, rows][:, :, cols]))
        if light is not None:
            lit = light.over(x, self._values.frame(preparation.tones[core.source]))
            x = where_data(x, self._values.stored(lit))
        x[list(preparation.contract.positions(without))] = 0
        return x[None], layer

    def _item(
        self, step: int, number: int, how: Augmentation, sensors: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor, int]:
        preparation = self.preparation
        job = preparation.job
        rng = np.random.default_rng([job.seed, 1, step, number])
        drawn = self._sampler.draw(rng)
        source = preparation.sources[drawn.source]
        raw, valid = self._values.read(source.scene, drawn.window)
        known = valid & ~source.region.hidden(drawn.window)
        layer = self._layer(drawn.source, drawn.window, known)
        raw, layer = pad(raw, layer, drawn.side, preparation.targets.unknown)
        x, small = resize(torch.from_numpy(raw), torch.from_numpy(layer), job.crop)
        x = self._values.normalised(x)
        if how.paste:
            things = preparation.targets.things_in(small, source.labels)
            x, small = paste(x, small, things, how.paste, rng)
        frame = self._values.frame(preparation.tones[drawn.source])
        x, small = augment(x, small, how, rng, frame=frame, sensors=sensors, stored=self._values.stored)
        return x, small, drawn.source

    def _layer(self, source: int, window: Window, known: NDArray[np.bool_]) -> NDArray[Any]:
        """What is taught (h, w) of a window, where it is known."""
        preparation = self.preparation
        layer = preparation.targets.read(preparation.sources[source].labels, window)
        layer[~known] = preparation.targets.unknown
        return layer


def ahead(at: Callable[[int], tuple[Tensor, Any]], first: int, end: int) -> Iterator[tuple[Tensor, Any]]:
    """Batches of the steps from `first` to `end`; while one is used, the next is made."""
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(at, first) if first < end else None
        for step in range(first, end):
            assert following is not None
            current = following.result()
            following = reader.submit(at, step + 1) if step + 1 < end else None
            yield current


def _mirrored(start: int, side: int, first: int, size: int) -> NDArray[np.int64]:
    """Positions within `size` pixels from `first` for `side` pixels from `start`, mirrored outside."""
    at = (np.arange(start, start + side) - first) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at)
