"""The training loop: forward, loss, backward, step, average; validation and checkpoint at intervals."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy import metrics
from geoseg.accuracy.matrix import confusion
from geoseg.engines.torch_engine import choose_precision
from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.models.architectures import build
from geoseg.models.bundle import Bundle
from geoseg.models.encoder_weights import download_encoder, load_encoder
from geoseg.models.network import load_network
from geoseg.training.batches import Batches
from geoseg.training.checkpoint import TrainingState, restore, restore_best, store, store_best
from geoseg.training.job import TrainJob
from geoseg.training.light import Light
from geoseg.training.losses import build_loss
from geoseg.training.prepare import Core, Preparation
from geoseg.training.schedule import average_into, rate_factor
from geoseg.training.team import Team

LAST, BEST = "last.safetensors", "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training: the best averaged network, on the CPU and in evaluation mode."""

    network: nn.Module
    progress: TrainingState


def fit(preparation: Preparation, team: Team, work: Path, after: Callable[[TrainingState], None]) -> Trained:
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
    network = _network(preparation, fresh=not resumed).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).train(False).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=job.learning_rate, weight_decay=job.weight_decay)
    progress = restore(work / LAST, preparation.identity, network, average, optimiser)
    wrapped = team.wrap(network)
    batches = Batches(preparation, rank=team.rank, world=team.world)
    loss = build_loss(job, _class_weights(preparation, device))
    autocast = choose_precision(job.precision, device) == "bf16"
    auxiliary = float(getattr(network, "auxiliary_weight", 0.0))
    running: list[float] = []
    started, before = time.monotonic(), progress.seconds
    end = progress.step if progress.ended else job.steps
    for step, (pixels, labels) in enumerate(batches.ahead(progress.step, end), start=progress.step):
        torch.manual_seed(_seed(job.seed, step, team.rank))  # dropout, the same after a restart
        network.train()
        rate = job.learning_rate * rate_factor(step, job.steps, schedule=job.schedule, warmup=job.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x = pixels.to(device).contiguous(memory_format=torch.channels_last)
        outputs = _forward(wrapped, x, autocast=autocast, auxiliary=auxiliary > 0)
        truth = labels.to(device)
        value = loss(outputs[0].float(), truth)
        for more in outputs[1:]:
            value = value + auxiliary * loss(more.float(), truth)
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
            row = _validate(preparation, batches, average, device, autocast)
            row = {"step": progress.step, "loss": round(float(np.mean(running)), 6), "rate": rate, **row}
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
    return Trained(network=average.cpu(), progress=progress)


def _note(
    progress: TrainingState, row: dict[str, Any], average: nn.Module, work: Path, job: TrainJob
) -> None:
    """Enter a validation into the progress; keep the weights if they are wanted, end if none came long."""
    progress.history.append(row)
    found = -1.0 if row["mean_iou"] is None else row["mean_iou"]
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
        _start_from(network, preparation.start)
    if fresh and job.encoder_weights == "hub":
        download_encoder(network, preparation.architecture.encoder)
    elif fresh and job.encoder_weights is not None:
        load_encoder(network, job.encoder_weights)
    _check_output(network, preparation, job.crop)
    return network


def _start_from(network: nn.Module, bundle: Bundle) -> None:
    """Take a bundle's weights; those whose shape depends on the classes stay random if the classes differ."""
    weights, own = load_network(bundle).state_dict(), network.state_dict()
    network.load_state_dict({k: v if v.shape == own[k].shape else own[k] for k, v in weights.items()})


def _forward(
    network: nn.Module, x: Tensor, *, autocast: bool = False, auxiliary: bool = False
) -> tuple[Tensor, ...]:
    """Logits, and with `auxiliary` those of the network's second head; errors that a job can mend say how."""
    try:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
            outputs: tuple[Tensor, ...] = network(x, auxiliary=True) if auxiliary else (network(x),)
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
    return outputs


def _check_output(network: nn.Module, preparation: Preparation, crop: int) -> None:
    network.train(False)
    with torch.no_grad():
        found = _forward(network, torch.zeros(1, len(preparation.contract.bands), crop, crop))[0].shape
    if found != (1, len(preparation.legend), crop, crop):
        raise InputError(
            "the network does not fit the crops",
            why=f"it gives {tuple(found)} for crops of {crop} px and {len(preparation.legend)} classes",
        )


def _class_weights(preparation: Preparation, device: torch.device) -> Tensor | None:
    given, legend = preparation.job.class_weights, preparation.legend
    if given is None:
        return None
    if given == "balanced":
        pixels = preparation.training_pixels.astype(np.float64)
        weights = np.divide(1.0, np.sqrt(pixels), out=np.zeros_like(pixels), where=pixels > 0)
        weights *= (pixels > 0).sum() / weights.sum()
    else:
        weights = np.ones(len(legend))
        for name, weight in given.items():
            weights[legend.ids.index(legend.find(name).id)] = weight
    return torch.tensor(weights, dtype=torch.float32, device=device)


def _seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.default_rng([seed, 3, step, rank]).integers(2**62))


