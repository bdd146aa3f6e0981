"""Places with objects to click on: buildings, areas of land cover and of forest maps, at several scales."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (the field's name)

import geoseg
from geoseg.geometry import Window
from geoseg.raster.burn import burn, read_vector, to_pixel_coordinates
from geoseg.regions.label import number_regions

BUILDINGS = ("zanzibar_0", "zanzibar_1", "banepa_0", "banepa_1", "nairobi_1")
HELD_BUILDINGS = ("kampala_0",)
DUBAI, HELD_DUBAI = (1, 2, 3, 4, 5, 6), (8,)
LEAST_PIXELS = 60
COARSEST = 64
"""Least side of the coarsest image of a place."""
_UNKNOWN = (0x9B9B9B, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object: where it lies and which number it has."""

    number: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Images (3, H, W) uint8 with objects numbered (H, W) from 1, each twice as coarse as the one before."""

    name: str
    images: list[Tensor]
    numbers: list[Tensor]
    targets: list[Target]


def place_of(name: str, image: NDArray[np.uint8], numbers: NDArray[np.int32]) -> Place:
    """A place with its targets and five coarser images."""
    targets = []
    for number, found in enumerate(ndimage.find_objects(numbers), start=1):
        if found is not None and (numbers[found] == number).sum() >= LEAST_PIXELS:
            rows, cols = found
            targets.append(Target(number=number, box=(rows.start, cols.start, rows.stop, cols.stop)))
    images, labels = [torch.from_numpy(image)], [torch.from_numpy(numbers)]
    while len(images) < 6 and min(images[-1].shape[1:]) > COARSEST:
        smaller = F.avg_pool2d(images[-1][None].float(), 2)[0]
        images.append(smaller.round().to(torch.uint8))
        labels.append(labels[-1][: 2 * smaller.shape[1] : 2, : 2 * smaller.shape[2] : 2].contiguous())
    return Place(name=name, images=images, numbers=labels, targets=targets)


def building_places(data: Path, names: tuple[str, ...]) -> list[Place]:
    """Drone images at 0.15 m with OpenStreetMap's buildings."""
    places = []
    for name in names:
        folder = data / "oam_buildings_five_places"
        scene = geoseg.open_scene(folder / f"{name}.vrt", bands=(1, 2, 3), allow_vrt=True)
        height, width = scene.grid.height, scene.grid.width
        whole = Window(0, 0, height, width)
        frame = to_pixel_coordinates(read_vector(folder / f"{name}_buildings.geojson"), scene.grid)
        shapes = [(g, i) for i, g in enumerate(frame.geometry, start=1)]
        numbers = burn(shapes, whole, fill=0, dtype="int32")
        pixels, _ = scene.read(whole)
        half = F.avg_pool2d(torch.from_numpy(np.ascontiguousarray(pixels[:3])).float(), 2)
        image = half.round().to(torch.uint8).numpy()
        places.append(place_of(name, image, np.ascontiguousarray(numbers[::2, ::2])))
    return places


def cover_places(data: Path, tiles: tuple[int, ...]) -> list[Place]:
    """Dubai's land cover: every 4-connected area of a class within a part is an object."""
    places = []
    for tile in tiles:
        folder = data / "dubai_hitl_aerial" / f"Tile_{tile}"
        for file in sorted((folder / "images").glob("*.jpg")):
            image = np.asarray(Image.open(file).convert("RGB"))
            mask = np.asarray(Image.open(folder / "masks" / f"{file.stem}.png").convert("RGB"))
            codes = mask.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
            codes[np.isin(codes, _UNKNOWN)] = 0
            h, w = min(image.shape[0], codes.shape[0]), min(image.shape[1], codes.shape[1])
            numbers = areas_of(codes[:h, :w])
            image = np.ascontiguousarray(image[:h, :w].transpose(2, 0, 1))
            places.append(place_of(f"dubai_{tile}_{file.stem}", image, numbers))
    return places


def forest_places(data: Path) -> list[Place]:
    """Amazon: areas of forest and of cleared land."""
    places = []
    for file in sorted((data / "amazon_s2_forest" / "training" / "images").glob("*.tiff")):
        scene = geoseg.open_scene(file, bands=(1, 2, 3))
        image, _ = scene.read(Window(0, 0, scene.grid.height, scene.grid.width))
        mask = np.asarray(Image.open(file.parent.parent / "masks" / f"{file.stem}.png")).astype(np.int32)
        if mask.ndim == 2 and mask.shape == image.shape[1:]:
            numbers = areas_of(mask)
            places.append(place_of(file.stem, np.ascontiguousarray(image.astype(np.uint8)), numbers))
    return places


def areas_of(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """(H, W) int32 numbers from 1 of 4-connected areas of one code; 0 where the code is 0."""
    return (number_regions(codes.astype(np.uint32), nodata=0)[0] + 1).astype(np.int32)
