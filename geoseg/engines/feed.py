"""Raw tiles on their way into a network: checked, normalised, as many at once as it takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.engine import check_tiles
from geoseg.engines.pixels import Array, Arrays, normalise
from geoseg.errors import ResourceError
from geoseg.models.bundle import Bundle

_OUT_OF_MEMORY = re.compile("out of memory|allocate memory|failed to allocate|bad.?alloc", re.IGNORECASE)

A = TypeVar("A")


class Fed(Protocol):
    """What is fed."""

    @property
    def arrays(self) -> Arrays:
        """What it computes with."""
        ...

    @property
    def takes_batches(self) -> bool:
        """Whether a whole batch is one forward pass; else its tiles are passed one by one."""
        ...


class Feed:
    """Tiles of a bundle for its network; `smaller` says what to try where memory is too small."""

    def __init__(self, bundle: Bundle, network: Fed, *, smaller: str) -> None:
        self._smaller = smaller
        self._arrays, self._whole = network.arrays, network.takes_batches
        self._bands, self._multiple = len(bundle.contract.bands), bundle.size_multiple
        send = network.arrays.send
        self._gain, self._shift = send(bundle.contract.gain), send(bundle.contract.shift)

    def each(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None, answer: Callable[[Array], A]
    ) -> list[A]:
        """What `answer` makes of normalised tiles (n, C, T, T), pass by pass, over all raw ones (N, C, T, T).

        Raises
        ------
        UsageError
            Tiles of a shape that the network cannot take.
        ResourceError
            Out of memory.
        """
        check_tiles(raw, valid, bands=self._bands, multiple=self._multiple)
        arrays, at_once = self._arrays, max(len(raw), 1) if self._whole else 1
        answers = []
        try:
            for start in range(0, len(raw), at_once):
                part = slice(start, start + at_once)
                mask = None if valid is None else arrays.send(valid[part])
                x = normalise(arrays.send(raw[part]), mask, self._gain, self._shift, arrays.xp)
                answers.append(answer(x))
        except Exception as error:  # every library has its own for this
            if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
                raise
            raise ResourceError(
                f"out of memory for {len(raw)} tiles of {raw.shape[2]} x {raw.shape[3]}",
                why=(str(error) or type(error).__name__).splitlines()[0],
                hint=self._smaller,
            ) from error
        return answers
