"""Which engine runs a network, on what, and how exactly: one value from the job to the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geoseg.errors import UsageError

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Tta = Literal["none", "flips", "d4"]
"""Which views of a tile a model sees (test-time augmentation); see `geoseg.engines.views.VIEWS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """An engine by name, and where and how it computes.

    Attributes
    ----------
    name
        Key of `geoseg.engines.opening.ENGINES`; ``auto`` leaves it open.
    device
        ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.
    precision
        ``fp32``, ``bf16``, ``fp16`` or ``int8``; ``auto`` leaves it open and never means int8.
    threads
        CPU threads per forward pass; None leaves the process as it is.
    calibration
        Digest of the tiles that int8 is calibrated on (`geoseg.engines.int8`); empty in any other precision.
    """

    name: str = "auto"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    calibration: str = ""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise UsageError("threads must be at least 1", why=f"found {self.threads}")

    @property
    def is_open(self) -> bool:
        """Whether something is left to decide."""
        return "auto" in (self.name, self.precision)

    def __str__(self) -> str:
        threads = "" if self.threads is None else f", {self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.name} {self.precision}{threads}"
