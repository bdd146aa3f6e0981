"""Every network of objects, small enough for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geoseg.legend import Legend
from geoseg.models.architectures import OBJECTS, SEVERAL, Architecture, build
from geoseg.models.bundle import Bundle
from geoseg.models.object_rule import ObjectRule, Task
from tests.models.bundles import bundle

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


def bundle_of(name: str, folder: Path, tasks: tuple[Task, ...]) -> Bundle:
    """Bundle with random weights, and a rule that lets nearly everything count."""
    legend = Legend.of(dict(enumerate("abcd" if name in THINGS else "ab", start=1)))
    things = THINGS.get(name, (0, 1))
    kinds = [replace(c, kind="thing") if k in things else c for k, c in enumerate(legend.classes)]
    return bundle(
        folder,
        SMALL[name],
        network=network(name),
        legend=Legend(tuple(kinds)),
        tasks=tasks,
        objects=ObjectRule(score=0.01, mask=0.3, min_pixels=1),
    )
