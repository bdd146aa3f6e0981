"""The verb evaluate, its files and its command, on made-up and on real maps."""

from __future__ import annotations

import csv
import json

import geopandas as gpd
import numpy as np
import pytest
from click.testing import CliRunner
from shapely.geometry import Point, box
from sklearn import metrics as sk

import geoseg
from geoseg.cli.evaluate import command
from geoseg.errors import InputError, OutputConflictError, UsageError
from geoseg.evaluation.verb import evaluate
from geoseg.raster.classmap import open_class_map
from geoseg.raster.write import write_geotiff


@pytest.fixture
def pair(make_map):
    rng = np.random.default_rng(7)
    truth = rng.choice(np.array([1, 2, 255], np.uint8), (60, 70))
    mapped = np.where(
        rng.random(truth.shape) < 0.2, rng.choice(np.array([1, 2, 255], np.uint8), truth.shape), truth
    )
    return make_map(mapped.astype(np.uint8), "classes.tif"), make_map(truth, "truth.tif"), mapped, truth


def test_processes_score_alike(pair):
    here, there = (evaluate(*pair[:2], workers=w, boundary=1) for w in (0, 2))
    assert here.to_json() == there.to_json()


def test_scores_equal_scikit_learn_and_the_files_say_the_same(pair, tmp_path):
    classes, reference, mapped, truth = pair
    scores = evaluate(classes, reference, out=tmp_path / "new" / "scores.json")
    both = (mapped != 255) & (truth != 255)
    a, b = truth[both], mapped[both]
    assert scores.overall["overall_accuracy"] == pytest.approx(sk.accuracy_score(a, b))
    assert scores.overall["kappa"] == pytest.approx(sk.cohen_kappa_score(a, b))
    assert scores.overall["mean_iou"] == pytest.approx(sk.jaccard_score(a, b, average="macro"))
    assert scores.absent == ("water",)
    content = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert content == json.loads(json.dumps(scores.to_json()))
    assert content["classes"][2]["iou"] is None
    assert content["confusion"]["counts"][0][0] == int(((a == 1) & (b == 1)).sum())
    unmapped = int(((truth != 255) & (mapped == 255)).sum())
    assert content["pixels"] == {
        "scored": int(both.sum()),
        "unmapped": unmapped,
        "unreferenced": int(((truth == 255) & (mapped != 255)).sum()),
        "neither": int(((truth == 255) & (mapped == 255)).sum()),
    }
    assert content["map"]["files"][0]["sha256"] and content["reference"]["files"][0]["sha256"]
    assert content["geoseg"] == geoseg.__version__
    rows = list(csv.DictReader((tmp_path / "new" / "scores.csv").open()))
    assert float(rows[0]["iou"]) == content["classes"][0]["iou"]
    assert rows[2]["iou"] == ""
    confusion = list(csv.reader((tmp_path / "new" / "confusion.csv").open()))
    assert [int(v) for v in confusion[1][1:4]] == content["confusion"]["counts"][0]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "confusion.csv",
        "scores.csv",
        "scores.json",
    ]
    table = scores.to_table()
    assert table.loc["forest", "iou"] == content["classes"][0]["iou"]


def test_unmapped_pixels_count_as_wrong_on_request(pair):
    classes, reference, mapped, truth = pair
    scores = evaluate(classes, reference, unmapped="error")
    scored = truth != 255
    assert scores.overall["overall_accuracy"] == pytest.approx((mapped == truth)[scored].mean())
    assert any("counted as wrong" in note for note in scores.notes)


def test_formulas_in_class_names_stay_text(make_map, tmp_path):
    labels = np.array([[1, 2, 3]], np.uint8)
    names = {1: "=1+1", 2: "@cmd", 3: "-2"}
    path = make_map(labels, names=names)
    evaluate(path, path, out=tmp_path / "scores.json")
    for file in ("scores.csv", "confusion.csv"):
        cells = [cell for row in csv.reader((tmp_path / file).open()) for cell in row]
        assert "'=1+1" in cells and "'@cmd" in cells and "'-2" in cells
        assert not {"=1+1", "@cmd", "-2"} & set(cells)


def test_nothing_to_score_is_an_error_that_writes_nothing(make_map, tmp_path):
    left = make_map(np.array([[1, 255]], np.uint8), "left.tif")
    right = make_map(np.array([[255, 1]], np.uint8), "right.tif")
    with pytest.raises(InputError, match="nothing to score"):
        evaluate(left, right, out=tmp_path / "scores.json")
    assert not list(tmp_path.glob("*.json")) + list(tmp_path.glob("*.csv")) + list(tmp_path.glob(".*"))


