"""What a chunk knows of its objects as bytes, so that another process can go on with it."""

from __future__ import annotations

import io
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.objects.matching import Strip
from geoseg.objects.pieces import Rim


def pack(table: NDArray[np.void], rim: Rim) -> NDArray[np.uint8]:
    """(n,) uint8 that `unpack` takes apart again."""
    arrays: dict[str, NDArray[Any]] = {"table": table}
    for side in fields(Rim):
        strips = getattr(rim, side.name)
        run = [strip for strip in strips if strip is not None]
        arrays |= {
            f"{side.name}_run": np.array([strip is not None for strip in strips], np.bool_),
            f"{side.name}_ids": np.stack([s.ids for s in run]) if run else np.zeros((0, 0, 0), np.uint16),
            f"{side.name}_sizes": np.array([len(s.node) for s in run], np.int64),
            f"{side.name}_class_id": _joined([s.class_id for s in run], np.uint8),
            f"{side.name}_node": _joined([s.node for s in run], np.int64),
        }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def unpack(packed: NDArray[np.uint8]) -> tuple[NDArray[np.void], Rim]:
    """(PIECE table, rim) of a chunk."""
    with np.load(io.BytesIO(packed.tobytes()), allow_pickle=False) as arrays:
        return arrays["table"], Rim(**{side.name: _side(arrays, side.name) for side in fields(Rim)})


def _side(arrays: Any, name: str) -> tuple[Strip | None, ...]:
    ends = np.cumsum(arrays[f"{name}_sizes"])[:-1]
    parts = zip(
        arrays[f"{name}_ids"],
        np.split(arrays[f"{name}_class_id"], ends),
        np.split(arrays[f"{name}_node"], ends),
        strict=False,  # split gives one empty part where there is none
    )
    strips = (Strip(ids=ids, class_id=class_id, node=node) for ids, class_id, node in parts)
    return tuple(next(strips) if run else None for run in arrays[f"{name}_run"])


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *parts])
