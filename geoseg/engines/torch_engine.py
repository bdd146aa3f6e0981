"""The engine on PyTorch: CPU or one CUDA device."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.engines.choice import EngineChoice
from geoseg.engines.folding import fold_batch_norms
from geoseg.engines.pixels import Arrays
from geoseg.errors import ResourceError, UsageError
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network

_PROBE_SIDE = 128  # the smallest input that every architecture takes
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Device of that name; ResourceError where it is not there, UsageError where it is no device."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise UsageError(f"unknown device {name!r}", hint="auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise ResourceError(
            f"device {name!r} is not there",
            why=f"torch {torch.__version__} is {built} and finds no CUDA device",
            hint="`device=cpu`, or a driver and CUDA_VISIBLE_DEVICES that show a GPU",
        )
    count, index = torch.cuda.device_count(), device.index or 0
    if index >= count:
        raise ResourceError(
            f"device {name!r} is not there",
            why=f"there are {count}, numbered from 0",
            hint=f"`device=cuda:{count - 1}`",
        )
    return torch.device("cuda", index)


def choose_precision(name: str, device: torch.device) -> str:
    """``fp32``, ``bf16`` or ``fp16``; auto is fp32, but bf16 on a GPU that computes in it."""
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return "bf16" if fast else "fp32"
    if name not in _DTYPES:
        raise UsageError(f"unknown precision {name!r}", hint=f"auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for GPUs", why=f"the device is {device}", hint="bf16 or fp32")
    return name


class Torch:
    """PyTorch on one device, in one precision: how modules are put there and run there."""

    def __init__(self, choice: EngineChoice) -> None:
        self._device = choose_device(choice.device)
        self._precision = choose_precision(choice.precision, self._device)
        self._threads = choice.threads or torch.get_num_threads()
        self.takes_batches = self._device.type != "cpu"
        self.arrays = Arrays(xp=torch, send=self._send, fetch=lambda tensor: tensor.cpu().numpy())
        if self._device.type == "cuda":
            # measured kernels may differ from run to run, and with them the last bits of the sums
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            if self._precision == "fp32":  # the default for convolutions is TF32, with ten bits of mantissa
                torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of what modules give."""
        return {
            "engine": "torch",
            "torch": torch.__version__,
            "device": _device_name(self._device),
            "precision": self._precision,
            "threads": self._threads,
        }

    def placed(self, network: nn.Module) -> nn.Module:
        """The module on the device, its weights in channels-last layout."""
        return network.to(device=self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def run(self, network: Callable[[Tensor], Any], x: Tensor) -> Any:
        """What a module on the device gives for tiles (n, C, T, T)."""
        with self.inference():
            return network(x.contiguous(memory_format=torch.channels_last))

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Its threads and its precision, and no gradients."""
        if self._device.type == "cpu":
            # OpenMP keeps the number per thread, and workers call from threads of their own
            torch.set_num_threads(self._threads)
        exact = self._precision == "fp32"
        autocast = torch.autocast(self._device.type, dtype=_DTYPES[self._precision], enabled=not exact)
        with torch.inference_mode(), autocast:
            yield

    def _send(self, array: NDArray[Any]) -> Tensor:
        """The array on the device, in its own data type: raw integers are a quarter of their floats."""
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
        if not plain.flags.writeable or min(plain.strides) < 0:
            plain = plain.copy()  # torch takes neither, even where an axis of length 1 hides the stride
        tensor = torch.from_numpy(plain)
        if self._device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)


class TorchNetwork:
    """A network of pixels on a device, its batch norms folded into convolutions."""

    def __init__(self, bundle: Bundle, choice: EngineChoice) -> None:
        self._torch = Torch(choice)
        self.takes_batches, self.arrays = self._torch.takes_batches, self._torch.arrays
        side = max(2 * bundle.size_multiple, _PROBE_SIDE)
        shape = (1, len(bundle.contract.bands), side, side)
        probe = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        network, self._folded = fold_batch_norms(load_network(bundle), probe)
        self._network = self._torch.placed(network)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the logits."""
        return {**self._torch.identity, "folded": self._folded}

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, K, T, T) float32 of normalised tiles (n, C, T, T)."""
        logits: Tensor = self._torch.run(self._network, x)
        return logits.float()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
