"""From a bundle's files to a network ready to run, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.architectures import Architecture, build

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geoseg.models.bundle import Bundle


def load_network(bundle: Bundle) -> nn.Module:
    """Network with a bundle's weights as float32, in evaluation mode, on the CPU.

    Raises
    ------
    InputError
        Weights that do not fit the architecture (first five keys named) or that are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(bundle.weights)
    except (SafetensorError, OSError) as error:
        raise InputError("not a safetensors file", where=bundle.weights, why=str(error)) from None
    weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    network = build(bundle.architecture, bands=len(bundle.contract.bands), classes=len(bundle.legend))
    compare_weights(weights, network.state_dict(), where=bundle.weights)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def fill_network(
    architecture: Architecture, weights: Mapping[str, NDArray[Any]], *, bands: int, classes: int
) -> nn.Module:
    """Network whose weights are these arrays; InputError for names or shapes that do not fit."""
    network = build(architecture, bands=bands, classes=classes)
    expected = network.state_dict()
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in weights.items()}
    compare_weights(tensors, expected, where=None)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)


def check_weights(
    weights: Mapping[str, Tensor], architecture: Architecture, *, bands: int, classes: int
) -> None:
    """Nothing, if these weights fit the architecture and are finite; InputError names what does not."""
    with torch.device("meta"):
        expected = build(architecture, bands=bands, classes=classes).state_dict()
    compare_weights(weights, expected, where=None)


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
