"""A network without weights whose objects are a function of a tile's pixels alone.

Pixels of one value in band 0 are one object, 0 is none. What it sees of an object can differ from tile to
tile, as with any network: outlines move by a pixel and some are missed, by a draw from the tile's own pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from geoseg.legend import LandClass, Legend
from geoseg.models.architectures import Architecture, build
from geoseg.models.bundle import save_bundle
from geoseg.models.contract import Band, InputContract
from geoseg.models.description import ModelDescription
from geoseg.models.object_rule import ObjectRule

HOUSE, TREE = (
    LandClass(id=4, name="house", color="#D55E00", kind="thing"),
    LandClass(id=9, name="tree", color="#009E73", kind="thing"),
)
GRASS, ROAD = LandClass(id=1, name="grass", color="#F0E442"), LandClass(id=2, name="road", color="#999999")


class Blobs(nn.Module):
    """Objects are areas of equal value; class and score follow from the value."""

    def __init__(
        self, bands: int, things: tuple[int, ...], stuff: tuple[int, ...], noise: dict[str, float]
    ) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(bands))
        self.things, self.stuff, self.noise = things, stuff, noise

    def forward(self, x: Tensor) -> list[dict[str, object]]:
        return [self._detect(tile.numpy()) for tile in x]

    def _detect(self, tile: np.ndarray) -> dict[str, object]:
        values = np.rint(tile[0]).astype(np.int64)
        rng = np.random.default_rng(abs(int(np.float64(tile[-1]).sum())))
        scores, classes, boxes, masks = [], [], [], []
        for value, box in zip(range(1, int(values.max()) + 1), ndimage.find_objects(values), strict=True):
            if box is None or rng.random() < self.noise.get("miss", 0):
                continue
            mask = np.pad(values[box] == value, 1)
            if self.noise.get("wobble"):
                mask = _wobbled(mask, int(rng.integers(3)))
            scores.append(1.0 if self.noise.get("ties") else 0.5 + (value * 37 % 50) / 100)
            classes.append(self.things[value % len(self.things)])
            rows, cols = box
            boxes.append([rows.start - 1, cols.start - 1, rows.stop + 1, cols.stop + 1])
            masks.append(torch.from_numpy(mask.astype(np.float32)))
        found = {
            "scores": torch.tensor(scores, dtype=torch.float32),
            "classes": torch.tensor(classes, dtype=torch.int64),
            "boxes": torch.tensor(boxes, dtype=torch.int64).reshape(-1, 4),
            "masks": masks,
        }
        if self.stuff:
            positions = np.asarray(self.stuff)[np.rint(tile[1]).astype(np.int64) % len(self.stuff)]
            found["stuff"] = torch.from_numpy(positions)
        return found


def _wobbled(mask: np.ndarray, how: int) -> np.ndarray:
    if how == 0:
        return mask
    change = ndimage.binary_dilation if how == 1 else ndimage.binary_erosion
    return change(mask, structure=np.ones((3, 3)))


def blobs(
    *, encoder: str, bands: int, classes: int, things: list[int], stuff: list[int], **noise: float
) -> nn.Module:
    """Areas of equal value."""
    return Blobs(bands, tuple(things), tuple(stuff), noise)


def save_blobs(
    path: Path, *, panoptic: bool = False, margin: int = 16, rule: ObjectRule | None = None, **noise: float
) -> Path:
    """Bundle of blobs; its architecture needs ``GEOSEG_ARCHITECTURES=tests``."""
    classes = (GRASS, ROAD, HOUSE, TREE) if panoptic else (HOUSE, TREE)
    legend = Legend(classes)
    things = [k for k, c in enumerate(legend.classes) if c.kind == "thing"]
    stuff = [k for k, c in enumerate(legend.classes) if c.kind == "stuff"]
    architecture = Architecture(
        name="tests.objects.blobs:blobs", arguments={"things": things, "stuff": stuff, **noise}
    )
    model = ModelDescription(
        name=path.name,
        version="1",
        architecture=architecture,
        contract=InputContract(
            bands=(Band(name="objects"), Band(name="ground")),
            dtype="uint16",
            value_range=(0, 65535),
            mean=(0.0, 0.0),
            std=(1.0, 1.0),
            pixel_size=(0.1, 100.0),
        ),
        legend=legend,
        licence="none",
        margin=margin,
        size_multiple=16,
        tasks=("panoptic" if panoptic else "instance",),
        objects=rule or ObjectRule(min_pixels=4),
    )
    save_bundle(path, build(architecture, bands=2, classes=len(legend)), model)
    return path
