"""A network of prompts without weights: an object is what has the value of the pixel under the point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.object_rule import ObjectRule
from geoseg.models.prompt import Prompt


class SameValueNetwork(nn.Module):
    """A `PromptNetwork`; the score follows from the value."""

    def __init__(self, side: int, centred: bool) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.side, self.centred = side, centred

    def embed(self, x: Tensor) -> Tensor:
        return x[:, 0].round()

    def answer(self, embedded: Tensor, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        masks, scores = [], []
        for i, prompt in enumerate(prompts):
            values = embedded[i if self.centred else 0]
            row, col = prompt.points[0].tolist()
            masks.append(((values == values[row, col]) & (values > 0)).float())
            scores.append(0.5 + values[row, col] % 50 / 100)
        return torch.stack(masks), torch.stack(scores)


def same_value(*, encoder: str, bands: int, classes: int, side: int, centred: bool) -> nn.Module:
    """Areas of the value under a point."""
    return SameValueNetwork(side, centred)


def save_same_value(path: Path, *, side: int, centred: bool) -> Path:
    """Bundle of it; its architecture needs ``GEOSEG_ARCHITECTURES=tests``."""
    architecture = Architecture(
        name="tests.prompts.same_value:same_value", arguments={"side": side, "centred": centred}
    )
    model = ModelDescription(
        name=path.name,
        version="1",
        architecture=architecture,
        contract=InputContract(
            bands=(Band(name="objects"), Band(name="ground")),
            dtype="uint16",
            value_range=(0, 65535),
            mean=(0.0, 0.0),
            std=(1.0, 1.0),
            pixel_size=(0.1, 100.0),
        ),
        legend=Legend.of({3: "object"}),
        licence="none",
        margin=16,
        size_multiple=16,
        tasks=("promptable",),
        objects=ObjectRule(min_pixels=4, per_tile=1000),
    )
    save_bundle(path, build(architecture, bands=2, classes=1), model)
    return path
