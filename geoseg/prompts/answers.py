"""Prompts answered: window by window through an engine, each by its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.engines.prompting import Masked, PromptEngine
from geoseg.models.prompt import Prompt
from geoseg.outlines.coverage import Generalization
from geoseg.outlines.square import SquareCount
from geoseg.prompts.outline import Outline, meant, outline_of
from geoseg.prompts.windows import Ask, asks, read_window
from geoseg.raster.scene import Scene

STATUS = ("ok", "empty", "outside", "nodata")
"""Outlined; nothing found; not on the scene; on pixels without data."""

NO_SCORE = -1

Progress = Callable[[int, int], None]
"""Called with the prompts answered, and all."""


class Answers:
    """Answers by the prompt's number: numbers in memory, outlines in a file as they come.

    `how` says how they are drawn; along the edges of pixels where it is None.
    """

    def __init__(self, count: int, file: IO[bytes], how: Generalization | None = None) -> None:
        self._file, self.how = file, how
        self.status = np.full(count, STATUS.index("outside"), np.uint8)
        self.score = np.full(count, NO_SCORE, np.int16)
        self.pixels, self.cut = np.zeros(count, np.int64), np.zeros(count, np.bool_)
        self.square_metres = np.full(count, np.nan)
        self.squares = SquareCount()
        self._place = np.zeros((count, 2), np.int64)

    def __len__(self) -> int:
        return len(self.status)

    def add(self, number: int, status: str, score: int = NO_SCORE) -> None:
        """An answer without an outline."""
        self.status[number], self.score[number] = STATUS.index(status), score

    def add_outline(self, number: int, score: int, outline: Outline) -> None:
        """An object."""
        self.add(number, "ok", score)
        self.pixels[number], self.cut[number] = outline.pixels, outline.cut
        self.square_metres[number] = outline.square_metres
        self.squares.add(outline.overlap)
        wkb = shapely.to_wkb(outline.shape)
        self._place[number] = self._file.seek(0, 2), len(wkb)
        self._file.write(wkb)

    def shapes(self, part: slice) -> NDArray[np.object_]:
        """Outlines of some prompts; None where there is none."""
        found = np.full(len(self.status[part]), None, object)
        for i, (begin, size) in enumerate(self._place[part].tolist()):
            if size:
                self._file.seek(begin)
                found[i] = shapely.from_wkb(self._file.read(size))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A window with those of its prompts that lie on data."""

    ask: Ask
    raw: NDArray[np.generic]
    valid: NDArray[np.bool_]
    prompts: tuple[tuple[int, Prompt], ...]


def answer_all(
    scene: Scene,
    engine: PromptEngine,
    prompts: tuple[Prompt | None, ...],
    coarser: int,
    answers: Answers,
    progress: Progress | None = None,
) -> int:
    """Windows that were encoded, once every prompt that lies on the scene is answered.

    Parameters
    ----------
    coarser
        Pixels of the scene along one that the model sees, at least.
    """
    on_scene = [(number, p) for number, p in enumerate(prompts) if p is not None]
    done, windows = len(prompts) - len(on_scene), 0
    for batch in asks(on_scene, engine, coarser):
        read = [_read(scene, engine, ask) for ask in batch]
        for one in read:
            with_data = {number for number, _ in one.prompts}
            for number, _ in one.ask.prompts:
                if number not in with_data:
                    answers.add(number, "nodata")
        asked = [one for one in read if one.prompts]
        if asked:
            windows += len(asked)
            _answer(scene, engine, asked, answers)
        done += sum(len(ask.prompts) for ask in batch)
        if progress is not None:
            progress(done, len(prompts))
    return windows


def _read(scene: Scene, engine: PromptEngine, ask: Ask) -> _Read:
    raw, valid = read_window(scene, ask.place, engine.side)
    local = [(n, p.within(ask.place.row, ask.place.col, ask.place.coarser)) for n, p in ask.prompts]
    return _Read(ask=ask, raw=raw, valid=valid, prompts=tuple(x for x in local if _has_data(valid, x[1])))


def _has_data(valid: NDArray[np.bool_], prompt: Prompt) -> bool:
    """Whether a pixel with data is under a point in the object, or within the box."""
    rows, cols = prompt.points[prompt.inside].T
    if valid[rows, cols].any():
        return True
    if prompt.box is None:
        return False
    row, col, row_end, col_end = (max(end, 0) for end in prompt.box)
    return bool(valid[row:row_end, col:col_end].any())


def _answer(scene: Scene, engine: PromptEngine, asked: list[_Read], answers: Answers) -> None:
    raw, valid = np.stack([one.raw for one in asked]), np.stack([one.valid for one in asked])
    found = engine.answer(raw, valid, [[p for _, p in one.prompts] for one in asked])
    for one, masked in zip(asked, found, strict=True):
        for (number, prompt), mask in zip(one.prompts, masked, strict=True):
            _keep(scene, one, number, prompt, mask, answers)


def _keep(scene: Scene, one: _Read, number: int, prompt: Prompt, masked: Masked, answers: Answers) -> None:
    mask = meant(masked.mask, prompt)
    if mask.any():
        answers.add_outline(number, masked.score, outline_of(mask, one.ask.place, scene.grid, answers.how))
    else:
        answers.add(number, "empty")
