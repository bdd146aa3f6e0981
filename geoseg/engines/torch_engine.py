"""The engine on PyTorch: CPU or one CUDA device."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.engines.engine import PROBABILITY_SCALE, Engine, check_tiles
from geoseg.engines.folding import fold_batch_norms
from geoseg.errors import ResourceError, UsageError
from geoseg.legend import NODATA, Legend
from geoseg.models.bundle import Bundle
from geoseg.models.network import load_network

_PROBE_SIDE = 128  # the smallest input that every architecture takes
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_torch_engine(
    bundle: Bundle, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Engine:
    """Engine with a bundle's network on a device (see `geoseg.engines.opening.open_engine`)."""
    where = choose_device(device)
    return TorchEngine(bundle, device=where, precision=choose_precision(precision, where), threads=threads)


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
    """``fp32``, ``bf16`` or ``fp16``; auto takes bf16 where the device computes it in hardware."""
    if name == "auto":
        return "bf16" if _has_bf16(device) else "fp32"
    if name not in _DTYPES:
        raise UsageError(f"unknown precision {name!r}", hint=f"auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is for GPUs", why=f"the device is {device}", hint="bf16 or fp32")
    return name


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))


class TorchEngine:
    """A network on a device: normalisation, forward, softmax, argmax and quantisation all happen there.

    Batch norms are folded into convolutions, which run in channels-last layout and the chosen precision under
    autocast; the softmax is fp32.
    """

    def __init__(self, bundle: Bundle, *, device: torch.device, precision: str, threads: int | None) -> None:
        self.legend: Legend = bundle.legend
        self._device, self._precision, self._digest = device, precision, bundle.digest
        self._threads = threads or torch.get_num_threads()
        self._bands, self._multiple = len(bundle.contract.bands), bundle.size_multiple
        self._temperature = bundle.temperature
        if device.type == "cuda":
            # measured kernels may differ from run to run, and with them the last bits of the sums
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            if precision == "fp32":  # the default for convolutions is TF32, with ten bits of mantissa
                torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        side = max(2 * bundle.size_multiple, _PROBE_SIDE)
        probe = torch.randn(1, self._bands, side, side, generator=torch.Generator().manual_seed(0))
        network, self._folded = fold_batch_norms(load_network(bundle), probe)
        self._network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        contract = bundle.contract
        per_band = {"dtype": torch.float64, "device": "cpu"}
        std = torch.tensor(contract.std, **per_band)  # type: ignore[arg-type]
        mean = torch.tensor(contract.mean, **per_band)  # type: ignore[arg-type]
        # (raw * scale + offset - mean) / std as one multiplication and one addition
        self._gain = (contract.scale / std).float().view(1, -1, 1, 1).to(device)
        self._shift = ((contract.offset - mean) / std).float().view(1, -1, 1, 1).to(device)
        self._ids = torch.tensor(bundle.legend.ids, dtype=torch.uint8, device=device)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the answer."""
        return {
            "engine": "torch",
            "torch": torch.__version__,
            "device": _device_name(self._device),
            "precision": self._precision,
            "threads": self._threads,
            "folded": self._folded,
            "bundle": self._digest,
        }

    def classify(
        self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Labels and confidence in percent, both (N, T, T) uint8; 255 where not valid."""

        def answer(probability: Tensor, mask: Tensor | None) -> Tensor:
            best, position = probability.max(dim=1)
            confidence = (best * 100).round_().to(torch.uint8)
            both = torch.stack((self._ids[position], confidence), dim=1)
            return both if mask is None else both.masked_fill_(~mask[:, None], NODATA)

        both = self._run(raw, valid, answer).numpy()
        return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])

    def probabilities(self, raw: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
        """``round(p * 65535)`` (N, K, T, T) uint16."""

        def answer(probability: Tensor, _mask: Tensor | None) -> Tensor:
            # by way of int32: not every device rounds straight to uint16
            return (probability * PROBABILITY_SCALE).round_().to(torch.int32).to(torch.uint16)

        quantised: NDArray[np.uint16] = self._run(raw, valid, answer).contiguous().numpy()
        return quantised

    def _run(
        self,
        raw: NDArray[Any],
        valid: NDArray[np.bool_] | None,
        answer: Callable[[Tensor, Tensor | None], Tensor],
    ) -> Tensor:
        """What `answer` makes of the probabilities (N, K, T, T) and the mask, along axis 0, on the CPU.

        A GPU takes the whole batch. A CPU takes its tiles one by one: larger batches are no faster there, and
        kernels chosen by the shape of the batch would let the last bits depend on it.
        """
        check_tiles(raw, valid, bands=self._bands, multiple=self._multiple)
        at_once = 1
        if self._device.type == "cpu":
            # OpenMP keeps the number per thread, and workers call from threads of their own
            torch.set_num_threads(self._threads)
        else:
            at_once = raw.shape[0]
        answers = []
        try:
            with torch.inference_mode():
                for start in range(0, raw.shape[0], at_once):
                    part = slice(start, start + at_once)
                    mask = None if valid is None else self._send(valid[part])
                    answers.append(answer(self._forward(self._send(raw[part]), mask), mask).cpu())
        except torch.OutOfMemoryError as error:
            raise self._no_memory(raw, error) from error
        except RuntimeError as error:
            if "allocate memory" in str(error):
                raise self._no_memory(raw, error) from error
            raise
        return torch.cat(answers)

    def _forward(self, raw: Tensor, mask: Tensor | None) -> Tensor:
        x = raw.float().mul(self._gain).add_(self._shift)  # mul copies: raw may be the caller's own
        if mask is not None:
            x = torch.where(mask[:, None], x, 0.0)  # a product would keep NaN
        x = x.contiguous(memory_format=torch.channels_last)
        dtype = None if self._precision == "fp32" else _DTYPES[self._precision]
        with torch.autocast(self._device.type, dtype=dtype, enabled=dtype is not None):
            logits: Tensor = self._network(x)
        return torch.softmax(logits.float().div_(self._temperature), dim=1)

    def _send(self, array: NDArray[Any]) -> Tensor:
        """The array on the device, in its own data type: raw integers are a quarter of their floats."""
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
        if not plain.flags.writeable or min(plain.strides) < 0:
            plain = plain.copy()  # torch takes neither, even where an axis of length 1 hides the stride
        tensor = torch.from_numpy(plain)
        if self._device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _no_memory(self, raw: NDArray[Any], error: Exception) -> ResourceError:
        return ResourceError(
            f"out of memory on {self._device} for {raw.shape[0]} tiles of {raw.shape[2]} x {raw.shape[3]}",
            why=str(error).splitlines()[0],
            hint="a smaller `batch` or `tile`",
        )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
