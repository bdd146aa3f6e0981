"""Clouds and their shadows: the networks of DLR's package ukis-csmask, for Sentinel-2 and Landsat."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band, InputContract, Level
from geoseg.models.description import ModelDescription
from geoseg.models.foreign.onnx_weights import read_initializers
from geoseg.models.known.recipe import KnownFile, Recipe, Weights

_PREFIX = "model."
_UNUSED = {
    "encoder._conv_head.weight": (1792, 448, 1, 1),
    **{f"encoder._bn1.{name}": (1792,) for name in ("weight", "bias", "running_mean", "running_var")},
}
"""Weights of a classifier's head, which the encoder keeps and nothing runs through; the file lacks them."""

_BANDS = (
    ("blue", 490.0),
    ("green", 560.0),
    ("red", 665.0),
    ("nir", 842.0),
    ("swir1", 1610.0),
    ("swir2", 2190.0),
)
_NOTICE = """\
Networks of the package ukis-csmask 1.0.0, copyright German Aerospace Center (DLR),
Apache License 2.0. Trained on CloudSEN12+ and SPARCS.
"""

# mean and standard deviation of reflectance in the training data, by level
_STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "l1c": (
        (0.27552253007888794, 0.2556644380092621, 0.269801527261734, 0.33431220054626465, 0.20851291716098785,
         0.15826508402824402),
        (0.24488002061843872, 0.22757470607757568, 0.2537152171134949, 0.23213787376880646,
         0.148738831281662, 0.12604215741157532),
    ),
    "l2a": (
        (0.26681777834892273, 0.27799084782600403, 0.28811994194984436, 0.36494743824005127,
         0.2225709855556488, 0.17859040200710297),
        (0.33637598156929016, 0.3125455975532532, 0.311148464679718, 0.27260705828666687,
         0.16653667390346527, 0.14328984916210175),
    ),
}  # fmt: skip
_LEVELS: Mapping[str, tuple[Level, str]] = {
    "l1c": ("top of atmosphere", "Sentinel-2 Level-1C and Landsat Level-1"),
    "l2a": ("surface", "Sentinel-2 Level-2A and Landsat Level-2"),
}


def _convert(
    files: Mapping[str, bytes], *, name: str, file: str, level: str, bands: int
) -> tuple[ModelDescription, Weights]:
    found = read_initializers(files[file])
    weights = {key.removeprefix(_PREFIX): a for key, a in found.items() if key.startswith(_PREFIX)}
    unused = {key: np.zeros(shape, np.float16) for key, shape in _UNUSED.items()}
    return _description(name, level, bands), {**unused, **weights}


def _description(name: str, level: str, bands: int) -> ModelDescription:
    mean, std = _STATISTICS[level]
    reflectance, scenes = _LEVELS[level]
    return ModelDescription(
        name=name,
        version="1.0.0",
        description=f"Clear, cloud and cloud shadow from {bands} bands of {scenes}.",
        architecture=Architecture(name="unet", encoder="efficientnet-b4"),
        contract=InputContract(
            bands=tuple(Band(name=b, wavelength_nm=nm) for b, nm in _BANDS[:bands]),
            dtype="uint16",
            value_range=(0, 20000),
            scale=1e-4,
            mean=mean[:bands],
            std=std[:bands],
            pixel_size=(8, 66),
            level=reflectance,
        ),
        legend=Legend.of(
            {0: "clear", 1: "cloud", 2: "cloud shadow"}, {0: "#D9D9D9", 1: "#FDE725", 2: "#440154"}
        ),
        licence="Apache-2.0",
        margin=64,
        provenance={
            "data": "CloudSEN12+ and SPARCS",
            "credit": "German Aerospace Center (DLR), ukis-csmask 1.0.0",
        },
    )


def _recipe(level: str, bands: int, sha256: str) -> Recipe:
    name = f"clouds-s2-{level}" + ("" if bands == len(_BANDS) else f"-{bands}b")
    file = f"model_{bands}b_{level}.onnx"
    return Recipe(
        name=name,
        what=f"Clear, cloud and cloud shadow from {bands} bands of {_LEVELS[level][1]}, by DLR.",
        licence="Apache-2.0",
        notice=_NOTICE,
        files=(KnownFile(name=file, sha256=sha256),),
        convert=partial(_convert, name=name, file=file, level=level, bands=bands),
        package="ukis-csmask",
        package_version="1.0.0",
    )


RECIPES = (
    _recipe("l1c", 6, "aa79e9a0f02ff8e0243d93771d1daf6a8d1166b7ac06c3771560b83367c6c573"),
    _recipe("l2a", 6, "d11c530978637ca420eedc40791c62bf78997dd39e1201777e2527e4bd94904e"),
    _recipe("l1c", 4, "81611f290adc315b86bb7e7c69b0f2496b3abe0390c2a5c8e9e9da9622e8a0c8"),
    _recipe("l2a", 4, "3884d75ca497ec59d8335973477bd31eb038857007bbb36fb2aba1ad375ee043"),
)