def test_only_scores_are_replaced(pair, tmp_path):
    classes, reference, *_ = pair
    out = tmp_path / "scores.json"
    out.write_text('{"mine": 1}')
    with pytest.raises(OutputConflictError, match="no earlier result"):
        evaluate(classes, reference, out=out)
    assert out.read_text() == '{"mine": 1}'
    evaluate(classes, reference, out=out, overwrite=True)
    evaluate(classes, reference, out=out)
    with pytest.raises(UsageError, match=r"not a \.json file"):
        evaluate(classes, reference, out=classes)


@pytest.mark.parametrize("name", ["mine.csv", "mine_confusion.csv", "mine_blocks.csv", "wrong.qml"])
def test_no_file_of_the_users_is_replaced_beside_the_scores(pair, tmp_path, name):
    classes, reference, *_ = pair
    options = {"out": tmp_path / "mine.json", "blocks": 300, "errors": tmp_path / "wrong.tif"}
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputConflictError, match=r"exists.*written beside"):
        evaluate(classes, reference, **options)
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "mine.json").exists() and not (tmp_path / "wrong.tif").exists()
    evaluate(classes, reference, **options, overwrite=True)
    assert (tmp_path / name).read_text() != "mine"


def test_numbers_of_the_raster_without_names_mean_those_of_the_other_and_it_is_said(make_map):
    labels = np.array([[1, 1, 2]], np.uint8)
    named, plain = make_map(labels, "a.tif"), make_map(labels, "b.tif", names=None)
    said = "the {} names no classes: its numbers mean what the {} calls them"
    assert said.format("reference", "map") in evaluate(named, plain).notes
    scores = evaluate(plain, named)
    assert said.format("map", "reference") in scores.notes
    assert scores.legend.names[:2] == ("forest", "pasture")
    for pair in ((named, named), (plain, plain)):
        assert not any("names no classes" in note for note in evaluate(*pair).notes)


def test_each_raster_has_its_own_crosswalk_in_messages(make_map):
    plain = make_map(np.array([[1, 2, 2]], np.uint8), "a.tif", names=None)
    open_ended = make_map(np.array([[1, 255, 2]], np.uint8), "b.tif", names=None, nodata=None)
    with pytest.raises(InputError, match=r"b.tif: value 255 .*`reference_nodata=255` .* `crosswalk=MAP"):
        evaluate(plain, open_ended)
    with pytest.raises(InputError, match=r"b.tif: value 255 .*`nodata=255` .* `map_crosswalk=MAP"):
        evaluate(open_ended, plain)


def test_maps_without_class_names_are_scored_by_number(make_map):
    reference = make_map(np.array([[1, 1, 5]], np.uint8), "a.tif", names=None)
    mapped = make_map(np.array([[1, 2, 2]], np.uint8), "b.tif", names=None)
    assert evaluate(mapped, reference).legend.names == ("class 1", "class 2", "class 5")
    named = evaluate(mapped, reference, legend={1: "forest", 2: "pasture", 5: "water"})
    assert [r["iou"] for r in named.per_class] == [0.5, 0.0, 0.0]


def test_command_prints_a_table_and_says_where_the_files_are(pair, make_vector, tmp_path):
    classes, *_ = pair
    polygons = make_vector([box(0, 0, 20, 20)], {"kind": ["wood"]})
    crosswalk = tmp_path / "map.yaml"
    crosswalk.write_text("wood: forest\n")
    out = tmp_path / "scores.json"
    arguments = [classes, polygons, "--out", out, "--field", "kind", "--crosswalk", crosswalk]
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    assert "IoU" in result.output and "forest" in result.output and "kappa" in result.output
    assert str(out) in result.output and str(tmp_path / "confusion.csv") in result.output
    assert json.loads(out.read_text())["job"]["field"] == "kind"


def test_verb_with_boundaries(make_map, make_vector):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(1, 4, (12, 12), dtype=np.uint8), np.ones((9, 9), np.uint8))
    reference, mapped = make_map(truth, "a.tif"), make_map(np.roll(truth, 1, axis=0), "b.tif")
    same, moved = evaluate(reference, reference, boundary=2), evaluate(mapped, reference, boundary=2)
    assert same.overall["mean_boundary_iou"] == 1
    assert moved.overall["mean_boundary_iou"] < moved.overall["mean_iou"] < 1
    assert moved.to_json()["classes"][0]["boundary_iou"] == moved.per_class[0]["boundary_iou"]
    points = make_vector([Point(5.5, 5.5)], {"cover": [1]})
    with pytest.raises(UsageError, match="`boundary` needs a raster or polygons"):
        evaluate(reference, points, boundary=2)


def test_ethiopia_against_itself_and_its_training_polygons(shared_data):
    folder = shared_data / "gewata_landsat7_ethiopia"
    names = {int(k): v for k, v in json.loads((folder / "classes.json").read_text()).items()}
    reference = folder / "gewata_lulc_reference.tif"
    scores = evaluate(reference, reference, legend=names)
    assert dict(zip(scores.legend.names, np.diagonal(scores.matrix.counts).tolist(), strict=True)) == {
        "cropland": 396_838, "bamboo": 17_301, "bare soil": 943,
        "coffee plantation": 13_645, "forest": 470_859, "wetland": 104_616,
    }  # fmt: skip
    assert scores.overall["mean_iou"] == 1
    polygons = evaluate(reference, folder / "training_polygons.gpkg", legend=names)
    assert polygons.overall["overall_accuracy"] > 0.9
    assert set(polygons.absent) == {"bare soil", "coffee plantation"}


