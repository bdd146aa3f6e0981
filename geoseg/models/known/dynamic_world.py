"""Dynamic World: Google's published land-cover network for Sentinel-2 Level-1C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from geoseg.errors import InputError
from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.foreign.tensor_bundle import DATA, INDEX, read_variables
from geoseg.models.known.recipe import KnownFile, Recipe, Weights

_FOLDER = (
    "https://raw.githubusercontent.com/google/dynamicworld/"
    "94e73e713ee8693136f8c9e3d4fe57b4e67f0d7e/model/forward/variables"
)
_NOTICE = """\
This source code is available under an Apache 2 open source license and requires
the following attribution:

This code is produced for the Dynamic World Project by Google in partnership
with National Geographic and the World Resources Institute.
"""

# band, wavelength, shift and scale of the logarithm of its light
_BANDS = (
    ("B02", "blue", 492.4, 1.7417268007636313, 2.023298706048351),
    ("B03", "green", 559.8, 1.7261204997060209, 2.038905204308012),
    ("B04", "red", 664.6, 1.6798346251414997, 2.179592821212937),
    ("B05", "rededge1", 704.1, 1.7734969472909623, 2.2890068333026603),
    ("B06", "rededge2", 740.5, 2.289154079164943, 2.6171674549378166),
    ("B07", "rededge3", 782.8, 2.382939712192371, 2.773418590375327),
    ("B08", "nir", 832.8, 2.3828939530384052, 2.7578332604178284),
    ("B11", "swir1", 1613.7, 2.1952484264967844, 2.789092484314204),
    ("B12", "swir2", 2202.4, 1.554812948247501, 2.4140534947492487),
)
_CLASSES = (
    ("water", "#419BDF"),
    ("trees", "#397D49"),
    ("grass", "#88B053"),
    ("flooded vegetation", "#7A87C6"),
    ("crops", "#E49635"),
    ("shrub and scrub", "#DFC35A"),
    ("built", "#C4281B"),
    ("bare", "#A59B8F"),
    ("snow and ice", "#B39FE1"),
)


def _block(
    name: str, path: tuple[int, ...], last: int, beside: tuple[int, int]
) -> Iterator[tuple[str, int, int]]:
    """Units of a block: name, number of the kernel (the bias follows), of the norm's first tensor."""
    for i, kernel in enumerate(path):
        yield f"{name}.path.{i}", kernel, kernel + 2
    yield f"{name}.path.{len(path)}", last, last + 4
    yield f"{name}.beside", *beside


_UNITS = (
    ("stem", 0, 2),
    ("skip.0", 78, 80),
    ("skip.1", 96, 98),
    *_block("deep.0", (6, 12, 18, 24, 30), 36, (38, 44)),
    *_block("deep.1", (48, 54, 60, 66, 72), 84, (86, 92)),
    *_block("join", (102, 108, 114, 120, 126), 132, (134, 140)),
)
_HEAD = 144


def _convert(files: Mapping[str, bytes]) -> tuple[ModelDescription, Weights]:
    variables = read_variables(files[INDEX], files[DATA])
    found = {name: variables.get(f"variables/{n}/.ATTRIBUTES/VARIABLE_VALUE") for name, n in _places()}
    if missing := [name for name, array in found.items() if array is None]:
        raise InputError("variables are missing", where=INDEX, why=f"for {', '.join(missing[:5])}")
    weights = {name: array for name, array in found.items() if array is not None}
    for name, array in weights.items():
        if array.ndim == 4:  # height, width, in, out; of one filter a channel: height, width, channels, 1
            depthwise = array.shape[-1] == 1
            weights[name] = array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    return describe(), weights


def _places() -> Iterator[tuple[str, int]]:
    for unit, kernel, norm in _UNITS:
        yield f"{unit}.0.weight", kernel
        yield f"{unit}.0.bias", kernel + 1
        for place, name in enumerate(("weight", "bias", "running_mean", "running_var")):
            yield f"{unit}.1.{name}", norm + place
    yield "head.weight", _HEAD
    yield "head.bias", _HEAD + 1


def describe() -> ModelDescription:
    """The model without its weights."""
    shift, scale = ([float(band[i]) for band in _BANDS] for i in (3, 4))
    return ModelDescription(
        name="dynamic-world",
        version="1.0",
        description="Land cover in nine classes from one Sentinel-2 Level-1C scene: Dynamic World's network.",
        architecture=Architecture(name="dynamic_world", arguments={"shift": shift, "scale": scale}),
        contract=InputContract(
            bands=tuple(
                Band(name=name, wavelength_nm=nm, description=f"Sentinel-2 {code}")
                for code, name, nm, _, _ in _BANDS
            ),
            dtype="uint16",
            value_range=(0, 20000),
            scale=1e-4,
            mean=(0.0,) * len(_BANDS),
            std=(1.0,) * len(_BANDS),
            pixel_size=(8, 13),
            level="top of atmosphere",
        ),
        legend=Legend.of(
            {i: name for i, (name, _) in enumerate(_CLASSES)},
            {i: color for i, (_, color) in enumerate(_CLASSES)},
        ),
        licence="Apache-2.0",
        margin=32,
        size_multiple=2,
        provenance={
            "data": "Dynamic World's training tiles (Brown et al. 2022, Scientific Data 9, 251)",
            "credit": "Google, in partnership with National Geographic and the World Resources Institute",
        },
    )


RECIPE = Recipe(
    name="dynamic-world",
    what="Land cover in nine classes of any Sentinel-2 Level-1C scene, by Google's Dynamic World network.",
    licence="Apache-2.0",
    notice=_NOTICE,
    files=(
        KnownFile(
            name=INDEX,
            sha256="f27000c6a3d7dcd3e76e333331b108697712c734d5d5ef11b3f34571027c8436",
            url=f"{_FOLDER}/{INDEX}",
        ),
        KnownFile(
            name=DATA,
            sha256="c4a38299f2c0a741682cbe48810d55afdc832ff451e3d3708082751fe655fcb1",
            url=f"{_FOLDER}/{DATA}",
        ),
    ),
    convert=_convert,
)