def _state(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


def _validate(
    preparation: Preparation, batches: Batches, network: nn.Module, device: torch.device, autocast: bool
) -> dict[str, Any]:
    """Mean IoU and IoU by class over at most `validation_windows` windows, evenly spread; None without."""
    cores = preparation.cores
    if not cores:
        return {"mean_iou": None, "iou": dict.fromkeys(preparation.legend.names)}
    most = preparation.job.validation_windows
    counts = counted(answers(batches, network, spread(cores, most), device, autocast=autocast), preparation)
    found = dict(zip(preparation.legend.names, metrics.iou(counts).tolist(), strict=True))
    return {
        "mean_iou": round(metrics.mean_iou(counts), 6),
        "iou": {name: None if np.isnan(v) else round(v, 6) for name, v in found.items()},
    }


def spread(cores: Sequence[Core], most: int) -> list[Core]:
    """At most so many of the cores, evenly spread."""
    chosen = np.unique(np.linspace(0, len(cores) - 1, min(most, len(cores))).round().astype(int))
    return [cores[i] for i in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a network says of one validation window.

    Attributes
    ----------
    core
        The window.
    x
        (B, h, w) float32: what the network was shown of it, normalised.
    logits
        (K, h, w) float32.
    truth, guess
        (h, w) uint8: positions of classes; 255 where the truth is not known.
    """

    core: Core
    x: NDArray[np.float32]
    logits: NDArray[np.float32]
    truth: NDArray[np.uint8]
    guess: NDArray[np.uint8]


def answers(
    batches: Batches,
    network: nn.Module,
    cores: Sequence[Core],
    device: torch.device,
    *,
    autocast: bool = False,
    light: Light | None = None,
) -> Iterator[Answer]:
    """Answers for validation windows, in another light if asked for."""
    margin = batches.preparation.margin
    network.train(False)
    for core in cores:
        x, truth = batches.core(core, light)
        rows, cols = (slice(margin, margin + side) for side in core.window.shape)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = (
                network(x.to(device).contiguous(memory_format=torch.channels_last))[0, :, rows, cols]
                .float()
                .cpu()
            )
        yield Answer(
            core=core,
            x=x[0, :, rows, cols].numpy(),
            logits=logits.numpy(),
            truth=truth,
            guess=logits.argmax(dim=0).numpy().astype(np.uint8),
        )


def counted(found: Iterable[Answer], preparation: Preparation) -> NDArray[np.int64]:
    """Confusion counts (K, K) over answers, rows truth."""
    classes = len(preparation.legend)
    total = np.zeros((classes, classes), np.int64)
    for answer in found:
        total += confusion(answer.truth, answer.guess, classes)
    return total
