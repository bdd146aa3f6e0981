"""The training of the click network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from click_network.clicks import Sample, draw, next_click
from click_network.places import Place
from click_network.windows import WINDOW
from torch import Tensor, nn

from geoseg.models.clicks import Clicks

FROZEN = ("conv_stem", "bn1", *(f"blocks.{i}" for i in range(5)))
"""Parts of the encoder that are not trained: down to a sixteenth of the resolution."""
_WIDER, _SHARE_OF_WIDER = 224, 0.2
_STORED_EVERY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How it is trained: steps of so many windows, and the highest rate of the decoder."""

    steps: int
    batch: int = 8
    rate: float = 1e-3

    def rate_at(self, step: int) -> float:
        """Up over 30 steps, then down along half a cosine."""
        falling = 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return float(self.rate * min(1.0, (step + 1) / 30) * (0.02 + 0.98 * falling))


def train(network: Clicks, kinds: Mapping[str, Sequence[Place]], checkpoint: Path, course: Course) -> None:
    """The loop: AdamW, one cycle, and a running average of the weights, which the network gets.

    It goes on from the checkpoint if there is one.
    """
    for kind, places in kinds.items():
        click.echo(f"{kind}: {len(places)} places, {sum(len(p.targets) for p in places)} targets")
    still(network)
    encoder = [p for p in network.encoder.parameters() if p.requires_grad]
    own = [p for n, p in network.named_parameters() if not n.startswith("encoder.")]
    optimiser = torch.optim.AdamW([{"params": encoder}, {"params": own}], weight_decay=1e-3)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    begin = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        average, begin = saved["average"], saved["step"]
    mean = 0.0
    for step in range(begin, course.steps):
        rng = np.random.default_rng((7, step))
        for group, part in zip(optimiser.param_groups, (1 / 3, 1.0), strict=True):
            group["lr"] = part * course.rate_at(step)
        still(network)
        wide = rng.random() >= 1 - _SHARE_OF_WIDER
        many, side = (course.batch // 3, _WIDER) if wide else (course.batch, WINDOW)
        loss = step_of(network, [draw(kinds, rng, side) for _ in range(many)], rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        keep = min(0.99, (step + 1) / (step + 10))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                average[key].lerp_(value, 1 - keep)
        mean = loss.item() if step == begin else 0.98 * mean + 0.02 * loss.item()
        if (step + 1) % _STORED_EVERY == 0 or step + 1 == course.steps:
            click.echo(f"{step + 1} of {course.steps}: loss {mean:.4f}")
            kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**kept, "average": average, "step": step + 1}, checkpoint)
    network.load_state_dict(average)


def step_of(network: Clicks, samples: Sequence[Sample], rng: np.random.Generator) -> Tensor:
    """Loss of one batch; most have an answer before, and mostly a click on its largest error."""
    mask = torch.stack([s.mask for s in samples])[:, None].float()
    features, before = network.embed(images_of(samples)), None
    if rng.random() < 0.6:
        with torch.no_grad():
            before = network.decode([f.detach() for f in features], guided(samples, None)).sigmoid()[:, 0]
        for sample, answer in zip(samples, before, strict=True):
            if rng.random() < 0.6:
                sample.points.append(next_click(sample.mask.numpy(), (answer > 0.5).numpy(), rng))
    return loss_of(network.decode(features, guided(samples, before)), mask)


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Normalised focal loss (Sofiiuk et al. 2019) plus soft Dice."""
    p = logits.sigmoid()
    right = torch.where(mask > 0.5, p, 1 - p)
    weight = (1 - right) ** 2
    total = weight.sum(dim=(1, 2, 3), keepdim=True).detach().clamp(min=1e-6)
    focal = -(weight * right.clamp(min=1e-6).log() / total).sum(dim=(1, 2, 3)).mean()
    both = (p * mask).sum(dim=(1, 2, 3))
    dice = 1 - (2 * both + 1) / (p.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)) + 1)
    return focal + dice.mean()


def images_of(samples: Sequence[Sample]) -> Tensor:
    """(N, bands, side, side)."""
    return torch.stack([s.image for s in samples])


def guided(samples: Sequence[Sample], before: Tensor | None) -> Tensor:
    """(N, 3, side, side)."""
    return torch.stack([s.guides(None if before is None else before[i]) for i, s in enumerate(samples)])


def still(network: Clicks) -> None:
    """Training mode, but for the encoder's batch norms and its first levels, which stay ImageNet's."""
    network.train()
    for module in network.encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for name, parameter in network.encoder.named_parameters():
        parameter.requires_grad_(not name.removeprefix("model.").startswith(FROZEN))
