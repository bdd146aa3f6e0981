"""From a bundle's files to a network ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import Bundle
from geoseg.models.weights import check_weights, compare_weights, with_counters

if TYPE_CHECKING:
    from torch import nn


def load_network(bundle: Bundle) -> nn.Module:
    """Network with a bundle's weights as float32, in evaluation mode, on the CPU.

    One of several tasks is told which is in force.

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
    shape = {"bands": len(bundle.contract.bands), "classes": len(bundle.legend)}
    check_weights(weights, bundle.architecture, **shape, where=bundle.weights)
    network = build(bundle.architecture, **shape)
    network.load_state_dict(weights)
    if len(bundle.tasks) > 1:
        cast(Any, network).task = bundle.task
    return network.eval().requires_grad_(False)


def fill_network(
    architecture: Architecture, weights: Mapping[str, NDArray[Any]], *, bands: int, classes: int
) -> nn.Module:
    """Network whose weights are these arrays; InputError for names or shapes that do not fit."""
    network = build(architecture, bands=bands, classes=classes)
    expected = network.state_dict()
    tensors = {key: torch.from_numpy(np.array(value, order="C")) for key, value in weights.items()}
    tensors = with_counters(tensors, expected)
    compare_weights(tensors, expected, where=None)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)
