"""A bundle's network as an ONNX file that other programs run, compared with the network it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.engines.unheard import unheard
from geoseg.errors import ResourceError, UsageError
from geoseg.files import require_free, require_place, sha256_of, whole, write_durably
from geoseg.models.bundle import Bundle
from geoseg.models.contract import InputContract
from geoseg.models.network import load_network
from geoseg.version import __version__

OPSET = 18
"""Version of ONNX's operators: read by onnxruntime since 1.14 and by most converters."""

FILE = "model.onnx"
_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_LEAST_AGREEMENT = 0.999  # of labels; classes that are equal to the last bits may swap
_MOST_DIFFERENCE = 1e-3  # of logits, where the largest is 1 or less; else in proportion
_BATCHES = (1, 3)  # the second shows that the number of tiles is free


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An ONNX file, and how near it comes to its bundle.

    Attributes
    ----------
    path
        The file; beside it lies a description of the same name with ``.json`` at its end.
    tile
        Height and width that the file takes, in pixels.
    agreement
        Share of pixels whose label is the same, over tiles of random values.
    difference
        Largest absolute difference of a logit, and `largest` the largest absolute logit.
    """

    path: Path
    tile: int
    bytes: int
    agreement: float
    difference: float
    largest: float


def export_onnx(
    bundle: Bundle, out: str | Path | None = None, *, tile: int = 512, overwrite: bool = False
) -> Exported:
    """ONNX file of a bundle's network, written only if onnxruntime gives the answers that torch gives.

    Input ``pixels`` is float32 (N, C, tile, tile): raw values of the scene, in the order of the contract's
    bands. Output ``logits`` is float32 (N, K, tile, tile), already divided by the bundle's temperature: their
    softmax is the confidence, and position k of their argmax is the k-th class of the legend. N is free.
    A bundle of several tasks is asked for classes.
    Names, classes and digest are in the file's metadata.

    Parameters
    ----------
    out
        File to write; ``model.onnx`` in the bundle's folder by default.
    tile
        Side of the tiles, a multiple of the bundle's ``size_multiple``.
    overwrite
        Replace a file that is there.

    Raises
    ------
    UsageError
        A bundle without classes of pixels, or a tile that does not fit.
    ResourceError
        The extra ``onnx`` is not installed, ONNX lacks an operation, or the answers are not torch's.
    OutputConflictError
        The file exists or cannot be written.
    """
    bundle = bundle.for_classes("an ONNX file")
    _require_packages()
    path = Path(out).absolute() if out is not None else bundle.path / FILE
    if tile < 1 or tile % bundle.size_multiple:
        raise UsageError(
            "tile does not fit the network",
            why=f"found {tile}, expected a multiple of {bundle.size_multiple}",
        )
    if path.suffix != ".onnx":
        raise UsageError("not a name for an ONNX file", where=path, hint=str(path / FILE))
    require_place(path)
    require_free(path, overwrite=overwrite)
    require_free(_told(path), overwrite=overwrite or path.exists(), beside=path)
    network = RawNetwork(load_network(bundle), bundle.contract, bundle.temperature)
    network.eval()
    with whole(path) as partial:
        _write(network, bundle, partial, tile)
        exported = _compare(network, bundle.contract, partial, path, tile)
        description = json.dumps(_describe(bundle, exported, partial), indent=2, ensure_ascii=False)
        write_durably(_told(path), description + "\n")
    return exported


def _told(path: Path) -> Path:
    """The file that describes an exported network, beside it."""
    return path.with_name(f"{path.name}.json")


class RawNetwork(nn.Module):
    """A network that normalises by itself: raw values in, logits at their temperature out."""

    gain: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, contract: InputContract, temperature: float) -> None:
        super().__init__()
        self.network, self._temperature = network, temperature
        self.register_buffer("gain", torch.from_numpy(contract.gain)[None])
        self.register_buffer("shift", torch.from_numpy(contract.shift)[None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, K, T, T) of raw values (N, C, T, T), both float32."""
        logits: Tensor = self.network(pixels * self.gain + self.shift)
        return logits / self._temperature


def _require_packages() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ResourceError(
            "ONNX needs packages that are not installed",
            why=f"missing: {', '.join(missing)}",
            hint="pip install 'geoseg[onnx]'",
        )


