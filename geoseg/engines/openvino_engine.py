"""The engine on OpenVINO: CPU."""

from __future__ import annotations

from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.hardware import processor
from geoseg.engines.network_file import written_by
from geoseg.engines.pixels import NUMPY
from geoseg.engines.quantised_file import file_of
from geoseg.errors import ResourceError
from geoseg.models.bundle import Bundle

_TYPES = {"auto": "f32", "fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVinoNetwork:
    """A network's ONNX file, compiled for every shape of tile."""

    arrays = NUMPY
    takes_batches = False

    def __init__(self, bundle: Bundle, choice: EngineChoice) -> None:
        if find_spec("openvino") is None:
            raise ResourceError("OpenVINO is not installed", hint="pip install 'geoseg[openvino]'")
        self._bundle, self._choice, self._threads = bundle, choice, choice.threads or 1
        self._type = _TYPES[choice.precision]
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._lock = Lock()  # a compiled model answers one caller at a time

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the logits."""
        import openvino

        return {
            "engine": "openvino",
            "openvino": openvino.__version__,
            "device": f"cpu {processor()}",
            "precision": "int8" if self._choice.precision == "int8" else self._type.replace("f32", "fp32"),
            "threads": self._threads,
            "written by": dict(written_by()),
            **({"calibration": self._choice.calibration} if self._choice.calibration else {}),
        }

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (1, K, T, T) of a normalised tile (1, C, T, T)."""
        with self._lock:
            compiled = self._compiled.get(x.shape) or self._compile(x.shape)
            logits: NDArray[np.float32] = compiled(x)[0]
        return logits

    def _compile(self, shape: tuple[int, ...]) -> Any:
        import openvino

        settings = {
            # left alone it takes bf16 wherever the processor has the instruction
            "INFERENCE_PRECISION_HINT": self._type,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # workers would be pinned to the same cores
        }
        core = openvino.Core()
        compiled = core.compile_model(str(file_of(self._bundle, self._choice, *shape[2:])), "CPU", settings)
        self._compiled[shape] = compiled
        return compiled
