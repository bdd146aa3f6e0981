"""Pretrained weights for a network's encoder: from a file that the user has, or by name from the network.

Nothing is downloaded unless `download_encoder` is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from geoseg.errors import InputError, ResourceError, UsageError
from geoseg.files import sha256_of
from geoseg.models.importing import read_checkpoint, strip_prefix
from geoseg.models.smp import encoder_name
from geoseg.models.weights import compare_weights, with_counters

_PHOTOGRAPH = 3  # bands of the images that encoders are usually trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was taken of pretrained weights.

    Attributes
    ----------
    tensors
        Number of tensors taken.
    left_out
        Names of the other tensors, such as those of a classifier.
    adapted
        Name of the first layer whose weights were spread over another number of bands; None if none was.
    """

    tensors: int
    left_out: tuple[str, ...]
    adapted: str | None


def load_encoder(network: nn.Module, file: str | Path) -> Loaded:
    """Give a network's encoder the weights in a file, and say what was taken.

    The file is ``.safetensors`` or a checkpoint that `read_checkpoint` takes: of timm, torchvision, TorchGeo,
    or of a segmentation network with the same encoder. Where it was made for three bands and the encoder
    takes another number, the first layer is adapted as timm does it: repeated over the bands and scaled, so
    that sums stay alike.

    Parameters
    ----------
    network
        From `geoseg.models.architectures.build`; its part ``encoder`` is changed in place.

    Raises
    ------
    UsageError
        A network without an encoder.
    InputError
        See `read_checkpoint`; or weights of another encoder, with the first five names.
    """
    return _give(network, lambda: read_checkpoint(file), where=file)


def download_encoder(network: nn.Module, encoder: str) -> Loaded:
    """Give a network's encoder the weights that its library publishes, and say what was taken.

    They come from the Hugging Face hub, or from its cache on this machine: for an encoder of
    segmentation-models-pytorch those that it lists as ``imagenet`` (else the first it lists), for one of timm
    the default or those of the tag in the name (``resnet18.a1_in1k``). The first layer is adapted as in
    `load_encoder`. Weights have licences of their own.

    Raises
    ------
    UsageError
        A network without an encoder, an unknown encoder, or one that nobody publishes weights of.
    ResourceError
        The hub cannot be reached and its cache does not have them; the network stays as it was.
    """
    return _give(network, lambda: _published(encoder), where=f"pretrained {encoder!r}")


def digest_of(weights: Literal["hub"] | Path) -> str:
    """``hub``, or the SHA-256 of the file: where it lies does not matter.

    Raises
    ------
    InputError
        No such file.
    """
    if not isinstance(weights, Path):
        return weights
    try:
        return sha256_of(weights)
    except OSError as error:
        raise InputError("encoder weights cannot be read", where=weights, why=error.strerror) from None


def _published(encoder: str) -> dict[str, Tensor]:
    import timm
    from segmentation_models_pytorch.encoders import encoders, get_encoder

    try:
        name = encoder_name(encoder)
    except ValueError as error:
        raise UsageError("no pretrained weights", why=str(error)) from None
    plain = name.removeprefix("tu-")
    listed: list[str] = [] if name != plain else list(encoders[name]["pretrained_settings"] or ())
    if not listed and not (name != plain and timm.is_model_pretrained(plain)):
        raise UsageError(
            f"nobody publishes weights of encoder {encoder!r}",
            hint="another encoder, a file in encoder_weights, or none",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' own, about names that they renamed
            if name != plain:
                network = timm.create_model(plain, pretrained=True)
            else:
                network = get_encoder(name, weights="imagenet" if "imagenet" in listed else listed[0])
    except Exception as error:  # a download can fail in the words of half a dozen libraries
        raise ResourceError(
            f"pretrained weights of encoder {encoder!r} cannot be had",
            why=" ".join(str(error).split())[:300],
            hint="a network connection, or a file of them in encoder_weights; nothing was trained",
        ) from error
    weights: dict[str, Tensor] = network.state_dict()
    return weights


def _give(network: nn.Module, read: Callable[[], Mapping[str, Tensor]], *, where: object) -> Loaded:
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError("pretrained weights need an encoder, and this architecture has none")
    expected, weights = encoder.state_dict(), read()
    # timm writes stages.0 for a whole network and stages_0 for its features, which smp puts under model
    names = {_plain(key): key for key in expected}
    spelled = {_plain(key): value for key, value in weights.items()}
    prefix = "model." if all(key.startswith("model.") for key in expected) else ""
    names = {key.removeprefix(prefix): name for key, name in names.items()}
    found, _, stripped = strip_prefix(spelled, names)
    taken = {names[key]: value for key, value in found.items() if key in names}
    originals = {_plain(key): key for key in weights}
    left_out = tuple(original for key, original in originals.items() if not _is_taken(key, stripped, names))
    adapted = _adapt(taken, expected, where)
    taken = with_counters(taken, expected)
    compare_weights(taken, expected, where=where)
    encoder.load_state_dict(taken)
    return Loaded(tensors=len(taken), left_out=left_out, adapted=adapted)


def _plain(key: str) -> str:
    return key.replace("_", ".")


def _is_taken(key: str, prefix: str, names: Mapping[str, str]) -> bool:
    return key.startswith(prefix) and key.removeprefix(prefix) in names


def _adapt(taken: dict[str, Tensor], expected: Mapping[str, Tensor], where: object) -> str | None:
    """The layer that sees the bands, if its weights were for another number: adapted in place."""
    from timm.models import adapt_input_conv

    first = next((key for key, value in expected.items() if value.ndim == 4), None)
    if first is None or first not in taken:
        return None
    value, wanted = taken[first], expected[first].shape
    if (
        value.ndim != 4
        or value.shape == wanted
        or (value.shape[0], *value.shape[2:])
        != (
            wanted[0],
            *wanted[2:],
        )
    ):
        return None  # fits, or is of another encoder, which is said when all weights are compared
    if value.shape[1] != _PHOTOGRAPH:
        raise InputError(
            "pretrained weights for another number of bands",
            where=where,
            why=f"found {value.shape[1]}, the network takes {wanted[1]}; only 3 can be spread over others",
            hint="weights made for these bands, or for 3",
        )
    taken[first] = adapt_input_conv(wanted[1], value)
    return first
