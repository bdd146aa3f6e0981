"""Windows in which prompts are asked: each a function of its prompt alone, read as coarse as it has to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.engines.prompting import PromptEngine
from geoseg.geometry import Grid, Window
from geoseg.models.prompt import Prompt
from geoseg.raster.scene import Scene

_STRIP = 2**24
"""Pixels that are read at once for a coarser window."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A window: pixels of the scene along one of its own, and its first row and column in the scene."""

    coarser: int
    row: int
    col: int

    def grid(self, scene: Grid, side: int) -> Grid:
        """Grid of the window, whose pixels are that much larger than the scene's."""
        (x, y), t = scene.corner(self.row, self.col), scene.transform
        step = float(self.coarser)
        transform = Affine(t.a * step, t.b * step, x, t.d * step, t.e * step, y)
        return Grid(crs=scene.crs, transform=transform, height=side, width=side)


def place_of(prompt: Prompt, engine: PromptEngine, coarser: int) -> Place:
    """Where a prompt is asked: around its centre, or in the tile of a lattice whose core holds that.

    A prompt fits if a quarter of the window is to spare: around it, or, in a tile, at the core's edges, so
    that it is seen whole wherever its centre is. It gets a window twice as coarse until it does.
    """
    side = engine.side
    room = 3 * side // 4 if engine.centred else side // 2
    while prompt.span > room * coarser:
        coarser *= 2
    row, col = prompt.centre
    if engine.centred:
        return Place(coarser, row - side // 2 * coarser, col - side // 2 * coarser)
    margin = side // 4
    core = (side - 2 * margin) * coarser
    return Place(coarser, row // core * core - margin * coarser, col // core * core - margin * coarser)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Prompts of one window, by their numbers."""

    place: Place
    prompts: tuple[tuple[int, Prompt], ...]


def asks(prompts: Iterable[tuple[int, Prompt]], engine: PromptEngine, coarser: int) -> Iterator[list[Ask]]:
    """Windows with their prompts, as many in a list as are worth a call of the engine; each prompt once.

    In the order of the windows' places, so that neighbours are read together.
    """
    placed = [(place_of(p, engine, coarser), number, p) for number, p in prompts]
    placed.sort(key=lambda item: (_block(item[0], engine.side), item[0], item[1]))
    if engine.centred:
        found = iter([Ask(place=place, prompts=((number, p),)) for place, number, p in placed])
    else:
        found = iter(
            [
                Ask(place=place, prompts=tuple((number, p) for _, number, p in group))
                for place, group in groupby(placed, key=lambda item: item[0])
            ]
        )
    many = engine.at_once if engine.centred else 1
    while batch := list(islice(found, many)):
        yield batch


def _block(place: Place, side: int) -> tuple[int, int, int]:
    """Square of the scene that a window begins in: those of one are read from the same blocks of a file."""
    return place.coarser, place.row // (4 * side), place.col // (4 * side)


def read_window(scene: Scene, place: Place, side: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Raw pixels (B, side, side) of a window, and where they are valid; outside the scene they are not.

    A coarser pixel is the mean of its valid ones, to the nearest in integers, halves up.
    """
    step, shape = place.coarser, (side, side)
    pixels, valid = np.zeros((scene.count, *shape), scene.dtype), np.zeros(shape, np.bool_)
    rows = max(_STRIP // (side * step * step), 1)
    for begin in range(0, side, rows):
        end = min(begin + rows, side)
        strip = Window(place.row + begin * step, place.col, (end - begin) * step, side * step)
        part = strip.clip(*scene.grid.shape)
        if not part:
            continue
        raw, seen = scene.read(part)
        if step == 1:
            inside = part.slices_in(Window(place.row, place.col, side, side))
            pixels[(slice(None), *inside)], valid[inside] = raw, seen
            continue
        pixels[:, begin:end], valid[begin:end] = _coarse(raw, seen, part, strip, step)
    return pixels, valid


def _coarse(
    raw: NDArray[Any], seen: NDArray[np.bool_], part: Window, strip: Window, step: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Means of blocks of `step` x `step` pixels of a strip, of which `part` is in the scene."""
    blocks = (strip.height // step, step, strip.width // step, step)
    inside = part.slices_in(strip)
    mask = np.zeros(strip.shape, np.bool_)
    mask[inside] = seen
    count = mask.reshape(blocks).sum(axis=(1, 3))
    whole = raw.dtype.kind in "ui"
    out = np.zeros((len(raw), *count.shape), raw.dtype)
    for band, own in zip(out, raw, strict=True):
        full = np.zeros(strip.shape, np.int64 if whole else np.float64)
        full[inside] = np.where(seen, own, 0)
        total, n = full.reshape(blocks).sum(axis=(1, 3)), np.maximum(count, 1)
        band[...] = (2 * total + n) // (2 * n) if whole else total / n
    return out, count > 0
