"""Maps of shipped models on real scenes: polygons for any chunks are the same, and burnt again the map."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

import geoseg
from tests.outlines.maps import geometry_set, whole_raster_answer

CHUNKS = (64, 100, 193, 300, 4096)

SCENES = {
    "forest": ("amazon_s2_forest/training/images/Amazon_1154.tiff_40.tiff", "forest-s2-rgb", {}),
    "urban": (
        "dubai_hitl_aerial/Tile_8/images/image_part_005.jpg",
        "urban-rgb",
        {"assume_crs": "EPSG:32640", "assume_transform": "0.3,0,330000,0,-0.3,2780000", "chunk": 512},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_five_chunkings_of_a_prediction(shared_data: Path, tmp_path: Path, name: str) -> None:
    scene, model, options = SCENES[name]
    run = geoseg.predict(shared_data / scene, model=model, out=tmp_path / "run", **options)
    with rasterio.open(run.classes) as source:
        a, transform = source.read(1), source.transform
    expected = whole_raster_answer(a, transform)
    assert len({class_id for class_id, _ in expected}) > 1
    assert len(expected) > 100
    for chunk in CHUNKS:
        made = geoseg.vectorize(run.classes, out=tmp_path / f"{chunk}.parquet", chunk=chunk)
        frame = gpd.read_parquet(made.path)
        # files hold MultiPolygons of one part
        polygons = shapely.get_parts(frame.geometry.to_numpy())
        assert len(polygons) == len(frame)
        assert geometry_set(frame.class_id, polygons) == expected, chunk
        burnt = rasterize(
            zip(polygons, frame.class_id, strict=True), out_shape=a.shape, fill=255, transform=transform
        )
        assert np.array_equal(burnt, a), chunk
