"""The engine on ONNX Runtime: CPU."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.hardware import processor
from geoseg.engines.network_file import written_by
from geoseg.engines.pixels import NUMPY
from geoseg.engines.quantised_file import file_of, session_options
from geoseg.errors import ResourceError
from geoseg.models.bundle import Bundle


class OnnxNetwork:
    """A network's ONNX file in a session of its own for every shape of tile."""

    arrays = NUMPY
    takes_batches = False

    def __init__(self, bundle: Bundle, choice: EngineChoice) -> None:
        if find_spec("onnxruntime") is None:
            raise ResourceError("ONNX Runtime is not installed", hint="pip install 'geoseg[onnx]'")
        self._bundle, self._choice, self._threads = bundle, choice, choice.threads or 1
        self._sessions: dict[tuple[int, ...], Any] = {}

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bits of the logits."""
        import onnxruntime

        return {
            "engine": "onnx",
            "onnxruntime": onnxruntime.__version__,
            "device": f"cpu {processor()}",
            "precision": "int8" if self._choice.precision == "int8" else "fp32",
            "threads": self._threads,
            "written by": dict(written_by()),
            **({"calibration": self._choice.calibration} if self._choice.calibration else {}),
        }

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (1, K, T, T) of a normalised tile (1, C, T, T)."""
        session = self._sessions.get(x.shape) or self._open(x.shape)
        logits: NDArray[np.float32] = session.run(["logits"], {"x": x})[0]
        return logits

    def _open(self, shape: tuple[int, ...]) -> Any:
        import onnxruntime

        file = file_of(self._bundle, self._choice, *shape[2:])
        session = onnxruntime.InferenceSession(
            str(file), session_options(self._threads), providers=["CPUExecutionProvider"]
        )
        self._sessions[shape] = session
        return session
