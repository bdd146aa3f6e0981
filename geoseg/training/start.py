"""The weights that a training starts from, and the way back to them."""

from __future__ import annotations

import torch
from torch import nn

from geoseg.errors import InputError
from geoseg.models.architectures import build
from geoseg.models.bundle import Bundle
from geoseg.models.encoder_weights import download_encoder, load_encoder
from geoseg.models.network import load_network
from geoseg.training.prepare import Preparation


def starting_network(preparation: Preparation, *, fresh: bool) -> nn.Module:
    """Network of the job; a fresh one has the weights that the job starts from."""
    job = preparation.job
    network = build(
        preparation.architecture, bands=len(preparation.contract.bands), classes=len(preparation.legend)
    )
    if preparation.start is not None:
        _start_from(network, preparation.start, other=job.model is not None)
    if fresh and job.encoder_weights == "hub":
        download_encoder(network, preparation.architecture.encoder)
    elif fresh and job.encoder_weights is not None:
        load_encoder(network, job.encoder_weights)
    return network


def _start_from(network: nn.Module, bundle: Bundle, *, other: bool) -> None:
    """Take a bundle's weights of the same names and shapes; others, as of other classes, stay random.

    Raises
    ------
    InputError
        Not one of them fits an `other` architecture.
    """
    own = network.state_dict()
    taken = {
        k: v for k, v in load_network(bundle).state_dict().items() if k in own and v.shape == own[k].shape
    }
    if other and not any(value.is_floating_point() for value in taken.values()):
        raise InputError(
            "nothing of the bundle to start from fits the model",
            where=bundle.path,
            why=f"it is {bundle.architecture.name} over {bundle.architecture.encoder or 'no encoder'}",
            hint="a model over the same encoder, or a training without start",
        )
    network.load_state_dict({**own, **taken})


@torch.no_grad()
def go_back(network: nn.Module, bundle: Bundle, share: float) -> None:
    """Move weights and buffers towards a bundle's, by a share of the way."""
    for value, before in zip(
        network.state_dict().values(), load_network(bundle).state_dict().values(), strict=True
    ):
        if value.is_floating_point():
            value.lerp_(before.to(value.device), share)
