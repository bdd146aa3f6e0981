"""What this machine can compute with: devices, and the CPU's fast number formats."""

from __future__ import annotations

import platform
import shutil

import numpy as np


def processor() -> str:
    """Architecture of this CPU and the widest set of instructions that numpy found; loads no torch."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join([platform.machine(), *found.get("found", [])[-1:]])


def has_cuda() -> bool:
    """Whether there may be a CUDA device: its driver is installed; loads no torch."""
    return shutil.which("nvidia-smi") is not None


def torch_build() -> str:
    """Version of torch and what it was built for."""
    import torch

    return f"{torch.__version__} ({f'CUDA {torch.version.cuda}' if torch.version.cuda else 'CPU only'})"


def cpu_formats() -> tuple[str, ...]:
    """Instruction sets that matter to a network, of those that this CPU has."""
    import torch

    known = torch.cpu.get_capabilities()
    wanted = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "amx_int8", "sve", "sve2", "bf16", "asimd")
    return tuple(name for name in wanted if known.get(name) is True)


def cuda_devices() -> tuple[str, ...]:
    """Name and memory of every visible CUDA device."""
    import torch

    if not torch.cuda.is_available():
        return ()
    properties = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return tuple(f"cuda:{i} {p.name}, {p.total_memory / 2**30:.0f} GiB" for i, p in enumerate(properties))
