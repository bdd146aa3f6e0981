"""The processes that train together: one by default, several under torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from geoseg.engines.torch_engine import choose_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """One process among those that train together.

    Attributes
    ----------
    rank, world
        Its number and how many there are; the one with rank 0 validates and writes.
    device
        Where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Network whose gradients are the mean over all processes.

        On GPUs batch norms take the statistics of the whole batch; torch has none that do so on CPUs, where
        each process normalises its own part and the leader's running statistics count. The network itself is
        changed in that, and keeps its parameters and buffers.
        """
        if self.world == 1:
            return network
        if self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        devices = [self.device.index] if self.device.type == "cuda" else None
        # some decoders leave a part of their encoder unused, whose gradients would be waited for
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True)

    def agree(self, ended: bool) -> bool:
        """What the leader says; the others wait for it."""
        if self.world == 1:
            return ended
        flag = torch.tensor(int(ended), device=self.device)
        torch.distributed.broadcast(flag, 0)
        return bool(flag.item())


@contextmanager
def join_team(device: str) -> Iterator[Team]:
    """Team of this process: of the environment variables that torchrun sets, else of one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world <= 1:
        yield Team(rank=0, world=1, device=choose_device(device))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = choose_device(f"cuda:{local}" if device == "auto" and torch.cuda.is_available() else device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Team(rank=torch.distributed.get_rank(), world=world, device=chosen)
    finally:
        torch.distributed.destroy_process_group()
