"""All objects of a tile by a network of prompts: asked at a grid of points, its answers painted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.painting import paint
from geoseg.engines.prompting import Masked, PromptEngine
from geoseg.engines.segments import Detections, TileSegments
from geoseg.errors import UsageError
from geoseg.legend import Legend
from geoseg.models.bundle import Bundle
from geoseg.models.object_rule import ObjectRule
from geoseg.models.prompt import Prompt

_At = tuple[int, int]


class EverythingEngine:
    """A `PromptEngine` asked every so many pixels: a `SegmentEngine`.

    An engine that is centred is asked in windows around each point, as it is with prompts of a layer; what
    reaches the edge of such a window was not seen whole, and is left out. Another sees the tile, filled up to
    its side without data, and encodes it once.
    """

    takes_batches = False

    def __init__(self, bundle: Bundle, engine: PromptEngine, spacing: int) -> None:
        self.legend: Legend = bundle.legend
        self._engine, self._spacing = engine, spacing
        self._rule, self._temperature = bundle.objects or ObjectRule(), bundle.temperature

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        return {**self._engine.identity, "everything": self._spacing}

    def segments(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> list[TileSegments]:
        """Segments of each raw tile (N, C, T, T); see `SegmentEngine`."""
        if valid is None:
            valid = np.ones((len(raw), *raw.shape[2:]), np.bool_)
        return [self._tile(pixels, seen) for pixels, seen in zip(raw, valid, strict=True)]

    def _tile(self, pixels: NDArray[Any], seen: NDArray[np.bool_]) -> TileSegments:
        rows, cols = (range(self._spacing // 2, n, self._spacing) for n in seen.shape)
        points = [(row, col) for row in rows for col in cols if seen[row, col]]
        answers = self._around if self._engine.centred else self._whole
        boxes, masks, scores = [], [], []
        for (row, col), masked in answers(pixels, seen, points):
            if not masked.mask.any():
                continue
            inside = [np.flatnonzero(masked.mask.any(axis=axis)) for axis in (1, 0)]
            (top, bottom), (left, right) = ((int(at[0]), int(at[-1]) + 1) for at in inside)
            boxes.append((row + top, col + left, row + bottom, col + right))
            masks.append(masked.mask[top:bottom, left:right])
            scores.append(masked.score / 100)
        found = Detections(
            scores=np.array(scores, np.float64),
            classes=np.full(len(scores), self.legend.ids[0], np.uint8),
            boxes=np.array(boxes, np.int64).reshape(-1, 4),
            masks=masks,
        )
        return paint(
            found,
            self._rule,
            shape=(int(seen.shape[0]), int(seen.shape[1])),
            valid=seen,
            temperature=self._temperature,
        )

    def _whole(
        self, pixels: NDArray[Any], seen: NDArray[np.bool_], points: list[_At]
    ) -> Iterator[tuple[_At, Masked]]:
        """(first row and column, answer) at each point, in the one window that the tile is."""
        side, (height, width) = self._engine.side, seen.shape
        if max(height, width) > side:
            raise UsageError(
                f"tiles of {height} x {width} pixels are too large for the network",
                why=f"it sees {side} x {side}",
                hint=f"`tile={side}`",
            )
        if points:
            more = ((0, side - height), (0, side - width))
            window, valid = np.pad(pixels, ((0, 0), *more)), np.pad(seen, more)
            (answers,) = self._engine.answer(window[None], valid[None], [[_inside(*at) for at in points]])
            for masked in answers:
                yield (0, 0), masked

    def _around(
        self, pixels: NDArray[Any], seen: NDArray[np.bool_], points: list[_At]
    ) -> Iterator[tuple[_At, Masked]]:
        """The same, in a window around each point."""
        side, many = self._engine.side, self._engine.at_once
        half, prompt = side // 2, _inside(side // 2, side // 2)
        more = ((half, side - half), (half, side - half))
        padded, valid = np.pad(pixels, ((0, 0), *more)), np.pad(seen, more)
        for begin in range(0, len(points), many):
            part = points[begin : begin + many]
            windows = np.stack([padded[:, row : row + side, col : col + side] for row, col in part])
            known = np.stack([valid[row : row + side, col : col + side] for row, col in part])
            answers = self._engine.answer(windows, known, [[prompt]] * len(part))
            for (row, col), (masked,) in zip(part, answers, strict=True):
                if not _reaches_edge(masked.mask):
                    yield (row - half, col - half), masked


def _inside(row: int, col: int) -> Prompt:
    """One point in the object."""
    return Prompt(points=np.array([[row, col]], np.int64), inside=np.ones(1, np.bool_))


def _reaches_edge(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
