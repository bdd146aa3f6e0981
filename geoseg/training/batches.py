"""Batches of normalised tensors: each a function of (seed, step) alone, prepared one step ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.pixels import normalise
from geoseg.geometry import Window
from geoseg.training.augment import augment, paste, resize
from geoseg.training.light import Frame, Light
from geoseg.training.prepare import Core, Preparation
from geoseg.training.samples import Sampler, pad


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
        self._fill = np.array(contract.fill)
        self._sensors = [contract.positions([sensor.name]) for sensor in contract.sensors]
        self._gain, self._shift = torch.from_numpy(contract.gain), torch.from_numpy(contract.shift)

    def at(self, step: int) -> tuple[Tensor, Any]:
        """Pixels (N, B, S, S) float32 and what is taught of them, of one step, counted from 0."""
        job = self.preparation.job
        items = [self._item(step, i) for i in range(self._rank, job.batch, self._world)]
        pixels, layers, sources = zip(*items, strict=True)
        labels = [self.preparation.sources[number].labels for number in sources]
        return torch.stack(pixels), self.preparation.targets.taught(layers, labels)

    def ahead(self, first: int, end: int) -> Iterator[tuple[Tensor, Any]]:
        """Batches of the steps from `first` to `end`; while one is used, the next is read."""
        with ThreadPoolExecutor(1) as reader:
            following = reader.submit(self.at, first) if first < end else None
            for step in range(first, end):
                assert following is not None
                current = following.result()
                following = reader.submit(self.at, step + 1) if step + 1 < end else None
                yield current

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
        pixels, valid = source.read(inside, self._fill)
        known = valid[core.window.slices_in(inside)] & source.region.mask(core.window)
        layer = self._layer(core.source, core.window, known)
        side = preparation.side
        rows = _mirrored(wide.row, side, inside.row, inside.height)
        cols = _mirrored(wide.col, side, inside.col, inside.width)
        x = self._normalise(torch.from_numpy(pixels[:, rows][:, :, cols]))
        if light is not None:
            x = light.over(x, self._frame(core.source))
            if np.dtype(preparation.contract.dtype).kind in "ui":
                x = self._normalise(((x - self._shift) / self._gain).round())
        x[list(preparation.contract.positions(without))] = 0
        return x[None], layer

    def _item(self, step: int, number: int) -> tuple[Tensor, Tensor, int]:
        preparation = self.preparation
        job = preparation.job
        rng = np.random.default_rng([job.seed, 1, step, number])
        drawn = self._sampler.draw(rng)
        raw, valid = preparation.sources[drawn.source].read(drawn.window, self._fill)
        known = valid & ~preparation.sources[drawn.source].region.hidden(drawn.window)
        layer = self._layer(drawn.source, drawn.window, known)
        raw, layer = pad(raw, layer, drawn.side, preparation.targets.unknown)
        x, small = resize(torch.from_numpy(raw), torch.from_numpy(layer), job.crop)
        x = self._normalise(x)
        if job.augment.paste:
            things = preparation.targets.things_in(small, preparation.sources[drawn.source].labels)
            x, small = paste(x, small, things, job.augment.paste, rng)
        frame = self._frame(drawn.source)
        return *augment(x, small, job.augment, rng, frame=frame, sensors=self._sensors), drawn.source

    def _frame(self, source: int) -> Frame:
        preparation = self.preparation
        contract, level = preparation.contract, preparation.levels[source]
        low, high = (self._normalise(torch.tensor(v)) for v in contract.value_range)
        middle = self._normalise(torch.from_numpy(level).view(-1, 1, 1))
        return Frame(zero=self._shift, level=middle, low=low, high=high)

    def _normalise(self, raw: Tensor) -> Tensor:
        """What the network takes, of raw values (B, H, W) or such as broadcast with them."""
        x: Tensor = normalise(raw, None, self._gain, self._shift, torch)
        return x

    def _layer(self, source: int, window: Window, known: NDArray[np.bool_]) -> NDArray[Any]:
        """What is taught (h, w) of a window, where it is known."""
        preparation = self.preparation
        layer = preparation.targets.read(preparation.sources[source].labels, window)
        layer[~known] = preparation.targets.unknown
        return layer


def _mirrored(start: int, side: int, first: int, size: int) -> NDArray[np.int64]:
    """Positions within `size` pixels from `first` for `side` pixels from `start`, mirrored outside."""
    at = (np.arange(start, start + side) - first) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at)
