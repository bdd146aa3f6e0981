"""SAM and SAM 2: Meta's networks that outline what is pointed at."""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import partial

from geoseg.legend import Legend
from geoseg.models.architectures import Architecture
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.known.recipe import KnownFile, Recipe, Weights
from geoseg.models.object_rule import ObjectRule

_NOTICE = """\
Segment Anything{second}, copyright Meta Platforms, Inc. and affiliates, Apache License 2.0.
"""
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def _convert(
    files: Mapping[str, bytes], *, file: str, model: ModelDescription
) -> tuple[ModelDescription, Weights]:
    from geoseg.models.importing import tensors_in
    from geoseg.models.segment_anything import own_weights

    weights, _ = own_weights(tensors_in(io.BytesIO(files[file]), where=file))
    return model, {name: value.numpy() for name, value in weights.items()}


def _described(name: str, architecture: Architecture, data: str) -> ModelDescription:
    return ModelDescription(
        name=name,
        version="1.0" if architecture.name == "sam" else "2.1",
        description="The object at points or in a box, of any picture in three bands.",
        architecture=architecture,
        contract=InputContract(
            bands=tuple(Band(name=band) for band in ("red", "green", "blue")),
            dtype="uint8",
            value_range=(0, 255),
            mean=_MEAN,
            std=_STD,
            pixel_size=(0.01, 60),
        ),
        legend=Legend.of({1: "object"}),
        licence="Apache-2.0",
        margin=128,
        tasks=("promptable",),
        objects=ObjectRule(score=0.88, min_pixels=64, per_tile=1000),
        provenance={"data": data, "credit": "Meta Platforms, Inc. and affiliates"},
    )


def _recipe(name: str, encoder: str, url: str, sha256: str) -> Recipe:
    second = encoder.startswith("hiera")
    architecture = Architecture(name="sam2" if second else "sam", encoder=encoder)
    data = "SA-1B and SA-V" if second else "SA-1B"
    file = url.rpartition("/")[2]
    return Recipe(
        name=name,
        what=f"The object at points or in a box, by Meta's SAM{' 2.1' if second else ''} ({encoder}).",
        licence="Apache-2.0",
        notice=_NOTICE.format(second=" 2" if second else ""),
        files=(KnownFile(name=file, sha256=sha256, url=url),),
        convert=partial(_convert, file=file, model=_described(name, architecture, data)),
    )


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_SAM2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824"

RECIPES = (
    _recipe(
        "sam-vit-b",
        "vit_b",
        f"{_SAM}/sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _recipe(
        "sam2-tiny",
        "hiera_tiny",
        f"{_SAM2}/sam2.1_hiera_tiny.pt",
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    _recipe(
        "sam2-small",
        "hiera_small",
        f"{_SAM2}/sam2.1_hiera_small.pt",
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    _recipe(
        "sam2-base-plus",
        "hiera_base_plus",
        f"{_SAM2}/sam2.1_hiera_base_plus.pt",
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
)
