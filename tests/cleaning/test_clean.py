"""`clean` against the whole raster and against `vectorize`: one result for every chunk, whole or nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.cleaning.job import CleanJob
from geoseg.cleaning.steps import Steps
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.raster.cog import cog_problems
from geoseg.regions.sieve import Seams, Sieve
from tests.raster.makers import write

TAGS = {"CLASS_0": "Developed, Low Intensity", "CLASS_1": "skog", "CLASS_2": "Low Intensity",
        "CLASS_3": "väg", "GEOSEG_RUN": "r-01"}  # fmt: skip


def noisy(side: int = 150) -> np.ndarray:
    rng = np.random.default_rng(5)
    a = np.kron(rng.integers(0, 4, (side // 15, side // 15)), np.ones((15, 15))).astype(np.uint8)
    spots = rng.random(a.shape) < 0.12
    a[spots] = rng.integers(0, 4, int(spots.sum()))
    a[rng.random(a.shape) < 0.01] = 255
    a[:20, :9] = 255
    return a


@pytest.fixture
def class_map(tmp_path: Path) -> Path:
    return write(tmp_path / "classes.tif", noisy(), nodata=255, tags=TAGS)


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read(1))


OPTIONS: list[tuple[dict[str, Any], dict[str, Any], list[Sieve]]] = [
    ({"min_pixels": 12}, {}, [Sieve(kind="merge", least=12)]),
    ({"min_pixels": 400, "small": "drop"}, {}, [Sieve(kind="drop", least=400)]),
    ({"majority": 5, "fill_holes": 9}, {"majority": 5}, [Sieve(kind="fill", least=9)]),
    (
        {"opening": "skog=3, Developed, Low Intensity=5", "closing": "väg=3", "min_pixels": 6},
        {"opening": ((0, 5), (1, 3)), "closing": ((3, 3),)},
        [Sieve(kind="merge", least=6)],
    ),
]


@pytest.mark.parametrize(("options", "filters", "sieves"), OPTIONS)
def test_every_chunk_gives_the_map_cleaned_whole(
    class_map: Path, tmp_path: Path, options: dict[str, Any], filters: dict[str, Any], sieves: list[Sieve]
) -> None:
    whole = np.pad(Steps(**filters).filtered(noisy()), 1, constant_values=255)
    for sieve in sieves:
        whole = sieve.sift(whole, Seams()).painted()
    expected = whole[1:-1, 1:-1]
    for chunk in (None, 64, 37):
        out = tmp_path / f"cleaned{chunk}.tif"
        made = geoseg.clean(class_map, out=out, chunk=chunk, **options)
        np.testing.assert_array_equal(pixels(out), expected)
        assert made.changed == (expected != noisy()).sum()
        assert {c.class_id: c.after for c in made.classes} == {
            k: int((expected == k).sum()) for k in range(4)
        }


@pytest.mark.parametrize("options", [o for o, _, _ in OPTIONS] + [{"min_area": 0.3}])
def test_polygons_of_the_cleaned_map_are_those_of_the_map_with_the_same_options(
    class_map: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    geoseg.clean(class_map, out=tmp_path / "cleaned.tif", **options)
    geoseg.vectorize(tmp_path / "cleaned.tif", out=tmp_path / "a.parquet")
    geoseg.vectorize(class_map, out=tmp_path / "b.parquet", **options)
    one, two = (gpd.read_parquet(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert len(one) > 5
    assert one.drop(columns="geometry").equals(two.drop(columns="geometry"))
    assert (one.geometry.to_wkb() == two.geometry.to_wkb()).all()


def test_the_cleaned_map_is_a_class_map_of_the_same_kind(class_map: Path, tmp_path: Path) -> None:
    out = tmp_path / "cleaned.tif"
    made = geoseg.clean(class_map, out=out, min_area=0.3, chunk=64)
    assert cog_problems(out) == []
    before, after = geoseg.open_class_map(class_map), geoseg.open_class_map(out)
    assert after.legend == before.legend
    assert after.grid.difference(before.grid) is None
    with rasterio.open(out) as file:
        tags = file.tags()
    assert tags["GEOSEG_RUN"] == "r-01"
    assert json.loads(tags["GEOSEG_CLEANING"]) == {"min_area": 0.3}
    assert json.loads(json.dumps(made.to_json()))["changed"] == made.changed
    scores = geoseg.evaluate(out, class_map)
    assert scores.counts.sum() > 0


def test_whole_or_not_at_all(class_map: Path, tmp_path: Path) -> None:
    before = class_map.read_bytes()
    with pytest.raises(OutputConflictError, match="one of the inputs"):
        geoseg.clean(class_map, out=class_map, min_pixels=5, overwrite=True)
    assert class_map.read_bytes() == before
    out = tmp_path / "taken.tif"
    out.write_text("mine")
    with pytest.raises(OutputConflictError, match="exists"):
        geoseg.clean(class_map, out=out, min_pixels=5)
    bad = write(tmp_path / "bad.tif", np.array([[1.0, 2.5], [1, 1]], np.float32))
    with pytest.raises(InputError, match="not a whole number"):
        geoseg.clean(bad, out=tmp_path / "x.tif", min_pixels=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.tif", "classes.tif", "taken.tif"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "x.tif"}, "nothing to clean with"),
        ({"out": "x.gpkg", "min_pixels": 3}, "expected a GeoTIFF"),
        ({"out": "x.tif", "min_pixels": 3, "min_area": 1}, "exclude each other"),
        ({"out": "x.tif", "closing": "3"}, "closing needs its classes"),
        ({"out": "x.tif", "opening": "road=x"}, "road=3,building=5"),
    ],
)
def test_what_is_asked_wrongly_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CleanJob.parse({"classes": "m.tif", **options})


def test_names_with_commas_come_first(class_map: Path, tmp_path: Path) -> None:
    result = geoseg.vectorize(class_map, out=tmp_path / "p.parquet", only="Developed, Low Intensity")
    assert [c.class_id for c in result.classes] == [0]
    result = geoseg.vectorize(class_map, out=tmp_path / "q.parquet", only="skog,developed, low intensity , 3")
    assert [c.class_id for c in result.classes] == [0, 1, 3]
    result = geoseg.vectorize(class_map, out=tmp_path / "r.parquet", only=["Low Intensity", 1])
    assert [c.class_id for c in result.classes] == [1, 2]
    with pytest.raises(InputError, match=r"no class 'Developed' in the legend"):
        geoseg.vectorize(class_map, out=tmp_path / "s.parquet", only="Developed, skog")
