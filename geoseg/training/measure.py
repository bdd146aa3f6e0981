"""What a network says of validation windows, one at a time, and what is counted of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.accuracy.matrix import confusion
from geoseg.training.batches import Batches
from geoseg.training.light import Light
from geoseg.training.prepare import Core, Preparation


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
    without: Sequence[str] = (),
) -> Iterator[Answer]:
    """Answers for validation windows, in another light or without some sensors if asked for."""
    margin = batches.preparation.margin
    network.train(False)
    for core in cores:
        x, truth = batches.core(core, light, without)
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
