"""A bundle's network in 8-bit integers, as an ONNX file in the user's cache beside the one it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.engines.choice import EngineChoice
from geoseg.engines.engine import Tiles
from geoseg.engines.hardware import processor
from geoseg.engines.network_file import INT8, cached_file, network_file
from geoseg.engines.pixels import normalise
from geoseg.engines.unheard import unheard
from geoseg.errors import ResourceError, UsageError
from geoseg.files import keep_newest, whole
from geoseg.models.bundle import Bundle

_KEPT = 32
_WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def file_of(bundle: Bundle, choice: EngineChoice, height: int, width: int) -> Path:
    """ONNX file that an engine reads for one tile (1, C, height, width) in the precision of its choice.

    Raises
    ------
    ResourceError
        The file cannot be written, or was calibrated on another machine.
    UsageError
        int8 without a calibration.
    """
    if choice.precision != "int8":
        return network_file(bundle, height, width)
    if not choice.calibration:
        raise UsageError(
            "a network in int8 is calibrated on tiles of a scene, and none are given",
            hint="geoseg.predict, which takes them from its scene, or another `precision`",
        )
    path = quantised_file(bundle, choice.calibration, height, width)
    if not path.is_file():
        raise ResourceError(
            "the network that this run calibrated is not on this machine",
            where=path,
            why="int8 is calibrated once for a run, where it was started",
            hint="a cache folder that all workers share (XDG_CACHE_HOME), or another `precision`",
        )
    return path


def quantised_file(bundle: Bundle, calibration: str, height: int, width: int) -> Path:
    """Where the network of a calibration lies or would lie."""
    exact = cached_file(bundle, height, width)
    # ranges are measured in floats, whose last bits may differ from one kind of processor to the next
    key = repr((exact.name, calibration, version("onnxruntime"), processor()))
    return exact.with_name(f"{exact.stem}{INT8}{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx")


def calibration_of(tiles: Tiles) -> str:
    """Digest of tiles, in hexadecimal: equal ones give equal networks."""
    raw, valid = tiles
    hashed = hashlib.sha256(repr((raw.shape, raw.dtype.str)).encode())
    hashed.update(np.ascontiguousarray(raw).data)
    hashed.update(np.ascontiguousarray(valid).data)
    return hashed.hexdigest()[:32]


def require_quantiser() -> None:
    """Nothing, where networks can be quantised; ResourceError names the extra."""
    if find_spec("onnxruntime") is None:
        raise ResourceError(
            "ONNX Runtime is not installed",
            why="it makes the networks in int8, also for other engines",
            hint="pip install 'geoseg[onnx]'",
        )


def write_quantised(bundle: Bundle, tiles: Tiles, calibration: str, threads: int = 1) -> Path:
    """The network in int8 for tiles of this shape, with the ranges that its values have on these; once.

    Static quantisation: weights symmetric and per channel, activations of 8 bits from the least to the
    largest value seen. Weights have 7 bits: a processor with AVX2 alone adds two products in 16 bits, which
    larger ones overflow. The first and the last layer stay in fp32: they read the pixels and decide the
    class, and cost little.

    Parameters
    ----------
    calibration
        From `calibration_of`, of these tiles or of what they were turned from.
    threads
        That it is computed with.

    Raises
    ------
    ResourceError
        The network cannot be written as ONNX, or has nothing to quantise.
    """
    require_quantiser()
    height, width = tiles[1].shape[1:]
    path = quantised_file(bundle, calibration, height, width)
    if not path.is_file():
        _quantise(bundle, network_file(bundle, height, width), path, tiles, threads)
        keep_newest(path.parent.glob(f"*{INT8}*.onnx"), _KEPT)  # each scene makes one, and can do so again
    return path


def _quantise(bundle: Bundle, exact: Path, path: Path, tiles: Tiles, threads: int) -> None:
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    model = onnx.load(exact)
    weighed = [node.name for node in model.graph.node if node.op_type in _WEIGHED]
    if len(weighed) < 3:
        raise ResourceError(
            f"model {bundle.name} has nothing to compute in int8",
            why=f"architecture {bundle.architecture.name!r} has {len(weighed)} layers with weights, and the "
            "first and the last stay in fp32",
            hint="another `precision`",
        )
    kinds = sorted({*QLinearOpsRegistry, *QDQRegistry})
    try:
        with unheard(), TemporaryDirectory() as folder, whole(path) as partial:
            onnx.save(model, inferred := Path(folder) / "exact.onnx")  # what is inferred is written beside it
            quantizer = QDQQuantizer(
                load_model_with_shape_infer(inferred),
                per_channel=True,
                reduce_range=True,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=_ranges(inferred, kinds, _Reader(bundle, tiles), threads),
                nodes_to_quantize=[],
                nodes_to_exclude=[weighed[0], weighed[-1]],
                op_types_to_quantize=kinds,
                extra_options={},
            )
            quantizer.quantize_model()
            quantizer.model.save_model_to_file(partial, False)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:  # as its parts raise
        raise ResourceError(
            f"architecture {bundle.architecture.name!r} cannot be quantised to int8",
            why=" ".join(str(error).split())[:300],
            hint="another `precision`",
        ) from error


def _ranges(exact: Path, kinds: list[str], reader: _Reader, threads: int) -> Any:
    """Least and largest value of every activation, for operations of these kinds.

    As ``quantize_static`` finds them, bit for bit, but with the chosen threads, and without keeping every
    activation to the end: its own order of execution measures them all after the last one is computed.
    """
    import onnxruntime
    from onnxruntime.quantization.calibrate import MinMaxCalibrater

    class Calibrater(MinMaxCalibrater):  # type: ignore[misc]
        def create_inference_session(self) -> None:
            options = session_options(threads)
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
            self.infer_session = onnxruntime.InferenceSession(
                self.augmented_model_path, options, providers=self.execution_providers
            )

    calibrater = Calibrater(exact, kinds, str(exact.with_name("measured.onnx")))
    calibrater.augment_graph()
    calibrater.create_inference_session()
    calibrater.collect_data(reader)
    return calibrater.compute_data()


def session_options(threads: int) -> Any:
    """Options of a session of ONNX Runtime with so many threads, which sleep while they wait."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # others may want the cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class _Reader:
    """The tiles as the network takes them, one after the other, and then None."""

    def __init__(self, bundle: Bundle, tiles: Tiles) -> None:
        self._left = self._normalised(bundle, *tiles)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next one."""
        return next(self._left, None)

    @staticmethod
    def _normalised(
        bundle: Bundle, raw: NDArray[Any], valid: NDArray[np.bool_]
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        gain, shift = bundle.contract.gain, bundle.contract.shift
        for i in range(len(raw)):
            yield {"x": normalise(raw[i : i + 1], valid[i : i + 1], gain, shift, np).astype(np.float32)}
