"""The training loop: forward, loss, backward, step, average; validation and checkpoint at intervals."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from geoseg.errors import InputError
from geoseg.models.architectures import build
from geoseg.models.bundle import Bundle
from geoseg.models.encoder_weights import download_encoder, load_encoder
from geoseg.models.network import load_network
from geoseg.training.batches import Batches
from geoseg.training.checkpoint import TrainingState, restore, restore_best, store, store_best
from geoseg.training.job import TrainJob
from geoseg.training.prepare import Preparation
from geoseg.training.schedule import average_into, rate_factor
from geoseg.training.task import Task
from geoseg.training.team import Team

LAST, BEST = "last.safetensors", "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training: the best averaged network, on the CPU and in evaluation mode."""

    network: nn.Module
    progress: TrainingState


def fit(
    preparation: Preparation, task: Task, team: Team, work: Path, after: Callable[[TrainingState], None]
) -> Trained:
    """Train to the end, from the last checkpoint in `work` if there is one.

    Parameters
    ----------
    after
        Called by the leader after each validation, when its checkpoint is written.

    Raises
    ------
    InputError
        The loss is not finite.
    """
    job, device = preparation.job, team.device
    torch.manual_seed(job.seed)
    resumed = (work / LAST).is_file()
    network = _network(preparation, fresh=not resumed)
    task.check(network)
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).train(False).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=job.learning_rate, weight_decay=job.weight_decay)
    progress = restore(work / LAST, preparation.identity, network, average, optimiser)
    wrapped = team.wrap(network)
    batches = Batches(preparation, rank=team.rank, world=team.world)
    running: list[float] = []
    started, before = time.monotonic(), progress.seconds
    end = progress.step if progress.ended else job.steps
    for step, (pixels, taught) in enumerate(batches.ahead(progress.step, end), start=progress.step):
        torch.manual_seed(_seed(job.seed, step, team.rank))  # dropout, the same after a restart
        network.train()
        rate = job.learning_rate * rate_factor(step, job.steps, schedule=job.schedule, warmup=job.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x = pixels.to(device).contiguous(memory_format=torch.channels_last)
        value = task.loss(wrapped, x, taught)
        if not torch.isfinite(value):
            raise InputError(
                f"the loss is not finite at step {step + 1}",
                why="the learning rate is too large, or values of the images are extreme",
                hint="a smaller learning_rate; the same command goes on from the last checkpoint",
            )
        optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), job.clip)
        optimiser.step()
        average_into(_state(average), _state(network), step=step, decay=job.average)
        running.append(float(value.detach()))
        progress.step = step + 1
        if progress.step % job.validate_every and progress.step < job.steps:
            continue
        if team.leads:
            row: dict[str, Any] = {
                "step": progress.step,
                "loss": round(float(np.mean(running)), 6),
                "rate": rate,
            }
            row["figures"] = task.figures(batches, average)
            progress.seconds = before + time.monotonic() - started
            _note(progress, row, average, work, job)
            progress.ended |= progress.step >= job.steps
            store(work / LAST, progress, network, average, optimiser)
            after(progress)
        running.clear()
        if team.agree(progress.ended):
            break
    if team.leads:
        restore_best(work / BEST, average)
        if job.start_share:
            _go_back(average, preparation.start, job.start_share)
    return Trained(network=average.cpu(), progress=progress)


def _note(
    progress: TrainingState, row: dict[str, Any], average: nn.Module, work: Path, job: TrainJob
) -> None:
    """Enter a validation into the progress; keep the weights if they are wanted, end if none came long."""
    progress.history.append(row)
    first = next(iter(row["figures"].values()))
    found = -1.0 if first is None else first
    if job.keeps_last or found > progress.best:
        progress.best, progress.best_step = found, row["step"]
        store_best(work / BEST, average, row["step"])
    since = sum(r["step"] > progress.best_step for r in progress.history)
    progress.ended = job.patience is not None and since >= job.patience


def _network(preparation: Preparation, *, fresh: bool) -> nn.Module:
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
def _go_back(network: nn.Module, bundle: Bundle | None, share: float) -> None:
    """Move weights and buffers towards a bundle's, by a share of the way."""
    assert bundle is not None
    for value, before in zip(_state(network), _state(load_network(bundle)), strict=True):
        if value.is_floating_point():
            value.lerp_(before.to(value.device), share)


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.default_rng([seed, 3, step, rank]).integers(2**62))


def _state(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())
