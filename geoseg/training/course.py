"""How a network's weights are moved, step by step: what any training settles before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Schedule = Literal["one_cycle", "cosine", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Steps of AdamW, their length, and when is looked at what they brought.

    Attributes
    ----------
    identity
        Of the job and its data; a checkpoint of another one is refused.
    seed
        Of weights and dropout.
    steps
        Number of steps.
    every
        Steps between two validations, each followed by a checkpoint.
    learning_rate, weight_decay, clip
        Of AdamW, and the largest norm of a step's gradient.
    schedule, warmup
        Course of the learning rate, and the share of steps in which it rises.
    average
        Decay of the running average of the weights that is validated and kept.
    patience
        Validations without a better first figure after which training ends.
    keeps_last
        Whether the last weights are kept rather than the best.
    """

    identity: str
    seed: int
    steps: int
    every: int
    learning_rate: float
    weight_decay: float = 0.01
    clip: float = 1.0
    schedule: Schedule = "one_cycle"
    warmup: float = 0.1
    average: float = 0.99
    patience: int | None = None
    keeps_last: bool = True
