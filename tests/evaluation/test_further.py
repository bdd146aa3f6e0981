"""Objects, outlines, confidence, regions, blocks and the raster of errors, against whole arrays."""

from __future__ import annotations

import csv

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from scipy import ndimage
from shapely.geometry import box
from sklearn import metrics as sk

from geoseg.errors import UsageError
from geoseg.evaluation.verb import evaluate
from geoseg.geometry import Window
from geoseg.raster.classmap import ClassMap


@pytest.fixture
def layers(make_map):
    rng = np.random.default_rng(9)
    rough = ndimage.zoom(rng.random((12, 14)), 6, order=1)
    truth = np.digitize(rough, [0.35, 0.65]).astype(np.uint8) + 1
    mapped = np.roll(truth, 1, axis=1)
    mapped[rng.random(truth.shape) < 0.02] = 2
    truth[rng.random(truth.shape) < 0.03] = 255
    return make_map(mapped, "classes.tif"), make_map(truth, "truth.tif"), mapped, truth


def objects_of(mapped, truth):
    known = (mapped != 255) & (truth != 255)
    a, b = (np.where(known, x, 255) for x in (truth, mapped))
    found = {}
    for k, value in enumerate((1, 2, 3)):
        one, n = ndimage.label(a == value)
        other, m = ndimage.label(b == value)
        ious = []
        for i in range(1, n + 1):
            partners = [j for j in np.unique(other[one == i]) if j]
            shared = [(one == i, other == j) for j in partners]
            ratios = [(a & b).sum() / (a | b).sum() for a, b in shared]
            ious += [ratio for ratio in ratios if ratio > 0.5]
        found[k] = (len(ious), n - len(ious), m - len(ious), sum(ious))
    return found


@pytest.mark.parametrize("side", [None, 17])
def test_everything_at_once_for_any_windows(layers, side, tmp_path, monkeypatch):
    path_map, path_truth, mapped, truth = layers
    if side is not None:
        whole = Window(0, 0, *mapped.shape)
        monkeypatch.setattr(ClassMap, "scan_windows", lambda _: list(whole.blocks(side, side + 5)))
    with rasterio.open(path_map) as source:
        sure = np.random.default_rng(1).integers(50, 101, mapped.shape).astype(np.uint8)
        profile = {**source.profile, "nodata": None}
        t = source.transform
    with rasterio.open(tmp_path / "confidence.tif", "w", **profile) as sink:
        sink.write(sure, 1)
    half = mapped.shape[1] // 2 * t.a + t.c
    x1, y1 = t.c + mapped.shape[1] * t.a, t.f + mapped.shape[0] * t.e
    frame = gpd.GeoDataFrame(
        {"town": ["west", "east"]},
        geometry=[box(t.c, y1, half, t.f), box(half, y1, x1, t.f)],
        crs="EPSG:32720",
    )
    frame.to_file(tmp_path / "towns.gpkg")
    scores = evaluate(
        path_map,
        path_truth,
        out=tmp_path / "scores.json",
        boundary=1,
        boundary_f1=45,
        objects=True,
        confidence=tmp_path / "confidence.tif",
        regions=tmp_path / "towns.gpkg",
        regions_field="town",
        blocks=600,
        errors=tmp_path / "errors.tif",
    )
    known = (mapped != 255) & (truth != 255)
    objects = scores.further["objects"]
    for k, (matched, missed, extra, ious) in objects_of(mapped, truth).items():
        assert (objects.matched[k], objects.missed[k], objects.extra[k]) == (matched, missed, extra)
        assert objects.iou[k] == pytest.approx(ious)
    counts = scores.further["confidence"]
    assert counts.number.sum() == known.sum() and counts.right.sum() == (mapped == truth)[known].sum()
    west = np.arange(mapped.shape[1]) < mapped.shape[1] // 2
    rows = {r["region"]: r for r in scores.regions}
    for name, inside in (("west", west), ("east", ~west)):
        chosen = known & inside[None, :]
        assert rows[name]["scored"] == chosen.sum()
        assert rows[name]["overall_accuracy"] == pytest.approx((mapped == truth)[chosen].mean())
        iou = sk.jaccard_score(truth[chosen], mapped[chosen], average="macro")
        assert rows[name]["mean_iou"] == pytest.approx(iou)
    assert len(scores.blocks) == -(-mapped.shape[0] // 20) * -(-mapped.shape[1] // 20)
    first = scores.blocks[0]
    assert first["scored"] == known[:20, :20].sum()
    assert first["overall_accuracy"] == pytest.approx((mapped == truth)[:20, :20][known[:20, :20]].mean())
    low, high = scores.intervals["overall_accuracy"]
    assert low < scores.overall["overall_accuracy"] < high
    outline = scores.further["outline"]
    assert 0 < outline.f1[0] <= 1 and scores.overall["mean_boundary_f1"] > 0.9
    with rasterio.open(tmp_path / "errors.tif") as raster:
        codes, tags = raster.read(1), raster.tags()
    assert np.array_equal(codes != 255, known)
    assert np.array_equal(codes[known] // 3, truth[known] - 1)
    assert np.array_equal(codes[known] % 3, mapped[known] - 1)
    assert tags["CLASS_1"] == "forest mapped as pasture" and tags["CLASS_4"] == "pasture, right"
    for name, number in (("regions", 2), ("blocks", len(scores.blocks))):
        assert len(list(csv.DictReader((tmp_path / f"scores_{name}.csv").open()))) == number
    content = scores.to_json()
    assert content["blocks"]["number"] == len(scores.blocks)
    assert content["boundary_counts"]["mapped"] == outline.mapped.tolist()


def test_what_needs_pixels_is_refused_of_points_and_fractions(layers, tmp_path, make_vector):
    from shapely.geometry import Point

    points = make_vector([Point(3.5, 3.5)], {"class": ["forest"]}, "points.gpkg")
    with pytest.raises(UsageError, match="`objects` needs a raster or polygons"):
        evaluate(layers[0], points, objects=True)
    with pytest.raises(UsageError, match="needs pixels of one class"):
        evaluate(layers[0], layers[1], resample="fraction", blocks=300)


def test_few_blocks_are_told(layers):
    assert any("blocks are few" in note for note in evaluate(*layers[:2], blocks=1500).notes)


def test_confidence_of_another_grid_is_refused(layers, make_map):
    other = make_map(np.ones((4, 4), np.uint8), "small.tif")
    with pytest.raises(Exception, match="not the confidence of this class map"):
        evaluate(*layers[:2], confidence=other)
