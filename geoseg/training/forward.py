"""One pass of a network, with errors that say what a job can do about them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import ResourceError, UsageError


def forward(network: nn.Module, x: Tensor, *, autocast: bool = False, **more: Any) -> Any:
    """What the network answers to (N, B, S, S), in mixed precision with `autocast`.

    Raises
    ------
    ResourceError
        Out of memory.
    UsageError
        A batch or a crop that the network does not take.
    """
    try:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
            return network(x, **more)
    except torch.OutOfMemoryError as error:
        raise ResourceError(
            "out of memory on the device", why=str(error).splitlines()[0], hint="a smaller batch or crop"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"the network does not take {x.shape[0]} crops of {x.shape[-1]} px",
            why=str(error).splitlines()[0],
            hint="a batch of 2 or more, or a larger crop",
        ) from error
