"""The click network that comes with geoseg: one click, or a box, on a roof gives the roof."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
import shapely.affinity

import geoseg
from geoseg.errors import InputError
from tests.raster.makers import write

PIXEL = 0.3


@pytest.fixture(scope="module")
def roofs() -> list[shapely.Polygon]:
    """Three turned roofs, in pixels."""
    made = []
    for x, y, width, height, angle in ((60, 60, 44, 26, 20), (130, 70, 30, 30, 50), (90, 135, 60, 28, 100)):
        box = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        made.append(shapely.affinity.rotate(box, angle))
    return made


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, roofs: list[shapely.Polygon]) -> Path:
    """Roofs of a red and two greys on grass, with their shadows."""
    rng = np.random.default_rng(1)
    image = np.stack([rng.normal(level, 9, (192, 192)) for level in (84, 108, 62)])
    for roof, color in zip(roofs, ((178, 92, 74), (196, 192, 186), (142, 140, 146)), strict=True):
        shadow = shapely.affinity.translate(roof, 4, 4)
        for shape, level in ((shadow, (34, 38, 40)), (roof, color)):
            where = rasterio.features.rasterize([shape], out_shape=image.shape[1:]).astype(bool)
            noise = rng.normal(0, 6, (3, int(where.sum())))
            image[:, where] = np.array(level)[:, None] + noise
    path = tmp_path_factory.mktemp("shipped") / "scene.tif"
    transform = rasterio.transform.from_origin(500_000, 4_000_000, PIXEL, PIXEL)
    return write(path, image.clip(0, 255).astype(np.uint8), transform=transform)


def on_map(shapes: list[shapely.Geometry]) -> list[shapely.Geometry]:
    return [
        shapely.transform(s, lambda xy: np.array([500_000, 4_000_000]) + xy * np.array([PIXEL, -PIXEL]))
        for s in shapes
    ]


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_a_roof_is_found_where_it_is_pointed_at(scene: Path, roofs: list[shapely.Polygon], kind: str) -> None:
    truth = on_map(roofs)
    asked = [t.centroid if kind == "points" else t.envelope for t in truth]
    layer = scene.parent / f"{kind}.gpkg"
    with rasterio.open(scene) as file:
        geopandas.GeoDataFrame(geometry=asked, crs=file.crs).to_file(layer)
    found = geoseg.prompt(scene, layer, out=scene.parent / f"{kind}_out.gpkg", threads=1)
    assert found.model.startswith("clicks-rgb") and found.status["ok"] == 3
    rows = geopandas.read_file(found.path)
    ious = [one.intersection(t).area / one.union(t).area for one, t in zip(rows.geometry, truth, strict=True)]
    assert min(ious) > 0.6 and np.mean(ious) > 0.7, ious


def test_other_pictures_than_it_knows_are_refused(scene: Path, tmp_path: Path) -> None:
    with rasterio.open(scene) as file:
        pixels = file.read()
        transform = file.transform * file.transform.scale(100)
    coarse = write(tmp_path / "coarse.tif", pixels, transform=transform)
    with pytest.raises(InputError, match="pixel"):
        geoseg.prompt(coarse, scene.parent / "points.gpkg", out=tmp_path / "out.gpkg")