def write_network(bundle: Bundle, path: Path, height: int, width: int) -> None:
    """Write the bare network for one normalised tile: float32 ``x`` (1, C, height, width) to ``logits``.

    Whole or not at all; several processes may write the same file at once.
    """
    example = torch.zeros(1, len(bundle.contract.bands), height, width)
    program = _program(load_network(bundle), bundle, example, "x", None)
    with whole(path) as partial:
        program.save(partial, external_data=False)


def _write(network: RawNetwork, bundle: Bundle, path: Path, tile: int) -> None:
    example = torch.zeros(2, len(bundle.contract.bands), tile, tile)
    program = _program(network, bundle, example, "pixels", ({0: torch.export.Dim("tiles")},))
    program.model.producer_name, program.model.producer_version = "geoseg", __version__
    program.model.metadata_props.update(_metadata(bundle))
    program.save(path, external_data=False)


def _program(network: nn.Module, bundle: Bundle, example: Tensor, name: str, dynamic: Any) -> Any:
    """The network in ONNX, its input called `name`; ResourceError where ONNX lacks an operation."""
    try:
        with unheard():
            return torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[name],
                output_names=["logits"],
                dynamic_shapes=dynamic,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises what its parts raise
        raise ResourceError(
            f"architecture {bundle.architecture.name!r} cannot be written as ONNX",
            why=" ".join(str(error).split())[:300],
        ) from error


def _metadata(bundle: Bundle) -> dict[str, str]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "licence": bundle.licence,
        "bundle": bundle.digest,
        "legend": json.dumps(bundle.legend.to_json(), ensure_ascii=False),
        "input": json.dumps(bundle.contract.to_json(), ensure_ascii=False),
        "margin": str(bundle.margin),
    }


def _compare(network: RawNetwork, contract: InputContract, partial: Path, path: Path, tile: int) -> Exported:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(str(partial), options, providers=["CPUExecutionProvider"])
    same = pixels = 0
    difference = largest = 0.0
    for raw in _samples(contract, tile):
        with torch.inference_mode():
            expected = network(torch.from_numpy(raw)).numpy()
        found = session.run(["logits"], {"pixels": raw})[0]
        difference = max(difference, float(np.abs(found - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
        same += int((found.argmax(1) == expected.argmax(1)).sum())
        pixels += found[:, 0].size
    exported = Exported(
        path=path,
        tile=tile,
        bytes=partial.stat().st_size,
        agreement=same / pixels,
        difference=difference,
        largest=largest,
    )
    # written so that NaN fails too
    close = exported.agreement >= _LEAST_AGREEMENT and difference <= _MOST_DIFFERENCE * max(1.0, largest)
    if not close:
        raise ResourceError(
            "the ONNX file gives other answers than the bundle, and was not kept",
            where=path,
            why=f"{exported.agreement:.4%} of the labels agree, logits differ by up to {difference:.3g}",
            hint="other versions of torch and onnxruntime, as in constraints.txt",
        )
    return exported


def _samples(contract: InputContract, tile: int) -> Iterator[NDArray[np.float32]]:
    """Tiles of raw values with the contract's mean and spread, half of it from tile to tile."""
    rng = np.random.default_rng(0)
    mean, std = ((np.asarray(v) / contract.scale)[:, None, None] for v in (contract.mean, contract.std))
    for n in _BATCHES:
        shape = (n, len(contract.bands))
        noise = rng.standard_normal((*shape, tile, tile)) + rng.standard_normal((*shape, 1, 1))
        raw = np.clip(mean - contract.offset / contract.scale + std * noise, *contract.value_range)
        yield (raw if np.dtype(contract.dtype).kind == "f" else raw.round()).astype(np.float32)


def _describe(bundle: Bundle, exported: Exported, partial: Path) -> dict[str, Any]:
    return {
        "file": exported.path.name,
        "sha256": sha256_of(partial),
        "bytes": exported.bytes,
        "opset": OPSET,
        "input": {"pixels": ["N", len(bundle.contract.bands), exported.tile, exported.tile]},
        "output": {"logits": ["N", len(bundle.legend), exported.tile, exported.tile]},
        "bundle": bundle.digest,
        "check": {
            "tiles": sum(_BATCHES),
            "label_agreement": exported.agreement,
            "max_abs_logit_difference": exported.difference,
            "max_abs_logit": exported.largest,
        },
        "versions": {
            "geoseg": __version__,
            **{name: metadata.version(name) for name in ("torch", *_NEEDED)},
        },
    }
