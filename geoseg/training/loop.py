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
from geoseg.training.batches import ahead
from geoseg.training.checkpoint import TrainingState, restore, restore_best, store, store_best
from geoseg.training.course import Course
from geoseg.training.schedule import average_into, rate_factor
from geoseg.training.task import Figures
from geoseg.training.team import Team

LAST, BEST = "last.safetensors", "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What a network learns from.

    Attributes
    ----------
    at
        Batch of a step, counted from 0: pixels (N, B, S, S), and what is taught of them.
    loss
        Loss of a network, given both.
    figures
        How good a network is.
    """

    at: Callable[[int], tuple[Tensor, Any]]
    loss: Callable[[nn.Module, Tensor, Any], Tensor]
    figures: Callable[[nn.Module], Figures]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training: the best averaged network, on the CPU and in evaluation mode."""

    network: nn.Module
    progress: TrainingState


def fit(
    start: Callable[[bool], nn.Module],
    lessons: Lessons,
    course: Course,
    team: Team,
    work: Path,
    after: Callable[[TrainingState], None],
) -> Trained:
    """Train to the end, from the last checkpoint in `work` if there is one.

    Parameters
    ----------
    start
        Gives the network; told whether it is needed with the weights that it starts from.
    after
        Called by the leader after each validation, when its checkpoint is written.

    Raises
    ------
    InputError
        The loss is not finite.
    """
    device = team.device
    torch.manual_seed(course.seed)
    network = start(not (work / LAST).is_file())
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).train(False).requires_grad_(False)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=course.learning_rate, weight_decay=course.weight_decay
    )
    progress = restore(work / LAST, course.identity, network, average, optimiser)
    wrapped = team.wrap(network)
    running: list[float] = []
    started, before = time.monotonic(), progress.seconds
    end = progress.step if progress.ended else course.steps
    for step, (pixels, taught) in enumerate(ahead(lessons.at, progress.step, end), start=progress.step):
        torch.manual_seed(_seed(course.seed, step, team.rank))  # dropout, the same after a restart
        network.train()
        rate = _set_rate(optimiser, course, step)
        x = pixels.to(device).contiguous(memory_format=torch.channels_last)
        loss = lessons.loss(wrapped, x, taught)
        running.append(_descend(loss, network, optimiser, step=step, clip=course.clip))
        average_into(_state(average), _state(network), step=step, decay=course.average)
        progress.step = step + 1
        if progress.step % course.every and progress.step < course.steps:
            continue
        if team.leads:
            row: dict[str, Any] = {
                "step": progress.step,
                "loss": round(float(np.mean(running)), 6),
                "rate": rate,
                "figures": lessons.figures(average),
            }
            progress.seconds = before + time.monotonic() - started
            _note(progress, row, average, work, course)
            progress.ended |= progress.step >= course.steps
            store(work / LAST, progress, network, average, optimiser)
            after(progress)
        running.clear()
        if team.agree(progress.ended):
            break
    if team.leads:
        restore_best(work / BEST, average)
    return Trained(network=average.cpu(), progress=progress)


def _set_rate(optimiser: torch.optim.Optimizer, course: Course, step: int) -> float:
    """Learning rate of a step, which the optimiser is told."""
    factor = rate_factor(step, course.steps, schedule=course.schedule, warmup=course.warmup)
    rate = course.learning_rate * factor
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate


def _descend(
    loss: Tensor, network: nn.Module, optimiser: torch.optim.Optimizer, *, step: int, clip: float
) -> float:
    """The loss, from which the weights were moved down; InputError if it is not finite."""
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss is not finite at step {step + 1}",
            why="the learning rate is too large, or values of the images are extreme",
            hint="a smaller learning_rate; the same command goes on from the last checkpoint",
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()
    return float(loss.detach())


def _note(
    progress: TrainingState, row: dict[str, Any], average: nn.Module, work: Path, course: Course
) -> None:
    """Enter a validation into the progress; keep the weights if they are wanted, end if none came long."""
    progress.history.append(row)
    first = next(iter(row["figures"].values()))
    found = -1.0 if first is None else first
    if course.keeps_last or found > progress.best:
        progress.best, progress.best_step = found, row["step"]
        store_best(work / BEST, average, row["step"])
    since = sum(r["step"] > progress.best_step for r in progress.history)
    progress.ended = course.patience is not None and since >= course.patience


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.default_rng([seed, 3, step, rank]).integers(2**62))


def _state(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())
