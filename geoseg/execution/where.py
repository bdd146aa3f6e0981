"""Where a run executes: never part of what is computed, so never part of a run's identity."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from geoseg.errors import ResourceError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Here, on N local processes, one process per visible GPU, or an existing Dask scheduler.

    Attributes
    ----------
    workers
        0 for this process, N for N local processes.
    per_gpu
        One local process for each visible GPU instead.
    scheduler
        Address of a running scheduler (``tcp://host:8786``); its workers must see the same files.
    threads
        Threads of one forward pass; None shares the cores among the workers.
    """

    workers: int = 0
    per_gpu: bool = False
    scheduler: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UsageError(f"`workers={self.workers}` is negative")
        if self.scheduler and (self.workers or self.per_gpu):
            raise UsageError("`scheduler` and `workers` exclude each other", hint="give one of them")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"`threads={self.threads}` is not positive")

    @classmethod
    def parse(cls, workers: str | int, scheduler: str | None = None, threads: int | None = None) -> Where:
        """Where from the command line's words: ``--workers`` is a number or ``gpu``."""
        if str(workers) == "gpu":
            return cls(per_gpu=True, scheduler=scheduler, threads=threads)
        if not re.fullmatch(r"-?\d+", str(workers)):
            raise UsageError(f"`workers={workers}` is neither a number nor 'gpu'")
        return cls(workers=int(workers), scheduler=scheduler, threads=threads)

    @property
    def distributed(self) -> bool:
        """Whether chunks leave this process."""
        return bool(self.workers or self.per_gpu or self.scheduler)

    @property
    def threads_per_forward(self) -> int:
        """Threads that one forward pass uses: given, or the cores divided among the local workers."""
        if self.threads is not None:
            return self.threads
        return max(available_cores() // max(self.workers, 1), 1)

    @property
    def threads_here(self) -> int:
        """Tasks that run at a time in this process, where none of them leaves it."""
        return self.threads or available_cores()


def available_cores() -> int:
    """Number of cores this process may use (a container's share, not the machine's total)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Identifiers of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them.

    Read from CUDA_VISIBLE_DEVICES, else asked of nvidia-smi, so that the driver process never starts CUDA.

    Raises
    ------
    ResourceError
        None is visible.
    """
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        gpus = [g.strip() for g in listed.split(",") if g.strip() and g.strip() != "-1"]
    elif program := shutil.which("nvidia-smi"):
        found = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        gpus = re.findall(r"^GPU (\d+):", found.stdout, flags=re.MULTILINE)
    else:
        gpus = []
    if not gpus:
        raise ResourceError(
            "no GPU is visible",
            why=f"CUDA_VISIBLE_DEVICES is {listed!r}" if listed is not None else "nvidia-smi found none",
            hint="`workers=N` for N processes on the CPU",
        )
    return gpus