def test_real_map_with_noise_equals_scikit_learn(shared_data, make_map):
    folder = shared_data / "gewata_landsat7_ethiopia"
    source = open_class_map(folder / "gewata_lulc_reference.tif")
    truth = source.read(source.grid.window)
    rng = np.random.default_rng(3)
    noisy = np.where(rng.random(truth.shape) < 0.3, np.roll(truth, 11, axis=1), truth)
    t = source.grid.transform
    path = make_map(noisy, "noisy.tif", crs=source.grid.crs.to_string(), transform=t, names=None)
    scores = evaluate(path, folder / "gewata_lulc_reference.tif")
    both = (truth != 255) & (noisy != 255)
    expected = sk.confusion_matrix(truth[both], noisy[both], labels=scores.legend.ids)
    assert np.array_equal(scores.matrix.counts, expected)
    assert scores.overall["kappa"] == pytest.approx(sk.cohen_kappa_score(truth[both], noisy[both]))


def test_points_of_porto_velho(shared_data, make_map):
    from geoseg.raster.opening import open_scene

    folder = shared_data / "landsat8_porto_velho"
    scene = open_scene(folder / "LC08_232066_20190727_utm.tif")
    pixels, valid = scene.read(scene.grid.window)
    red, near = pixels[2].astype(np.float32), pixels[3].astype(np.float32)
    ndvi = (near - red) / np.maximum(near + red, 1)
    labels = np.select([ndvi < 0.1, ndvi > 0.7], [1, 2], 3).astype(np.uint8)
    labels[~valid] = 255
    grid = scene.grid
    path = make_map(
        labels,
        crs=grid.crs.to_string(),
        transform=grid.transform,
        names={1: "water", 2: "forest", 3: "other"},
    )
    crosswalk = {0: "water", 1: "other", 2: "forest", 3: "other"}
    scores = evaluate(path, folder / "endmembers" / "endmembers.shp", field="class", crosswalk=crosswalk)
    assert scores.kind == "points"
    assert any("unweighted" in note and "geoseg sample estimate" in note for note in scores.notes)
    assert scores.matrix.total == 91
    assert scores.overall["overall_accuracy"] > 0.8


def test_one_band_of_several(shared_data):
    path = shared_data / "landcover_maps_large" / "above_annual_landcover_31yr.tif"
    scores = evaluate(path, path, band=1, reference_band=31)
    first, last = (open_class_map(path, band=b) for b in (1, 31))
    one, other = first.read(first.grid.window), last.read(last.grid.window)
    both = (one != 255) & (other != 255)
    assert scores.matrix.scored == both.sum()
    assert scores.overall["overall_accuracy"] == (one == other)[both].mean()


def test_a_reference_in_colours_for_a_map_without_names(make_map, tmp_path):
    labels = np.repeat(np.array([[1, 2]], np.uint8), 20, axis=0).repeat(10, axis=1)
    grid = open_class_map(path := make_map(labels, "bare.tif", names=None)).grid
    table = np.zeros((256, 3), np.uint8)
    table[1], table[2] = (255, 0, 0), (0, 0, 255)
    colours = write_geotiff(
        tmp_path / "rgb.tif", grid, np.ascontiguousarray(table[labels].transpose(2, 0, 1)), nodata=None
    )
    with pytest.raises(UsageError, match=r"colours need a crosswalk.*reference_band"):
        evaluate(path, colours)
    assert evaluate(path, colours, crosswalk={"#ff0000": 1, "#0000ff": 2}).overall["overall_accuracy"] == 1
    assert evaluate(path, colours, reference_band=1, crosswalk={255: 1, 0: 2}).matrix.scored == 400


def test_an_encoding_reaches_the_reference_and_geoparquet_is_read(make_map, make_vector, tmp_path):
    labels = np.repeat(np.array([[1, 2]], np.uint8), 20, axis=0).repeat(10, axis=1)
    path = make_map(labels, names={1: "Лес", 2: "Луг"})
    frame = gpd.read_file(make_vector([box(0, 0, 10, 20), box(10, 0, 20, 20)], {"kind": ["Лес", "Луг"]}))
    frame.to_file(tmp_path / "a.shp", encoding="cp1251")
    (tmp_path / "a.cpg").unlink()
    assert evaluate(path, tmp_path / "a.shp", encoding="cp1251").overall["overall_accuracy"] == 1
    frame.to_parquet(tmp_path / "a.geoparquet")
    assert evaluate(path, tmp_path / "a.geoparquet").overall["overall_accuracy"] == 1
