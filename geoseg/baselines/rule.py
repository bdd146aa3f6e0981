"""What a fit finds: a network's weights, its classes, and what the card says about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A fitted rule.

    Attributes
    ----------
    architecture, weights
        Network, and its arrays by name.
    legend
        Classes in the order of the network's outputs.
    mean, std, scale, offset
        Input contract: what the network sees is ``(raw * scale + offset - mean) / std``.
    description
        One or two sentences.
    confidence
        What the confidence means, in a sentence.
    tables
        Parts of the card: title to text.
    scores
        In the form that every bundle has them.
    notes
        What the user should know about how it came about.
    """

    architecture: Architecture
    weights: Mapping[str, NDArray[Any]]
    legend: Legend
    mean: tuple[float, ...]
    std: tuple[float, ...]
    description: str
    confidence: str
    scale: float = 1.0
    offset: float = 0.0
    tables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    scores: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
