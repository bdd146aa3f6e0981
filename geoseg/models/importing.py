"""Weights that other programs saved: the one place that opens a torch checkpoint, and makes it a bundle.

A torch checkpoint is a pickle, which can name code to run. It is read with ``weights_only``, which takes
tensors and plain containers and refuses every other name, by a torch without CVE-2026-24747.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from geoseg.errors import InputError, ResourceError
from geoseg.models.architectures import build
from geoseg.models.bundle import Bundle, require_bundle_place, save_bundle
from geoseg.models.description import ModelDescription
from geoseg.models.weights import compare_weights, with_counters

OLDEST_TORCH = (2, 10)
"""Older versions can be made to run code even with ``weights_only``."""

_NESTS = ("state_dict", "model_state_dict", "model", "module", "network", "net")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A bundle made from a checkpoint.

    Attributes
    ----------
    prefix
        What stood before the names of the network's weights.
    left_out
        Tensors of the checkpoint that are not the network's: losses, metrics, other networks.
    """

    bundle: Bundle
    prefix: str
    left_out: tuple[str, ...]


@runtime_checkable
class Renaming(Protocol):
    """A network that others save under other names than its own."""

    def own_weights(self, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """(weights by its own names, names of those that are not its)."""
        ...


def is_pickle(path: str | Path) -> bool:
    """Whether a file of that name is read as a torch checkpoint; safetensors are no pickles."""
    return Path(path).suffix.lower() != ".safetensors"


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name, floating-point ones as float32, on the CPU.

    The state dict may lie under ``state_dict``, ``model`` and the like, beside optimisers and settings.

    Raises
    ------
    InputError
        Not a checkpoint, one that holds other objects than tensors and plain values, or none with tensors.
    ResourceError
        A torch that is too old to read one safely.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("not found", where=file.absolute())
    if is_pickle(file):
        return tensors_in(file, where=file)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return _state_dict(load_file(file), where=file)
    except (SafetensorError, OSError) as error:
        raise InputError("not a safetensors file", where=file, why=str(error)) from None


def tensors_in(file: Path | IO[bytes], *, where: object) -> dict[str, Tensor]:
    """Tensors by name of what ``torch.save`` wrote; see `read_checkpoint`."""
    return _state_dict(_unpickled(file, where), where=where)


def _state_dict(loaded: Any, *, where: object) -> dict[str, Tensor]:
    weights = _tensors(loaded)
    if not weights:
        raise InputError(
            "no state dict in it", where=where, why=f"looked at the top and under {', '.join(_NESTS)}"
        )
    return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}


def _unpickled(file: Path | IO[bytes], where: object) -> Any:
    _require_torch(torch.__version__)
    try:
        # what timm trains has its command line beside the weights, a Namespace of plain values
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file can raise anything
        raise _refused(where, " ".join(str(error).split())) from None


def _require_torch(version: str) -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < OLDEST_TORCH:
        raise ResourceError(
            "this torch cannot read a checkpoint safely",
            why=f"found {version}, expected {'.'.join(map(str, OLDEST_TORCH))} or newer (CVE-2026-24747)",
            hint="pip install --upgrade torch",
        )


def _refused(file: object, text: str) -> InputError:
    named = re.search(r"(?:Unsupported global: GLOBAL|Unsupported class|GLOBAL) ([\w.]+)", text)
    if named or "weights_only" in text.lower():
        return InputError(
            "refused, the checkpoint holds more than tensors and plain values",
            where=file,
            why=f"it names {named[1]}" if named else text[:200],
            hint="saving model.state_dict() alone, as safetensors, where you trust the file",
        )
    return InputError("not a torch checkpoint", where=file, why=text[:200])


def _tensors(loaded: Any, depth: int = 3) -> dict[str, Tensor]:
    """The state dict in what was loaded; empty where there is none."""
    if not isinstance(loaded, Mapping):
        return {}
    found = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}
    if any("." in key for key in found) or depth == 0:
        return found
    nested = (_tensors(loaded[key], depth - 1) for key in _NESTS if key in loaded)
    return next((n for n in nested if n), found)


