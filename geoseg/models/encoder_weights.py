"""Pretrained weights for a network's encoder, from a file that the user has. Nothing is ever downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from geoseg.errors import InputError, UsageError
from geoseg.models.importing import COUNTER, read_checkpoint, strip_prefix
from geoseg.models.network import compare_weights

_PHOTOGRAPH = 3  # bands of the images that encoders are usually trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was taken from a file of pretrained weights.

    Attributes
    ----------
    tensors
        Number of tensors taken.
    left_out
        Names of the file's other tensors, such as those of a classifier.
    adapted
        Name of the first layer whose weights were spread over another number of bands; None if none was.
    """

    tensors: int
    left_out: tuple[str, ...]
    adapted: str | None


def load_encoder(network: nn.Module, file: str | Path, *, bands: int) -> Loaded:
    """Give a network's encoder the weights in a file, and say what was taken.

    The file is ``.safetensors`` or a checkpoint that `read_checkpoint` takes: of timm, torchvision, TorchGeo,
    or of a segmentation network with the same encoder. Where it was made for three bands and the network
    takes another number, the first layer is adapted as timm does it: repeated over the bands and scaled, so
    that sums stay alike.

    Parameters
    ----------
    network
        From `geoseg.models.architectures.build`; its part ``encoder`` is changed in place.
    bands
        Bands that the network takes.

    Raises
    ------
    UsageError
        A network without an encoder.
    InputError
        See `read_checkpoint`; or weights of another encoder, with the first five names.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError("pretrained weights need an encoder, and this architecture has none")
    expected = encoder.state_dict()
    weights = read_checkpoint(file)
    # timm writes stages.0 for a whole network and stages_0 for its features, which smp puts under model
    names = {_plain(key): key for key in expected}
    spelled = {_plain(key): value for key, value in weights.items()}
    prefix = "model." if all(key.startswith("model.") for key in expected) else ""
    names = {key.removeprefix(prefix): name for key, name in names.items()}
    found, _, stripped = strip_prefix(spelled, names)
    taken = {names[key]: value for key, value in found.items() if key in names}
    originals = {_plain(key): key for key in weights}
    left_out = tuple(original for key, original in originals.items() if not _is_taken(key, stripped, names))
    adapted = _adapt(taken, expected, bands, file)
    for key, value in expected.items():
        if key.endswith(COUNTER):
            taken.setdefault(key, value)
    compare_weights(taken, expected, where=file)
    encoder.load_state_dict(taken)
    return Loaded(tensors=len(taken), left_out=left_out, adapted=adapted)


def _plain(key: str) -> str:
    return key.replace("_", ".")


def _is_taken(key: str, prefix: str, names: Mapping[str, str]) -> bool:
    return key.startswith(prefix) and key.removeprefix(prefix) in names


def _adapt(taken: dict[str, Tensor], expected: Mapping[str, Tensor], bands: int, file: object) -> str | None:
    """The layer that sees the bands, if its weights were for another number: adapted in place."""
    from timm.models import adapt_input_conv

    for key, value in taken.items():
        wanted = expected[key].shape
        if value.ndim != 4 or len(wanted) != 4 or value.shape == wanted or wanted[1] != bands:
            continue
        if value.shape[0] != wanted[0] or value.shape[2:] != wanted[2:]:
            continue
        if value.shape[1] != _PHOTOGRAPH:
            raise InputError(
                "pretrained weights for another number of bands",
                where=file,
                why=f"found {value.shape[1]}, the network takes {bands}; only 3 can be spread over others",
                hint="weights made for these bands, or for 3",
            )
        taken[key] = adapt_input_conv(bands, value)
        return key
    return None
