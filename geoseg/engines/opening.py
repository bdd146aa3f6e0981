"""How an engine is opened for a bundle."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from geoseg.engines.engine import Engine, Precision
from geoseg.engines.region_engine import RegionEngine
from geoseg.errors import UsageError
from geoseg.models.bundle import Bundle

ENGINES: dict[str, str] = {"torch": "geoseg.engines.torch_engine:open_torch_engine"}
"""Known engines; each is called as ``factory(bundle, device=..., precision=..., threads=...)``."""


def open_engine(
    bundle: Bundle,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    engine: str = "torch",
) -> Engine:
    """Engine that runs a bundle's network, and averages over regions where the bundle asks for it.

    Parameters
    ----------
    bundle
        From `load_bundle`.
    device
        ``auto`` (the first GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:N``.
    precision
        ``auto`` takes bf16 where the device computes it in hardware, else fp32.
    threads
        CPU threads per forward pass; None leaves the process as it is. Recorded in the identity, because
        fp32 sums may be ordered differently with another number.
    engine
        Name in `ENGINES`.

    Raises
    ------
    ResourceError
        A device that is not there.
    UsageError
        An unknown engine or precision.
    InputError
        Weights that do not fit the architecture.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}", why=f"known are {', '.join(ENGINES)}")
    if threads is not None and threads < 1:
        raise UsageError("threads must be at least 1", why=f"found {threads}")
    module, _, function = ENGINES[engine].partition(":")
    factory: Callable[..., Engine] = getattr(import_module(module), function)
    opened = factory(bundle, device=device, precision=precision, threads=threads)
    if bundle.regions is None:
        return opened
    return RegionEngine(opened, bundle.regions)