def strip_prefix(
    weights: Mapping[str, Tensor], expected: Iterable[str], prefix: str | None = None
) -> tuple[dict[str, Tensor], tuple[str, ...], str]:
    """(weights by the expected names, names of the others, prefix).

    Lightning writes ``model.encoder...`` for the network of its module, wrappers write ``module.`` and
    ``_orig_mod.``. The prefix is the one that explains most names; the shortest of those, if several do.
    Where it is empty, nothing is left out.
    """
    wanted = set(expected)
    if prefix is None:
        votes: dict[str, int] = {"": 0}
        for key in weights:
            parts = key.split(".")
            for cut in range(len(parts)):
                if ".".join(parts[cut:]) in wanted:
                    start = "".join(f"{part}." for part in parts[:cut])
                    votes[start] = votes.get(start, 0) + 1
        prefix = min(votes, key=lambda p: (-votes[p], len(p)))
    taken = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    others = tuple(k for k in weights if not k.startswith(prefix))
    return taken, others, prefix


def import_checkpoint(
    checkpoint: str | Path,
    out: str | Path,
    model: ModelDescription,
    *,
    prefix: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Imported:
    """Bundle made from a state dict of one of the architectures.

    Parameters
    ----------
    checkpoint
        ``.safetensors``, or what ``torch.save`` wrote: a state dict, alone or inside a training checkpoint
        (Lightning, and with it TorchGeo; Raster Vision).
    out
        Directory of the bundle.
    model
        What the checkpoint does not say. The file and its digest are added to the provenance; without a
        description of its own, the bundle says that it was imported.
    prefix
        What stands before the names of the network's weights; found out by itself.

    Other parameters are those of `save_bundle`.

    Raises
    ------
    InputError
        See `read_checkpoint`; or weights that do not fit, with the first five names.
    ResourceError
        A torch that is too old.
    OutputConflictError
        The directory exists.
    """
    file = Path(checkpoint)
    require_bundle_place(Path(out), overwrite=overwrite, inputs=[file])
    weights = read_checkpoint(file)
    network = build(model.architecture, bands=len(model.contract.bands), classes=len(model.legend))
    expected = network.state_dict()
    if isinstance(network, Renaming):
        taken, left_out = network.own_weights(weights)
        prefix = ""
    else:
        taken, left_out, prefix = strip_prefix(weights, expected, prefix)
    _join_split_layers(taken, expected)
    taken = with_counters(taken, expected)
    compare_weights(taken, expected, where=file)
    network.load_state_dict(taken)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    source = {"file": file.name, "sha256": digest, "prefix": prefix}
    imported = replace(
        model,
        description=model.description or f"Imported from {file.name}.",
        provenance={**model.provenance, "imported": source},
    )
    card = _card(imported, file.name, digest)
    bundle = save_bundle(out, network, imported, half=half, overwrite=overwrite, card=card)
    return Imported(bundle=bundle, prefix=prefix, left_out=left_out)


def _join_split_layers(taken: dict[str, Tensor], expected: Iterable[str]) -> None:
    """Make one convolution of two whose outputs are added, in place.

    Raster Vision keeps a pretrained first layer for three bands and puts one for the others beside it, as
    elements 0 and 1 of the second part of a sequence. The sum is a convolution over all bands.
    """
    for key in expected:
        stem = key.removesuffix("weight")
        parts = [f"{stem}1.{number}.weight" for number in (0, 1)]
        if key not in taken and all(part in taken for part in parts):
            taken[key] = torch.cat([taken.pop(part) for part in parts], dim=1)


def _card(model: ModelDescription, file: str, digest: str) -> str:
    return (
        f"# {model.name}\n\nImported from `{file}` (SHA-256 {digest}). "
        f"Licence of the weights: {model.licence}.\n\n"
        "Its input contract was written by hand and its scores are not known: compare it with a reference\n"
        "(`geoseg evaluate`) before its maps are used.\n"
    )
