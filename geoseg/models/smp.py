"""The decoders of segmentation-models-pytorch over its own and timm's encoders, with any number of bands.

Nothing is ever downloaded: pretrained encoder weights reach a network only through a bundle.
"""

from __future__ import annotations

import difflib
import inspect
from typing import Any

from torch import nn


def _create(decoder: str, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    import segmentation_models_pytorch as smp

    factory, name = getattr(smp, decoder), _encoder_name(encoder)
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


def _encoder_name(encoder: str) -> str:
    """Name as segmentation-models-pytorch writes it; timm's encoders are called ``tu-<name>`` there."""
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


def unet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """U-Net (Ronneberger et al. 2015)."""
    return _create("Unet", encoder, bands, classes, **arguments)


def unetplusplus(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """U-Net++ (Zhou et al. 2018)."""
    return _create("UnetPlusPlus", encoder, bands, classes, **arguments)


def manet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """MA-Net (Fan et al. 2020)."""
    return _create("MAnet", encoder, bands, classes, **arguments)


def linknet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """LinkNet (Chaurasia & Culurciello 2017)."""
    return _create("Linknet", encoder, bands, classes, **arguments)


def fpn(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Feature pyramid network (Kirillov et al. 2017)."""
    return _create("FPN", encoder, bands, classes, **arguments)


def pspnet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """PSPNet (Zhao et al. 2017)."""
    return _create("PSPNet", encoder, bands, classes, **arguments)


def pan(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """Pyramid attention network (Li et al. 2018)."""
    return _create("PAN", encoder, bands, classes, **arguments)


def deeplabv3(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DeepLabV3 (Chen et al. 2017)."""
    return _create("DeepLabV3", encoder, bands, classes, **arguments)


def deeplabv3plus(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DeepLabV3+ (Chen et al. 2018)."""
    return _create("DeepLabV3Plus", encoder, bands, classes, **arguments)


def upernet(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """UPerNet (Xiao et al. 2018)."""
    return _create("UPerNet", encoder, bands, classes, **arguments)


def segformer(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """SegFormer (Xie et al. 2021)."""
    return _create("Segformer", encoder, bands, classes, **arguments)


def dpt(*, encoder: str, bands: int, classes: int, **arguments: Any) -> nn.Module:
    """DPT (Ranftl et al. 2021); the encoder is a vision transformer."""
    return _create("DPT", encoder, bands, classes, **arguments)
