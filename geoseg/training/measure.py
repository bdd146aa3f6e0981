"""Labels of a network beside those of validation windows, counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy.calibration import CalibrationSample
from geoseg.accuracy.matrix import confusion
from geoseg.training.batches import Batches
from geoseg.training.light import Light
from geoseg.training.prepare import Core


def spread(cores: Sequence[Core], most: int) -> list[Core]:
    """At most so many of the cores, evenly spread."""
    chosen = np.unique(np.linspace(0, len(cores) - 1, min(most, len(cores))).round().astype(int))
    return [cores[i] for i in chosen]


@torch.inference_mode()
def measure(
    batches: Batches,
    network: nn.Module,
    cores: Sequence[Core],
    device: torch.device,
    *,
    autocast: bool = False,
    light: Light | None = None,
    sample: CalibrationSample | None = None,
    watch: Callable[[int, Tensor, NDArray[np.uint8], NDArray[np.uint8]], None] | None = None,
) -> NDArray[np.int64]:
    """Confusion counts (K, K) over validation windows, in another light if asked for.

    Logits go to `sample`, pictures to `watch`.
    """
    preparation = batches.preparation
    total = np.zeros((len(preparation.legend),) * 2, np.int64)
    network.train(False)
    for core in cores:
        x, truth = batches.core(core, light)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = network(x.to(device).contiguous(memory_format=torch.channels_last))
        height, width = core.window.shape
        margin = preparation.margin
        logits = logits[0, :, margin : margin + height, margin : margin + width].float().cpu()
        guess = logits.argmax(dim=0).numpy().astype(np.uint8)
        total += confusion(truth, guess, len(total))
        if sample is not None:
            sample.add(logits.numpy(), truth, window=core.number)
        if watch is not None:
            watch(core.number, x[0, :, margin : margin + height, margin : margin + width], truth, guess)
    return total
