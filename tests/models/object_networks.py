"""Every network of objects, small enough for tests."""

from __future__ import annotations

import pytest
import torch

from geoseg.models.architectures import OBJECTS, SEVERAL, Architecture, build

SMALL = {
    "interior_rim": Architecture(
        name="interior_rim",
        encoder="mobilenetv3_small_050",
        arguments={"decoder_channels": [16, 16, 8, 8, 8]},
    ),
    "mask_rcnn": Architecture(
        name="mask_rcnn",
        encoder="mobilenetv3_small_050",
        arguments={"channels": 16, "hidden": 32, "detections": 20},
    ),
    "panoptic_fpn": Architecture(
        name="panoptic_fpn",
        encoder="mobilenetv3_small_050",
        arguments={"channels": 16, "hidden": 32, "detections": 20, "branch": 16, "things": [0, 2]},
    ),
    "mask2former": Architecture(
        name="mask2former",
        encoder="mobilenetv3_small_050",
        arguments={
            "width": 32,
            "queries": 10,
            "pixel_layers": 1,
            "layers": 2,
            "things": [0, 2],
        },
    ),
    "one_decoder": Architecture(
        name="one_decoder",
        encoder="mobilenetv3_small_050",
        arguments={"width": 32, "queries": 10, "things": [0, 2], "side": 64},
    ),
}
NAMES = (*OBJECTS, *SEVERAL)
THINGS = {"panoptic_fpn": (0, 2), "mask2former": (0, 2), "one_decoder": (0, 2)}
"""Positions of the classes of things where there are others too, of four."""


def network(name: str, bands: int = 3) -> torch.nn.Module:
    if name == "mask2former":
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    return build(SMALL[name], bands=bands, classes=4 if name in THINGS else 2)
