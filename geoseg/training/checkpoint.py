"""Checkpoints: all that a training needs to go on, in one safetensors file, replaced whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.errors import InputError, OutputConflictError
from geoseg.files import whole

_STATE = "geoseg"


@dataclass(kw_only=True)
class TrainingState:
    """How far a training is.

    Attributes
    ----------
    identity
        Of the job and its data; a checkpoint of another one is refused.
    step
        Steps done.
    seconds
        Time spent.
    history
        One row per validation: step, loss, rate and the task's figures.
    best, best_step
        Best value of the first figure, and its step.
    ended
        Whether no further step follows.
    """

    identity: str
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float = -1.0
    best_step: int = 0
    ended: bool = False


def store(
    path: Path,
    progress: TrainingState,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write everything to `path`: weights, their average, the optimiser's moments, and the progress."""
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": torch.as_tensor(v) for k, v in moments.items()}
    _write(path, tensors, vars(progress))


def restore(
    path: Path, identity: str, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> TrainingState:
    """State that the checkpoint holds, with everything read back; a fresh one where there is no file.

    Raises
    ------
    OutputConflictError
        The checkpoint is of another job or of other data.
    InputError
        It is damaged.
    """
    if not path.is_file():
        return TrainingState(identity=identity)
    tensors, state = _read(path)
    if state.get("identity") != identity:
        raise OutputConflictError(
            "holds a training of another job or of other data",
            where=path.parent,
            hint="another out, or `overwrite` to start again",
        )
    network.load_state_dict(_part(tensors, "network."))
    average.load_state_dict(_part(tensors, "average."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimiser.").items():
        number, _, name = key.partition(".")
        moments.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    return TrainingState(**state)


def store_best(path: Path, average: nn.Module, step: int) -> None:
    """Write the weights that were validated best so far."""
    _write(path, dict(average.state_dict()), {"step": step})


def restore_best(path: Path, average: nn.Module) -> None:
    """Read them back."""
    average.load_state_dict(_read(path)[0])


def _write(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with whole(path, SafetensorError) as partial:
        save_file(plain, partial, metadata={_STATE: json.dumps(dict(state))})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_STATE])
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(
            "damaged checkpoint", where=path, why=str(error), hint="`overwrite` to start again"
        ) from None


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
