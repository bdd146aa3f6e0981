"""Polygons of a cleaned map: the same for every chunk, none too small, on made and on real maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

import geoseg
from geoseg.cleaning.steps import Steps
from geoseg.errors import UsageError
from geoseg.regions.sieve import Seams, Sieve
from tests.outlines.maps import geometry_set, whole_raster_answer
from tests.raster.makers import TRANSFORM, write


def noisy(side: int = 150) -> np.ndarray:
    rng = np.random.default_rng(3)
    a = np.kron(rng.integers(0, 4, (side // 15, side // 15)), np.ones((15, 15))).astype(np.uint8)
    spots = rng.random(a.shape) < 0.1
    a[spots] = rng.integers(0, 4, int(spots.sum()))
    a[rng.random(a.shape) < 0.01] = 255
    a[:20, :9] = 255
    return a


def polygons(path: Path) -> list[tuple[int, bytes]]:
    frame = gpd.read_parquet(path)
    return geometry_set(frame.class_id, frame.geometry.explode(index_parts=False))


@pytest.mark.parametrize(
    ("options", "filters", "sieves"),
    [
        ({"min_pixels": 12}, {}, [Sieve(kind="merge", least=12)]),
        ({"min_pixels": 700}, {}, [Sieve(kind="merge", least=700)]),
        ({"min_pixels": 12, "small": "drop"}, {}, [Sieve(kind="drop", least=12)]),
        (
            {"majority": 5, "opening": 3, "closing": "1=5,2=3", "fill_holes": 4, "min_pixels": 6},
            {"majority": 5, "opening": tuple((c, 3) for c in range(255)), "closing": ((1, 5), (2, 3))},
            [Sieve(kind="fill", least=4), Sieve(kind="merge", least=6)],
        ),
    ],
)
def test_every_chunk_gives_the_polygons_of_the_map_cleaned_whole(
    tmp_path: Path, options: dict[str, Any], filters: dict[str, Any], sieves: list[Sieve]
) -> None:
    a = noisy()
    path = write(tmp_path / "m.tif", a, nodata=255)
    whole = np.pad(Steps(**filters).filtered(a), 1, constant_values=255)
    for sieve in sieves:
        whole = sieve.sift(whole, Seams()).painted()
    expected = whole_raster_answer(whole[1:-1, 1:-1], TRANSFORM)
    for chunk in (500, 64, 17):
        geoseg.vectorize(path, out=tmp_path / "p.parquet", chunk=chunk, overwrite=True, **options)
        assert polygons(tmp_path / "p.parquet") == expected, chunk


def test_hectares(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", noisy(), nodata=255)
    result = geoseg.vectorize(path, out=tmp_path / "p.parquet", min_area=0.1, fill_holes=9)
    frame = gpd.read_parquet(tmp_path / "p.parquet")
    assert frame.area_ha.min() >= 0.1
    plain = geoseg.vectorize(path, out=tmp_path / "q.parquet")
    assert result.polygons < plain.polygons / 5
    assert result.pixels >= plain.pixels


def test_refusals(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", noisy(), nodata=255)
    with pytest.raises(UsageError, match="exclude each other"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", min_pixels=3, min_area=1)
    with pytest.raises(UsageError, match="odd"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", majority=4)
    with pytest.raises(UsageError, match="closing needs its classes"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", closing=3)
    with pytest.raises(UsageError, match="odd"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", opening="1=2")
    with pytest.raises(UsageError, match="road=3"):
        geoseg.vectorize(path, out=tmp_path / "p.gpkg", opening="forest")


def test_real_map_without_slivers(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "forest_change_guadeloupe" / "fcc123_GLP.tif"
    files = []
    for chunk in (4000, 777):
        out = tmp_path / f"{chunk}.parquet"
        geoseg.vectorize(path, out=out, min_area=1.0, small="drop", chunk=chunk)
        files.append(polygons(out))
    assert files[0] == files[1]
    assert gpd.read_parquet(out).area_ha.min() >= 1.0
