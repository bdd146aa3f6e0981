"""Weights: tensors by name, compared with what an architecture expects, and written to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geoseg.errors import InputError
from geoseg.models.architectures import Architecture, build

if TYPE_CHECKING:
    from torch import Tensor

_COUNTER = "num_batches_tracked"


def check_weights(
    weights: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    bands: int,
    classes: int,
    where: object = None,
) -> None:
    """Nothing, if these weights fit the architecture and are finite; InputError names what does not."""
    expected = _expected(json.dumps(architecture.to_json()), bands, classes)
    compare_weights(weights, expected, where=where)


@lru_cache(maxsize=32)
def _expected(described: str, bands: int, classes: int) -> Mapping[str, Tensor]:
    """Weights as an architecture, described in JSON, has them.

    The network is built without any memory: a description can ask for as large a one as it likes.
    """
    with torch.device("meta"):
        network = build(Architecture.from_json(json.loads(described)), bands=bands, classes=classes)
    return network.state_dict()


def write_weights(weights: Mapping[str, Tensor], path: Path, *, half: bool) -> None:
    """Safetensors file of these weights; `half` stores floating-point tensors as float16.

    Raises
    ------
    InputError
        A value too large for float16.
    """
    from safetensors.torch import save

    stored: dict[str, Tensor] = {}
    for key, value in weights.items():
        tensor = value.detach().cpu().contiguous().clone()
        if half and tensor.is_floating_point():
            tensor = tensor.half()
            if not torch.isfinite(tensor).all():
                raise InputError(f"weight {key!r} is too large for float16", hint="half=False")
        stored[key] = tensor
    path.write_bytes(save(stored))  # save_file would make it private to its owner


def with_counters(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the batch norms' counters, which files of others lack; nothing depends on them."""
    counters = {key: value for key, value in expected.items() if key.endswith(_COUNTER)}
    return {**counters, **found}


def compare_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, where: object) -> None:
    """Nothing, if names and shapes are the expected ones and values are finite; else InputError."""
    missing, unexpected = (sorted(a.keys() - b.keys()) for a, b in ((expected, found), (found, expected)))
    if missing or unexpected:
        parts = [
            f"{len(keys)} {word}: {', '.join(keys[:5])}{' ...' if len(keys) > 5 else ''}"
            for word, keys in (("missing", missing), ("unexpected", unexpected))
            if keys
        ]
        raise InputError("weights do not fit the architecture", where=where, why="; ".join(parts))
    for key, tensor in found.items():
        if tensor.shape != expected[key].shape:
            raise InputError(
                f"weight {key!r} has another shape",
                where=where,
                why=f"found {tuple(tensor.shape)}, expected {tuple(expected[key].shape)} "
                "from the architecture, the bands and the classes",
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"weight {key!r} is not finite", where=where)
