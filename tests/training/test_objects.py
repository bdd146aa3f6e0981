"""Objects from polygons: what crops teach, what is counted, and a training that ends in objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
import yaml
from click.testing import CliRunner

import geoseg
from geoseg.accuracy.panoptic import Regions, panoptic
from geoseg.cli.main import cli
from geoseg.engines.segments import SEGMENT, TileSegments
from geoseg.errors import GeosegError, InputError, UsageError
from geoseg.geometry import Window
from geoseg.legend import Legend
from geoseg.models.bundle import load_bundle
from geoseg.models.network import load_network
from geoseg.training.batches import Batches
from geoseg.training.found_objects import Found, compare, compare_stuff
from geoseg.training.job import TrainJob
from geoseg.training.prepare import prepare
from geoseg.training.targets import ObjectTargets
from geoseg.training.verb import run_train
from geoseg.truth.shapes import PolygonTruth
from tests.training.makers import write

LEGEND = Legend(tuple(replace(c, kind="thing") for c in Legend.of({3: "house", 5: "tank"}).classes))
TARGETS = ObjectTargets(legend=LEGEND)
SMALL = {"encoder": "mobilenetv3_small_050", "arguments": {"decoder_channels": [32, 24, 16, 12, 8]}}


def truth(*shapes: Any, classes: list[int]) -> PolygonTruth:
    return PolygonTruth(
        shapes=np.array([*shapes, None], object)[:-1],
        classes=np.array(classes, np.uint8),
        features=np.arange(len(shapes)),
        legend=LEGEND,
    )


def houses(folder: Path, *, seed: int = 0, side: int = 128, kinds: bool = False) -> dict[str, Any]:
    """A scene of bright boxes on grey ground, and their polygons."""
    rng, east = np.random.default_rng(seed), 500000 + 1000 * seed
    image = rng.normal(70, 8, (3, side, side))
    boxes, names = [], []
    for row in range(4, side - 20, 26):
        for col in range(4, side - 20, 26):
            height, width = rng.integers(9, 19, 2)
            tall = bool(rng.integers(2)) and kinds
            image[:, row : row + height, col : col + width] += np.array([60, 100, 90 if tall else 0])[
                :, None, None
            ]
            left, top = east + col, 9000000 - row
            boxes.append(shapely.box(left, top - height, left + width, top))
            names.append("tank" if tall else "house")
    path = write(folder / f"scene{seed}.tif", np.clip(image, 0, 255).astype(np.uint8), pixel=1, east=east)
    frame = geopandas.GeoDataFrame({"kind": names}, geometry=boxes, crs="EPSG:32720")
    frame.to_file(folder / f"houses{seed}.gpkg")
    return {"image": str(path), "labels": str(folder / f"houses{seed}.gpkg"), "single_class": "house"}


def village(folder: Path, *, seed: int = 0, side: int = 128) -> dict[str, Any]:
    """The scene of houses on grass in the north and sand in the south; the layer has the ground too."""
    scene = houses(folder, seed=seed, side=side)
    with rasterio.open(scene["image"], "r+") as file:
        image = file.read().astype(np.int64)
        image[2, side // 2 :] += 70
        file.write(np.clip(image, 0, 255).astype(np.uint8))
    frame = geopandas.read_file(scene["labels"])
    west, north = 500000 + 1000 * seed, 9000000
    ground = [
        shapely.box(west, north - end, west + side, north - start)
        for start, end in ((0, side // 2), (side // 2, side))
    ]
    layer = geopandas.GeoDataFrame(
        {"kind": ["grass", "sand", *frame["kind"]]}, geometry=[*ground, *frame.geometry], crs=frame.crs
    )
    layer.to_file(folder / f"village{seed}.gpkg")
    return {"image": scene["image"], "labels": str(folder / f"village{seed}.gpkg"), "field": "kind"}


VILLAGE = {
    "classes": {1: "grass", 2: "house", 7: "sand"},
    "things": ["house"],
    "model": "panoptic_fpn",
    "arguments": {"channels": 32, "hidden": 64, "branch": 32, "detections": 50},
}


def job(folder: Path, **fields: Any) -> dict[str, Any]:
    return {
        "scenes": fields.pop("scenes", None) or [houses(folder)],  # which writes the first scene
        "out": folder / "model",
        "classes": {1: "house"},
        "model": "interior_rim",
        **SMALL,
        "steps": 2,
        "batch": 2,
        "crop": 64,
        "validate_every": 1,
        "light_windows": 1,
        "learning_rate": 0.01,
        "split": {"by": "region", "columns": ["60%", "100%"]},
        **fields,
    }


def train(fields: dict[str, Any], **options: Any) -> Any:
    return run_train(TrainJob.parse(fields), device="cpu", threads=1, **options)


def test_a_crop_knows_its_objects() -> None:
    """One whole, one of which a half is seen, one of which a slice is, one without a class."""
    box = shapely.box
    labels = truth(
        box(2, 2, 8, 8), box(10, 10, 20, 20), box(-9, 14, 2, 20), box(10, 0, 14, 4), classes=[5, 3, 3, 255]
    )
    layer = TARGETS.read(labels, Window(0, 0, 16, 16))
    assert set(np.unique(layer).tolist()) == {-1, 0, 1, 2}
    assert (layer == 1).sum() == 36 and (layer == 2).sum() == 36
    assert (layer[14:16, :2] == -1).all() and (layer[:4, 10:14] == -1).all()
    objects = TARGETS.objects(torch.from_numpy(layer[:, 4:]), labels)
    assert objects.classes.tolist() == [1, 0] and objects.ids.max() == 2
    assert torch.equal(objects.ids > 0, torch.from_numpy(layer[:, 4:] > 0))
    assert torch.equal(objects.ids < 0, torch.from_numpy(layer[:, 4:] < 0))
    assert TARGETS.positions[255] == 2 and TARGETS.names == ("house", "tank", "background")


def test_a_crop_knows_what_lies_between_its_objects() -> None:
    """Ground from polygons, objects upon it; what no polygon covers is not known, or the background."""
    legend = Legend.of({3: "house", 5: "tank"})
    legend = Legend((legend.classes[0], replace(legend.classes[1], kind="thing")))
    targets, box = ObjectTargets(legend=legend), shapely.box
    shapes = np.array(
        [box(0, 0, 12, 16), box(2, 2, 8, 8), box(10, 10, 15, 15), box(4, 12, 6, 40), None], object
    )
    classes = np.array([3, 5, 5, 5], np.uint8)
    labels = PolygonTruth(shapes=shapes[:-1], classes=classes, features=np.arange(4), legend=legend)
    layer = targets.read(labels, Window(0, 0, 16, 16))
    found = targets.objects(torch.from_numpy(layer), labels)
    assert found.classes.tolist() == [1, 1] and found.stuff is not None
    assert (found.ids[2:8, 2:8] == 1).all() and (found.ids[10:15, 10:15] == 2).all()
    assert (found.ids[12:, 4:6] == -1).all()  # a slice of a thing
    assert (found.stuff[found.ids != 0] == 255).all() and (found.stuff[found.ids == 0] == 0).all()
    assert (found.ids[:, 12:] == -1).sum() == 4 * 16 - 3 * 5
    ground = replace(labels, background=3)
    found = targets.objects(torch.from_numpy(targets.read(ground, Window(0, 0, 16, 16))), ground)
    assert found.stuff is not None and (found.stuff[:, 12:] == 0).sum() == 4 * 16 - 3 * 5
    assert targets.names == ("house", "tank") and targets.positions[255] == 255
    with pytest.raises(UsageError, match="the background cannot be 'tank'"):
        targets.check(replace(labels, background=5, files=(Path("layer.gpkg"),)))
    nothing = replace(labels, shapes=shapes[:0], classes=classes[:0], features=np.arange(0))
    assert (
        targets.objects(torch.from_numpy(targets.read(nothing, Window(0, 0, 4, 4))), nothing).ids == -1
    ).all()


def test_stuff_is_counted_as_panoptic_quality_does() -> None:
    rng = np.random.default_rng(6)
    ids, seen = (4, 5, 9), []
    for noise in (0.2, 0.45, 0.5, 0.55, 0.7):
        reference = rng.choice([0, 1, 2, 255], p=[0.5, 0.2, 0.1, 0.2], size=(20, 20))
        mapped = np.where(rng.random((20, 20)) < noise, rng.integers(0, 3, (20, 20)), reference % 255)
        mine = compare_stuff(reference, np.array(ids, np.uint8)[mapped], ids)
        known = reference < 255
        sizes = [np.bincount(a[known], minlength=3) for a in (reference, mapped)]
        pairs, common = np.unique(np.stack([reference[known], mapped[known]]), axis=1, return_counts=True)
        regions = [Regions(size=size, position=np.arange(3)) for size in sizes]
        expected = panoptic(*regions, (pairs[0], pairs[1]), common, 3)
        for name in ("matched", "missed", "extra"):
            assert np.array_equal(getattr(mine, name), getattr(expected, name))
        assert mine.iou == pytest.approx(expected.iou)
        seen.append(int(mine.matched.sum()))
    assert seen[0] == 3 and min(seen) < 3


def segments_of(ids: np.ndarray[Any, Any], class_ids: list[int], scores: list[float]) -> TileSegments:
    table = np.zeros(len(class_ids), SEGMENT)
    table["class_id"], table["score"] = class_ids, [round(s * 65535) for s in scores]
    table["pixels"] = np.bincount(ids.ravel(), minlength=len(class_ids) + 1)[1:]
    return TileSegments(ids=ids.astype(np.uint16), table=table)


def test_found_objects_are_counted_as_panoptic_quality_does() -> None:
    rng = np.random.default_rng(4)
    found, reference = (
        np.kron(rng.permutation(37)[:36].reshape(6, 6), np.ones((6, 6), int)) for _ in range(2)
    )
    reference = np.roll(reference, 1, axis=1)
    kinds = rng.integers(0, 2, 36), rng.integers(0, 2, 36)
    found[reference % 3 == 0] = reference[reference % 3 == 0]  # a third is found as it is
    kinds[1][2::3] = kinds[0][2::3]
    segments = segments_of(found, [LEGEND.ids[k] for k in kinds[1]], [0.9] * 36)
    whole = slice(0, 36), slice(0, 36)
    mine = compare(reference, kinds[0], segments, window=whole, ids=LEGEND.ids, half=False).counts(0.5)
    sizes = [np.bincount(a.ravel(), minlength=37)[1:] for a in (reference, found)]
    seen = [np.flatnonzero(s) for s in sizes]
    both = (reference > 0) & (found > 0)
    pairs, common = np.unique(np.stack([reference[both] - 1, found[both] - 1]), axis=1, return_counts=True)
    rank = [np.searchsorted(s, p) for s, p in zip(seen, pairs, strict=True)]
    expected = panoptic(
        *(Regions(size=z[s], position=k[s]) for z, s, k in zip(sizes, seen, kinds, strict=True)),
        (rank[0], rank[1]),
        common,
        2,
    )
    assert expected.matched.sum() > 3
    for name in ("matched", "missed", "extra"):
        assert np.array_equal(getattr(mine, name), getattr(expected, name))
    assert mine.iou == pytest.approx(expected.iou)


def test_what_is_cut_or_not_known_is_not_judged() -> None:
    ids = np.zeros((20, 20), int)
    ids[5:9, 5:9], ids[12:16, 0:12], ids[0:4, 14:20] = 1, 2, 3
    reference = np.zeros((20, 10), int)
    reference[5:9, :4], reference[0:5, 4:] = 1, -1
    segments = segments_of(ids, [3, 3, 3], [0.8, 0.72, 0.6])
    found = compare(
        reference, np.array([0]), segments, window=(slice(0, 20), slice(5, 15)), ids=(3,), half=True
    )
    # 1 is found, 2 is wrong and reaches in by more than a third, 3 lies where nothing is known
    assert found.score == pytest.approx([0.8, 0.72], abs=1e-4) and found.iou.tolist() == [1.0, 0.0]
    assert found.reference.tolist() == [1]
    assert found.best_score() == 0.75 and found.counts(0.75).recognition.tolist() == [1.0]
    joined = Found.join([found, found])
    assert joined.counts(0.1).matched.tolist() == [2] and joined.counts(0.1).extra.tolist() == [2]
    assert found.tempered(1.0) == pytest.approx(found.score)
    assert (found.tempered(2.0) < found.score).all() and (found.tempered(2.0) > 0.5).all()


@pytest.mark.usefixtures("painted")
def test_a_job_of_polygons_becomes_a_bundle_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(TrainJob.parse(job(tmp_path, licence="CC0-1.0")).dump())
    result = CliRunner().invoke(cli, ["train", str(path), "--device", "cpu", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "F1" in result.output and "PQ" in result.output and "class weights" not in result.output
    bundle = load_bundle(tmp_path / "model")
    assert bundle.task == "instance" and bundle.objects is not None and bundle.margin == 64
    assert [c.kind for c in bundle.legend.classes] == ["thing"]
    assert set(bundle.scores["classes"]["house"]) == {"f1", "precision", "recall", "pq", "sq"}
    json.dumps(dict(bundle.scores), allow_nan=False)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "intersection over union" in card and "the network's own" in card and "| **house** |" in card
    light = bundle.scores["changed_light"]
    assert light["lights"] == 16 and set(light) == {"lights", "f1", "pq"}
    assert light["f1"]["worst"] <= light["f1"]["mean"] <= 1
    assert "**Accuracy under changed light**" in card and "| 0.6 | 0.8 | 0.7 | 0.15 |" in card
    assert (tmp_path / "model" / "samples.png").read_bytes().startswith(b"\x89PNG")
    header = (tmp_path / "model.training" / "metrics.csv").read_text().splitlines()[0]
    assert header == "step,loss,rate,F1,PQ,precision,recall"


def test_a_job_of_things_and_stuff_becomes_a_panoptic_bundle(tmp_path: Path) -> None:
    fields = job(tmp_path, scenes=[village(tmp_path)], **VILLAGE)
    result = train(fields)
    bundle = load_bundle(tmp_path / "model")
    assert bundle.task == "panoptic" and bundle.margin == 64
    assert [c.kind for c in bundle.legend.classes] == ["stuff", "thing", "stuff"]
    assert bundle.architecture.arguments["things"] == [1]
    assert list(result.history[0]["figures"]) == ["PQ", "F1", "precision", "recall"]
    assert set(bundle.scores["classes"]) == {"grass", "house", "sand"}
    card = (tmp_path / "model" / "README.md").read_text()
    assert "A class of stuff is one region in each window" in card and "| **sand** | 1 |" in card
    again = train({**fields, "out": tmp_path / "again", "start": str(bundle.path), "model": None} | _STARTS)
    assert again.bundle.architecture == bundle.architecture


_STARTS = {"encoder": None, "arguments": None}


def test_objects_start_from_a_model_of_pixels(tmp_path: Path) -> None:
    scene, decoder = village(tmp_path), {"decoder_channels": [16, 8, 8, 8, 8]}
    ground = {"classes": VILLAGE["classes"], "model": "unet", "arguments": decoder, "steps": 1}
    pixels = train(job(tmp_path, scenes=[scene], **ground)).bundle
    scene |= {"labels": scene["labels"].replace("village", "houses"), "single_class": "house"}
    del scene["field"]
    fields = job(tmp_path, scenes=[scene], arguments={**decoder, "rim": 1}, start=str(pixels.path), steps=1)
    fields |= {"learning_rate": 1e-9, "out": tmp_path / "objects", "encoder": None}
    bundle = train(fields).bundle
    assert bundle.task == "instance" and bundle.contract == pixels.contract
    assert bundle.architecture.encoder == pixels.architecture.encoder
    before, after = load_network(pixels).state_dict(), load_network(bundle).state_dict()
    kept = [key for key in before if key.endswith("weight") and not key.startswith("segmentation_head")]
    assert all(torch.allclose(before[key], after[key], atol=1e-3) for key in kept)
    with pytest.raises(InputError, match="nothing of the bundle to start from fits"):
        train(
            {**fields, "model": "mask_rcnn", "encoder": "resnet18", "arguments": None, "out": tmp_path / "b"}
        )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"things": None}, "needs classes of things and others.*0 of 3 classes are things"),
        ({"things": ["grass", 2, "sand"]}, "3 of 3 classes are things"),
        ({"things": ["hose"]}, "hose"),
        (
            {"model": "mask_rcnn", "arguments": {}},
            "things: not for architecture 'mask_rcnn'.*all its classes",
        ),
        ({"model": "unet", "arguments": {}}, "things: not for architecture 'unet'.*knows no objects"),
    ],
)
def test_things_that_do_not_fit_the_model_are_refused(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(GeosegError, match=says):
        prepare(TrainJob.parse({**job(tmp_path), **VILLAGE, **change}))


@pytest.mark.parametrize("model", ["mask_rcnn", "interior_rim"])
def test_crops_too_small_for_deep_layers_are_told_before_the_first_step(tmp_path: Path, model: str) -> None:
    told: list[str] = []

    class Begun(Exception):
        pass

    def stop(notes: Sequence[str]) -> None:
        told.extend(notes)
        raise Begun

    fields = {**job(tmp_path, scenes=[houses(tmp_path, side=320)]), "model": model, "arguments": {}}
    for crop in (96, 128):
        with pytest.raises(Begun):
            run_train(TrainJob.parse({**fields, "crop": crop}), on_notes=stop)
    assert [("96 pixels" in note, model in note) for note in told] == [(True, True)] * (model == "mask_rcnn")


@pytest.mark.parametrize(("things", "task"), [(["house"], "panoptic"), (None, "instance")])
def test_mask2former_learns_stuff_where_things_are_named(
    tmp_path: Path, things: list[str] | None, task: str
) -> None:
    pytest.importorskip("transformers")
    fields = {**VILLAGE, "model": "mask2former", "arguments": {}, "things": things}
    preparation = prepare(TrainJob.parse({**job(tmp_path), **fields}))
    assert preparation.task == task
    assert preparation.architecture.arguments.get("things") == (None if things is None else [1])


@pytest.mark.slow
def test_things_and_stuff_are_learnt_and_found_in_another_scene(tmp_path: Path) -> None:
    """Crops are as large as tiles: in smaller ones the deep layers see little but padding."""
    scenes = [
        {**village(tmp_path, seed=1, side=192), "use": "training"},
        {**village(tmp_path, seed=2), "use": "validation"},
    ]
    fields = {"scenes": scenes, "split": {"by": "file"}, "steps": 60, "validate_every": 60, "batch": 4}
    trained = train(
        {**job(tmp_path), **VILLAGE, **fields, "crop": 128, "learning_rate": 0.003, "average": 0.9}
    )
    bundle = trained.bundle
    assert bundle.scores["pq"] > 0.6 and bundle.scores["f1"] > 0.8
    assert not any("no training pixel" in note for note in trained.notes)
    other = village(tmp_path, seed=7)
    geoseg.predict(other["image"], model=bundle.path, out=tmp_path / "out", tile=128, margin=32, threads=1)
    found = geopandas.read_file(tmp_path / "out" / "objects.gpkg", layer="objects")
    assert set(found["class"]) == {"house"} and 12 <= len(found) <= 20
    with rasterio.open(tmp_path / "out" / "classes.tif") as file:
        classes = file.read(1)
    with rasterio.open(tmp_path / "out" / "panoptic.tif") as file:
        ids = file.read(1)
    assert ((ids > 0) == (classes == 2)).all()
    assert (classes[:56][ids[:56] == 0] == 1).mean() > 0.95
    assert (classes[72:][ids[72:] == 0] == 7).mean() > 0.95


@pytest.mark.parametrize("model", ["interior_rim", "mask_rcnn"])
def test_stopped_and_resumed_gives_the_same_weights(tmp_path: Path, model: str) -> None:
    arguments = (
        SMALL["arguments"] if model == "interior_rim" else {"channels": 16, "hidden": 32, "detections": 20}
    )
    fields = job(tmp_path, model=model, arguments=arguments)
    whole = train({**fields, "out": tmp_path / "whole"}).bundle

    def stop(_row: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(fields, progress=stop)
    assert train(fields).bundle.weights_sha256 == whole.weights_sha256


def test_places_are_held_out_whole(tmp_path: Path) -> None:
    scenes = [{**houses(tmp_path, seed=s), "group": g} for s, g in enumerate(["north", "north", "south"])]
    fields = job(tmp_path, scenes=scenes, split={"by": "file", "folds": 2})
    held = []
    for fold in range(2):
        preparation = prepare(TrainJob.parse(fields), fold=fold)
        held.append({preparation.sources[c.source].scene.paths[0].stem for c in preparation.cores})
    assert sorted(map(sorted, held)) == [["scene0", "scene1"], ["scene2"]]
    with pytest.raises(UsageError, match="2 groups of scenes cannot make 3 folds"):
        prepare(TrainJob.parse({**fields, "split": {"by": "file", "folds": 3}}))
    with pytest.raises(UsageError, match="group belongs to folds of files"):
        TrainJob.parse({**fields, "split": {"by": "block"}})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": {"dice": 1}}, "loss: not for architecture 'interior_rim'"),
        ({"tta": True}, "tta: not for architecture"),
        ({"model": "unet"}, "at least two classes"),
    ],
)
def test_what_objects_do_not_take_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        prepare(TrainJob.parse({**job(tmp_path), **change}))


def test_a_raster_of_classes_teaches_no_objects(tmp_path: Path) -> None:
    fields = job(tmp_path)
    write(tmp_path / "labels.tif", np.ones((128, 128), np.uint8), pixel=1)
    scene = {"image": fields["scenes"][0]["image"], "labels": str(tmp_path / "labels.tif")}
    with pytest.raises(UsageError, match="objects are learnt from polygons"):
        prepare(TrainJob.parse({**fields, "scenes": [scene]}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "arguments"),
    [("interior_rim", SMALL["arguments"]), ("mask_rcnn", {"channels": 32, "hidden": 64})],
)
def test_objects_are_learnt_and_found_in_another_scene(
    tmp_path: Path, model: str, arguments: dict[str, Any]
) -> None:
    """Two kinds of boxes by polygons, then `geoseg predict` on a scene that it has not seen.

    Crops are as large as tiles: in smaller ones the deep layers see little but padding.
    """
    drawn = [houses(tmp_path, seed=1, side=192, kinds=True), houses(tmp_path, seed=2, kinds=True)]
    scenes = [
        {"image": scene["image"], "labels": scene["labels"], "field": "kind", "use": use}
        for scene, use in zip(drawn, ("training", "validation"), strict=True)
    ]
    fields = job(
        tmp_path,
        scenes=scenes,
        classes={1: "house", 2: "tank"},
        model=model,
        arguments=arguments,
        split={"by": "file"},
        steps=140,
        batch=4,
        crop=128,
        validate_every=140,
        learning_rate=0.003,
        average=0.9,
    )
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(fields, default=str))))
    assert CliRunner().invoke(cli, ["train", str(path), "--threads", "1"]).exit_code == 0
    assert load_bundle(tmp_path / "model").scores["f1"] > 0.8
    other = houses(tmp_path, seed=7, kinds=True)
    out = geoseg.predict(
        other["image"], model=tmp_path / "model", out=tmp_path / "found", tile=128, margin=32, threads=1
    )
    found = geopandas.read_file(tmp_path / "found" / "objects.gpkg", layer="objects")
    real = geopandas.read_file(other["labels"])
    pairs = real.geometry.to_numpy()[:, None], found.geometry.to_numpy()[None]
    shared, union = shapely.area(shapely.intersection(*pairs)), shapely.area(shapely.union(*pairs))
    assert (shared / union > 0.5).any(axis=1).mean() > 0.8
    assert out is not None


def test_copies_of_objects_are_objects_of_their_class(tmp_path: Path) -> None:
    fields = job(tmp_path, augment={"paste": 1.0})
    preparation = prepare(TrainJob.parse(fields))
    pixels, objects = Batches(preparation).at(0)
    again, same = Batches(preparation).at(0)
    assert torch.equal(pixels, again) and all(
        torch.equal(a.ids, b.ids) for a, b in zip(objects, same, strict=True)
    )
    _, before = Batches(prepare(TrainJob.parse(job(tmp_path)))).at(0)
    assert sum(len(o.classes) for o in objects) > sum(len(o.classes) for o in before)
    assert all(set(np.unique(o.ids)) - {-1, 0} == set(range(1, len(o.classes) + 1)) for o in objects)
    with pytest.raises(UsageError, match="it knows no objects"):
        prepare(TrainJob.parse(job(tmp_path, model="unet", augment={"paste": 0.5})))


@pytest.mark.slow
def test_objects_are_scored_and_found_with_a_sensor_missing(tmp_path: Path) -> None:
    fields = {**job(tmp_path), "band_names": ["a", "b", "c"], "sensors": {"colour": ["b", "c"]}}
    bundle = train({**fields, "steps": 30, "validate_every": 30}).bundle
    assert set(bundle.scores["without"]) == {"colour"}
    assert set(bundle.scores["without"]["colour"]) == {"f1", "pq", "precision", "recall"}
    assert "| without colour |" in (tmp_path / "model" / "README.md").read_text()
    with rasterio.open(tmp_path / "scene0.tif") as file:
        grey = write(tmp_path / "grey.tif", file.read(1), pixel=1)
    out = geoseg.predict(grey, model=bundle.path, out=tmp_path / "out", without="colour", threads=1)
    assert any("mapped without colour: b, c hold the mean" in note for note in out.notes)
