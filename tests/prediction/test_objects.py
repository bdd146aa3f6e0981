"""Objects of a scene as a user gets them: in any chunks, by any workers, after kills, in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely

import geoseg
from geoseg.errors import ChunksFailedError, UsageError
from geoseg.execution.manifest import verify_files
from geoseg.legend import Legend
from geoseg.models.object_rule import ObjectRule
from geoseg.prediction.folder import Prediction
from geoseg.raster.scene import Scene
from tests.models.bundles import bundle
from tests.models.object_networks import NAMES, SMALL, THINGS, network
from tests.objects.blobs import save_blobs
from tests.objects.scenes import draw
from tests.raster.makers import write

SIZES = [(170, 9), (90, 12)] + [(k % 17 + 5, k % 7 + 4) for k in range(40)]
PLAN = {"tile": 96, "margin": 16, "threads": 1, "device": "cpu"}
SIDE = 200


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return draw(SIDE, SIZES, 3)


@pytest.fixture
def scene(tmp_path: Path, ids: np.ndarray) -> Path:
    below = ground(ids.shape)
    below[:, -30:] = 65535  # nodata
    return write(tmp_path / "scene.tif", np.stack([ids.astype(np.uint16), below]), nodata=65535)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    return lambda name="blobs", **options: save_blobs(tmp_path / name, **options)


def ground(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60000, shape).astype(np.uint16)


def pixels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def rasters_of(made: Prediction) -> dict[str, bytes]:
    return {name: pixels_of(path).tobytes() for name, path in made.layers.items() if path.suffix == ".tif"}


def rows_of(path: Path) -> gpd.GeoDataFrame:
    return gpd.read_file(path, layer="objects")


@pytest.mark.parametrize("panoptic", [False, True])
def test_objects_do_not_depend_on_chunks_or_workers(
    scene: Path, save: Callable[..., Path], tmp_path: Path, panoptic: bool
) -> None:
    model = save(panoptic=panoptic, miss=0.1, wobble=1)

    def run(name: str, **options: Any) -> tuple[dict[str, bytes], gpd.GeoDataFrame]:
        made = geoseg.predict(scene, model=model, out=tmp_path / name, **PLAN, **options)
        assert all(fault is None for _, fault in verify_files(tmp_path / name))
        return rasters_of(made), rows_of(made.objects)

    files, rows = run("one", chunk=64)
    assert len(rows) > 12 and set(rows["class"]) == {"house", "tree"}
    for name, options in {
        "two": {"chunk": 128},
        "three": {"chunk": 192, **({"workers": 2} if panoptic else {})},
        "seven": {"chunk": 448},
    }.items():
        again, same = run(name, **options)
        assert again == files, name
        assert same.equals(rows), name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_networks_find_does_not_depend_on_chunks(tmp_path: Path, name: str) -> None:
    """With random weights, and a rule that lets nearly everything count."""
    things = THINGS.get(name, (0, 1))
    legend = Legend.of(dict(enumerate("abcd"[: 4 if name in THINGS else 2])))
    kinds = [replace(c, kind="thing") if k in things else c for k, c in enumerate(legend.classes)]
    model = bundle(
        tmp_path,
        SMALL[name],
        network=network(name),
        legend=Legend(tuple(kinds)),
        tasks=("panoptic" if name in THINGS else "instance",),
        objects=ObjectRule(score=0.01, mask=0.3, min_pixels=1),
    )
    pixels = np.kron(np.random.default_rng(2).integers(1, 255, (3, 16, 16)), np.ones((8, 8)))
    scene = write(tmp_path / "scene.tif", pixels.astype(np.uint8))
    found = [
        geoseg.predict(scene, model=model.path, out=tmp_path / str(chunk), chunk=chunk, tile=96, threads=1)
        for chunk in (32, 128)
    ]
    assert len(rows_of(found[0].objects)) > 0
    assert rasters_of(found[0]) == rasters_of(found[1])
    assert rows_of(found[0].objects).equals(rows_of(found[1].objects))


def test_masked_and_bounded_objects_do_not_depend_on_chunks_or_workers(
    scene: Path, save: Callable[..., Path], tmp_path: Path, ids: np.ndarray
) -> None:
    hidden = np.zeros((SIDE, SIDE), np.uint8)
    hidden[60:75] = hidden[:, 90:97] = 1
    mask = write(tmp_path / "mask.tif", hidden)
    with rasterio.open(scene) as file:
        area = shapely.Polygon([file.xy(*corner) for corner in ((5, 10), (20, 195), (190, 150), (170, 30))])
        gpd.GeoDataFrame(geometry=[area], crs=file.crs).to_file(tmp_path / "aoi.gpkg")
        outside = rasterio.features.geometry_mask([area], ids.shape, file.transform)
    model = save(miss=0.1, wobble=1)
    given = {"mask": str(mask), "aoi": tmp_path / "aoi.gpkg", **PLAN}
    made = [
        geoseg.predict(scene, model=model, out=tmp_path / name, **given, **options)
        for name, options in {
            "one": {"chunk": 64},
            "two": {"chunk": 128},
            "three": {"chunk": 192, "workers": 2},
            "seven": {"chunk": 448},
        }.items()
    ]
    first, rows = pixels_of(made[0].panoptic), rows_of(made[0].objects)
    for other in made[1:]:
        np.testing.assert_array_equal(pixels_of(other.panoptic), first)
        assert rows_of(other.objects).equals(rows)
    assert len(rows) > 5 and not first[hidden > 0].any() and not first[outside].any()
    assert rows["at_edge"].any() and not rows["at_edge"].all()


def test_files_say_the_same(scene: Path, save: Callable[..., Path], tmp_path: Path) -> None:
    made = geoseg.predict(
        scene, model=save(panoptic=True, miss=0.1, wobble=1), out=tmp_path / "out", chunk=128, **PLAN
    )
    ids, classes, rows = pixels_of(made.panoptic), pixels_of(made.classes), rows_of(made.objects)
    assert sorted(rows["id"]) == list(range(1, len(rows) + 1)) and ids.max() == len(rows)
    with rasterio.open(made.panoptic) as file:
        assert file.dtypes == ("uint32",) and file.nodata == 0
        transform = file.transform
    valid = np.ones(ids.shape, bool)
    valid[:, -30:] = False
    edge = ~valid
    edge[[0, -1]] = edge[:, [0]] = True
    near = edge.copy()
    near[:, -31] = True
    for row in rows.itertuples():
        mask = ids == row.id
        assert mask.sum() == row.pixels
        assert (row.row, row.col) == divmod(int(mask.argmax()), SIDE)
        assert set(np.unique(classes[mask])) == {row.class_id}
        assert row.at_edge == (mask & near).any()
        assert row.area_m2 == pytest.approx(row.pixels * 100, rel=2e-3)
        burnt = rasterio.features.rasterize([row.geometry], out_shape=ids.shape, transform=transform)
        np.testing.assert_array_equal(burnt.astype(bool), mask)
        assert 50 <= row.score <= 100
    stuff = (ids == 0) & valid
    assert set(np.unique(classes[stuff])) == {1, 2}
    assert (classes[~valid] == 255).all() and not ids[~valid].any()
    said = json.loads(made.manifest.read_text())
    assert said["objects"] == rows["class"].value_counts().to_dict() == made.objects_found
    assert sum(said["pixels"].values()) == ids.size and said["task"] == "panoptic"
    firsts = [int((ids == k).argmax()) for k in range(1, len(rows) + 1)]
    assert firsts == sorted(firsts)


def test_an_object_cut_into_parts_stays_one_row(save: Callable[..., Path], tmp_path: Path) -> None:
    """A horseshoe whose bend lies under a hole of the area of interest: two parts, one object."""
    ids = np.zeros((128, 128), np.uint16)
    ids[20:70, 20:30] = ids[20:70, 40:50] = ids[60:70, 20:50] = 2
    scene = write(tmp_path / "scene.tif", np.stack([ids, ground(ids.shape)]))
    with rasterio.open(scene) as file:
        area = shapely.box(*rasterio.windows.bounds(rasterio.windows.Window(0, 0, 128, 50), file.transform))
        gpd.GeoDataFrame(geometry=[area], crs=file.crs).to_file(tmp_path / "aoi.gpkg")
    made = geoseg.predict(
        scene, model=save(), out=tmp_path / "out", aoi=tmp_path / "aoi.gpkg", chunk=64, **PLAN
    )
    (row,) = rows_of(made.objects).itertuples()
    assert len(row.geometry.geoms) == 2 and row.geometry.is_valid
    assert row.pixels == 2 * 30 * 10 and row.at_edge == 1
    assert row.geometry.area == pytest.approx(row.pixels * 100)


def test_a_killed_run_goes_on(
    scene: Path, save: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save(miss=0.1, wobble=1)
    whole = geoseg.predict(scene, model=model, out=tmp_path / "whole", chunk=64, **PLAN)
    read, calls = Scene.read, []

    def failing(self: Scene, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if 40 < len(calls) < 46:
            raise OSError("the disk went away")
        return read(self, *args, **options)

    monkeypatch.setattr(Scene, "read", failing)
    with pytest.raises(ChunksFailedError):
        geoseg.predict(scene, model=model, out=tmp_path / "again", chunk=64, **PLAN)
    assert not (tmp_path / "again" / "objects.gpkg").exists()
    monkeypatch.undo()
    monkeypatch.setenv("GEOSEG_ARCHITECTURES", "tests")
    # what is stored of one chunk was damaged in between: it is computed again
    stored = sorted((tmp_path / "again" / ".work" / "store.zarr" / "rim" / "c" / "0").iterdir())[0]
    stored.write_bytes(stored.read_bytes()[:-9])
    again = geoseg.predict(scene, model=model, out=tmp_path / "again", chunk=64, **PLAN)
    assert rasters_of(again) == rasters_of(whole) and rows_of(again.objects).equals(rows_of(whole.objects))
    assert not geoseg.predict(scene, model=model, out=tmp_path / "again", chunk=64, **PLAN).fresh


def test_objects_of_equal_scores_are_the_same_in_any_chunks(
    scene: Path, save: Callable[..., Path], tmp_path: Path
) -> None:
    model = save(ties=1, miss=0.2, wobble=1)
    made = [
        geoseg.predict(scene, model=model, out=tmp_path / str(chunk), chunk=chunk, **PLAN)
        for chunk in (64, 192)
    ]
    assert rasters_of(made[0]) == rasters_of(made[1])
    assert (rows_of(made[0].objects)["score"] == 100).all()


def test_nothing_is_found_in_an_empty_scene(save: Callable[..., Path], tmp_path: Path) -> None:
    pixels = np.stack([np.zeros((80, 100), np.uint16), ground((80, 100))])
    scene = write(tmp_path / "scene.tif", pixels)
    made = geoseg.predict(scene, model=save(), out=tmp_path / "out", **PLAN)
    assert len(rows_of(made.objects)) == 0 and not pixels_of(made.panoptic).any()
    assert made.objects_found == {"house": 0, "tree": 0} and made.pixels["no object"] == 8000


def test_tiles_with_too_many_objects_are_noted(
    scene: Path, save: Callable[..., Path], tmp_path: Path
) -> None:
    model = save(rule=ObjectRule(min_pixels=4, per_tile=2))
    made = geoseg.predict(scene, model=model, out=tmp_path / "out", **PLAN)
    assert any("hold more than 2 objects" in note for note in made.notes)


@pytest.mark.parametrize("suffix", ["shp", "fgb", "parquet"])
def test_other_formats(scene: Path, save: Callable[..., Path], tmp_path: Path, suffix: str) -> None:
    made = geoseg.predict(scene, model=save(), out=tmp_path / "out", objects_format=suffix, **PLAN)
    assert made.objects.name == f"objects.{suffix}"
    rows = gpd.read_parquet(made.objects) if suffix == "parquet" else rows_of(made.objects)
    assert sorted(rows["id"]) == list(range(1, len(rows) + 1)) and rows.geometry.is_valid.all()
    assert all(fault is None for _, fault in verify_files(tmp_path / "out"))


def test_outlines_get_right_angles_and_nothing_else_changes(
    scene: Path, save: Callable[..., Path], tmp_path: Path
) -> None:
    model = save()
    traced = geoseg.predict(scene, model=model, out=tmp_path / "traced", chunk=64, **PLAN)
    squared = geoseg.predict(scene, model=model, out=tmp_path / "squared", chunk=128, square=15.0, **PLAN)
    assert rasters_of(squared) == rasters_of(traced)
    old, new = rows_of(traced.objects), rows_of(squared.objects)
    assert old.drop(columns="geometry").equals(new.drop(columns="geometry"))
    changed = ~old.geometry.geom_equals(new.geometry)
    (note,) = [n for n in squared.notes if "squared" in n]
    assert int(note.split(" ")[0]) >= changed.sum() > 0.3 * len(new)  # an upright one stays as it is
    assert new[changed].geometry.get_coordinates().groupby(level=0).size().max() < 12
    assert new.geometry.area.to_numpy() == pytest.approx(old.geometry.area.to_numpy(), rel=0.02)
    assert new.union_all().area == pytest.approx(new.geometry.area.sum())
    assert verify_files(tmp_path / "squared")


def test_what_objects_cannot_have_is_refused(scene: Path, save: Callable[..., Path], tmp_path: Path) -> None:
    model = save()
    for options, text in (
        ({"stitch": "blend"}, "cannot be stitched by blend"),
        ({"tta": "flips"}, "cannot be averaged"),
        ({"engine": "onnx"}, "runs no networks of objects"),
        ({"objects_format": "geojson"}, "longitude and latitude"),
        ({"objects_format": "xls"}, "unknown vector format"),
    ):
        with pytest.raises(UsageError, match=text):
            geoseg.predict(scene, model=model, out=tmp_path / "out", **{**PLAN, **options})
    with pytest.raises(UsageError, match="finds no objects that could be squared"):
        geoseg.predict(scene, model=bundle(tmp_path).path, out=tmp_path / "out", square=2.0, **PLAN)
    with pytest.raises(UsageError, match="cannot be averaged"):
        geoseg.predict(scene, model=[model, model], out=tmp_path / "out", **PLAN)
    made = geoseg.predict(scene, model=model, out=tmp_path / "out", **PLAN)
    with pytest.raises(UsageError, match="the model makes no classes"):
        _ = made.classes
    assert geoseg.plan(scene, model=model, tile=96, margin=16).seconds is not None
