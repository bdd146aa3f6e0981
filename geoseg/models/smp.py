"""The decoders of segmentation-models-pytorch over its own and timm's encoders, with any number of bands.

Nothing is downloaded here: pretrained encoder weights come by a bundle or `geoseg.models.encoder_weights`.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from torch import nn


def _create(decoder: str, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    import segmentation_models_pytorch as smp

    factory, name = getattr(smp, decoder), encoder_name(encoder)
    unknown = sorted(set(arguments) - set(inspect.signature(factory.__init__).parameters))
    if unknown and not name.startswith("tu-"):  # timm refuses what it does not know, the others take anything
        raise TypeError(f"no arguments are called {', '.join(unknown)}")
    network: nn.Module = factory(
        encoder_name=name,
        encoder_weights=None,
        in_channels=bands,
        classes=classes,
        **arguments,
    )
    return network


def encoder_name(encoder: str) -> str:
    """Name as segmentation-models-pytorch writes it; timm's encoders are called ``tu-<name>`` there.

    Raises
    ------
    ValueError
        No such encoder; the nearest names are in the text.
    """
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    own = get_encoder_names()
    if encoder in own:
        return str(encoder)
    plain = encoder.removeprefix("tu-")
    if timm.is_model(plain):
        return f"tu-{plain}"
    near = difflib.get_close_matches(plain, [*own, *timm.list_models()], n=3)
    raise ValueError(f"unknown encoder {encoder!r}" + (f"; near are {', '.join(near)}" if near else ""))


def new_encoder(encoder: str, bands: int, *, depth: int = 5) -> Any:
    """Encoder, a module with random weights: of pixels (N, bands, H, W) these, and `depth` smaller maps.

    `out_channels` are their numbers of channels. ValueError as in `encoder_name`.
    """
    from segmentation_models_pytorch.encoders import get_encoder

    return get_encoder(encoder_name(encoder), in_channels=bands, depth=depth, weights=None)


def rest_norms(encoder: nn.Module) -> None:
    """Nothing, once an encoder's batch norms are those that it was loaded with, also in training."""
    for part in encoder.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train(False)


def unet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """U-Net (Ronneberger et al. 2015, arXiv 1505.04597)."""
    return _create("Unet", encoder, bands, classes, **arguments)


def unetplusplus(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """U-Net++ (Zhou et al. 2018, arXiv 1807.10165)."""
    return _create("UnetPlusPlus", encoder, bands, classes, **arguments)


def manet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """MA-Net (Fan et al. 2020)."""
    return _create("MAnet", encoder, bands, classes, **arguments)


def linknet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """LinkNet (Chaurasia & Culurciello 2017, arXiv 1707.03718)."""
    return _create("Linknet", encoder, bands, classes, **arguments)


def fpn(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Feature pyramid network (Kirillov et al. 2019, arXiv 1901.02446)."""
    return _create("FPN", encoder, bands, classes, **arguments)


def pspnet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """PSPNet (Zhao et al. 2017, arXiv 1612.01105)."""
    return _create("PSPNet", encoder, bands, classes, **arguments)


def pan(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Pyramid attention network (Li et al. 2018, arXiv 1805.10180)."""
    return _create("PAN", encoder, bands, classes, **arguments)


def deeplabv3(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DeepLabV3 (Chen et al. 2017, arXiv 1706.05587)."""
    return _create("DeepLabV3", encoder, bands, classes, **arguments)


def deeplabv3plus(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DeepLabV3+ (Chen et al. 2018, arXiv 1802.02611)."""
    return _create("DeepLabV3Plus", encoder, bands, classes, **arguments)


def upernet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """UPerNet (Xiao et al. 2018, arXiv 1807.10221)."""
    return _create("UPerNet", encoder, bands, classes, **arguments)


def segformer(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """SegFormer (Xie et al. 2021, arXiv 2105.15203)."""
    return _create("Segformer", encoder, bands, classes, **arguments)


def dpt(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DPT, over a vision transformer (Ranftl et al. 2021, arXiv 2103.13413)."""
    return _create("DPT", encoder, bands, classes, **arguments)
