"""The verb as a user calls it: invariance, odd sizes, nodata, resume, conflicts."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from safetensors.numpy import load_file

import geoseg
from geoseg.errors import ChunksFailedError, InputError, OutputConflictError, ResourceError
from geoseg.execution.manifest import verify_files
from geoseg.execution.progress import Progress
from geoseg.geometry import Window
from geoseg.prediction.folder import Prediction
from geoseg.raster.scene import Scene
from geoseg.raster.store import WorkStore
from tests.prediction.conftest import make_pixels

SceneFile = Callable[..., Path]


def labels_of(prediction: Prediction) -> np.ndarray:
    with rasterio.open(prediction.classes) as file:
        return file.read(1)


@pytest.mark.parametrize(
    ("stitch", "engine"), [("crop", "torch"), ("blend", "torch"), ("crop", "onnx"), ("blend", "openvino")]
)
def test_labels_do_not_depend_on_chunks_or_batch(
    scene_file: SceneFile, unet: Path, tmp_path: Path, stitch: str, engine: str
) -> None:
    if engine != "torch":
        pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    pixels = make_pixels(261, 323)
    pixels[:, :60, :80] = 0
    pixels[:, 130:133, 200:240] = 0
    scene = scene_file(pixels)

    def run(name: str, **options: object) -> np.ndarray:
        plan = {"tile": 128, "margin": 32, "stitch": stitch, "engine": engine, "precision": "fp32"}
        made = geoseg.predict(scene, model=unet, out=tmp_path / name, threads=1, **plan, **options)
        assert json.loads(made.manifest.read_text())["engine"]["engine"] == engine
        with rasterio.open(made.confidence) as file:
            return np.stack([labels_of(made), file.read(1)])

    whole = run("whole", chunk=4096, batch=4)
    np.testing.assert_array_equal(whole[0] == 255, (pixels == 0).any(axis=0))
    assert len(np.unique(whole[0])) >= 3  # at least two classes, or equality would say little
    for name, options in {"small": {"chunk": 64, "batch": 1}, "middle": {"chunk": 128, "batch": 3}}.items():
        np.testing.assert_array_equal(run(name, **options), whole, err_msg=name)


# of a U-Net that runs in torch, each process would first import its encoders, for six seconds
@pytest.mark.parametrize(("model", "engine"), [("linear", "torch"), ("unet", "onnx")])
def test_labels_do_not_depend_on_processes(
    scene_file: SceneFile, tmp_path: Path, request: pytest.FixtureRequest, model: str, engine: str
) -> None:
    if engine != "torch":
        pytest.importorskip("onnxruntime")
    scene, bundle = scene_file(make_pixels(161, 223)), request.getfixturevalue(model)
    plan = {"tile": 128, "margin": 32, "chunk": 64, "engine": engine, "precision": "fp32", "threads": 1}
    here, there = (
        geoseg.predict(scene, model=bundle, out=tmp_path / str(workers), workers=workers, **plan)
        for workers in (0, 2)
    )
    np.testing.assert_array_equal(labels_of(here), labels_of(there))
    assert len(np.unique(labels_of(here))) >= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (33, 1031), (61, 67), (257, 129)])
@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_odd_sizes(
    scene_file: SceneFile, linear: Path, tmp_path: Path, shape: tuple[int, int], stitch: str
) -> None:
    """A per-pixel classifier has a known answer at every pixel, whatever the tiles."""
    pixels = make_pixels(*shape)
    scene = scene_file(pixels)
    made = geoseg.predict(
        scene, model=linear, out=tmp_path / "out", stitch=stitch, tile=128, chunk=128, precision="fp32"
    )
    weights = load_file(geoseg.load_bundle(linear).weights)
    kernel = next(v for v in weights.values() if v.ndim == 4)[:, :, 0, 0]
    bias = next(v for v in weights.values() if v.ndim == 1)
    logits = np.tensordot(kernel, (pixels - 3000.0) / 1500.0, 1) + bias[:, None, None]
    top = np.sort(logits, axis=0)
    clear = top[-1] - top[-2] > 1e-3  # elsewhere rounding may decide
    expected = np.array([3, 7, 11], np.uint8)[logits.argmax(axis=0)]
    labels = labels_of(made)
    assert labels.shape == shape
    np.testing.assert_array_equal(labels[clear], expected[clear])
    with rasterio.open(scene) as source, rasterio.open(made.classes) as result:
        assert result.transform == source.transform
        assert result.crs == source.crs
        assert result.nodata == 255
        assert {int(v) for v in np.unique(labels)} <= {3, 7, 11}


def test_a_scene_without_data_gives_a_map_without_classes(
    scene_file: SceneFile, unet: Path, tmp_path: Path
) -> None:
    made = geoseg.predict(
        scene_file(np.zeros((3, 80, 90), np.uint16)), model=unet, out=tmp_path / "out", force=True
    )
    assert np.all(labels_of(made) == 255)
    assert made.pixels["nodata"] == 80 * 90


def test_area_of_interest_blanks_the_rest_and_changes_nothing_inside(
    scene_file: SceneFile, unet: Path, tmp_path: Path
) -> None:
    import geopandas as gpd
    from shapely.geometry import Polygon, box

    scene = scene_file(make_pixels(300, 320))
    aoi = tmp_path / "aoi.gpkg"
    # pixel columns 50..150, rows 60..200
    shape = box(500500, 9000000 - 2000, 501500, 9000000 - 600)
    gpd.GeoDataFrame({"geometry": [shape]}, crs="EPSG:32720").to_crs(4326).to_file(aoi)
    options = {"model": unet, "tile": 192, "chunk": 128, "threads": 1}
    whole = labels_of(geoseg.predict(scene, out=tmp_path / "whole", **options))
    part = labels_of(geoseg.predict(scene, out=tmp_path / "part", aoi=aoi, **options))
    inside = part != 255
    np.testing.assert_array_equal(part[inside], whole[inside])
    rows, cols = np.nonzero(inside)
    assert abs(int(rows.min()) - 60) <= 1
    assert abs(int(rows.max()) - 199) <= 1
    assert abs(int(cols.min()) - 50) <= 1
    assert abs(int(cols.max()) - 149) <= 1
    with pytest.raises(InputError, match="outside the scene"):
        far = tmp_path / "far.gpkg"
        gpd.GeoDataFrame({"geometry": [box(0, 0, 1, 1)]}, crs="EPSG:4326").to_file(far)
        geoseg.predict(scene, out=tmp_path / "far", aoi=far, **options)
    assert not (tmp_path / "far").exists()
    bow_tie = Polygon([(500500, 8998000), (501500, 8999400), (501500, 8998000), (500500, 8999400)])
    gpd.GeoDataFrame({"geometry": [bow_tie]}, crs="EPSG:32720").to_file(tmp_path / "tie.gpkg")
    with pytest.raises(InputError, match=r"1 of 1 polygons are invalid.*Try: mend them in a GIS"):
        geoseg.predict(scene, out=tmp_path / "tie", aoi=tmp_path / "tie.gpkg", **options)
    between = box(500_502, 8_999_002, 500_503, 8_999_003)  # holds no centre of a pixel
    gpd.GeoDataFrame({"geometry": [between]}, crs="EPSG:32720").to_file(tmp_path / "between.gpkg")
    nothing = geoseg.predict(scene, out=tmp_path / "none", aoi=tmp_path / "between.gpkg", **options)
    assert nothing.mapped == 0 and nothing.notes[-1].startswith("nothing is mapped")


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_a_small_area_of_interest_reads_no_more_than_its_tiles(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stitch: str
) -> None:
    import geopandas as gpd
    from shapely.geometry import box

    scene = scene_file(make_pixels(700, 900))
    shape = box(505000, 8996800, 505200, 8997000)  # columns 500..520, rows 300..320
    gpd.GeoDataFrame({"geometry": [shape]}, crs="EPSG:32720").to_file(tmp_path / "aoi.gpkg")
    options = {"model": linear, "tile": 128, "margin": 32, "chunk": 2048, "stitch": stitch, "threads": 1}
    whole = labels_of(geoseg.predict(scene, out=tmp_path / "whole", **options))
    read: list[int] = []
    original = Scene.read

    def spy(self: Scene, window: Window, bands: None = None) -> object:
        read.append(window.area)
        return original(self, window, bands)

    monkeypatch.setattr(Scene, "read", spy)
    part = labels_of(geoseg.predict(scene, out=tmp_path / "part", aoi=tmp_path / "aoi.gpkg", **options))
    assert max(read) <= (3 * 128) ** 2
    expected = np.full_like(whole, 255)
    expected[300:320, 500:520] = whole[300:320, 500:520]
    np.testing.assert_array_equal(part, expected)


def test_chunks_outside_the_area_of_interest_are_neither_tasks_nor_stored(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import geopandas as gpd
    from shapely.geometry import box

    scene = scene_file(make_pixels(700, 900))
    shape = box(505000, 8996800, 505200, 8997000)  # columns 500..520, rows 300..320
    gpd.GeoDataFrame({"geometry": [shape]}, crs="EPSG:32720").to_file(tmp_path / "aoi.gpkg")
    options = {"model": linear, "tile": 128, "margin": 32, "chunk": 64, "threads": 1}
    stored: list[Window] = []
    original = WorkStore.write

    def spy(self: WorkStore, layer: str, window: Window, array: np.ndarray) -> str:
        stored.append(window)
        return original(self, layer, window, array)

    monkeypatch.setattr(WorkStore, "write", spy)
    reports: list[Progress] = []
    part = geoseg.predict(
        scene, out=tmp_path / "part", aoi=tmp_path / "aoi.gpkg", progress=reports.append, **options
    )
    assert set(stored) == {Window(r, c, 64, 64) for r in (256,) for c in (448, 512)}
    assert (reports[-1].tiles, reports[-1].tiles_total, reports[-1].total) == (2, 2, 2 * 64 * 64)
    assert part.pixels["nodata"] == 700 * 900 - 400
    cost = geoseg.plan(
        scene, model=linear, probe=False, aoi=tmp_path / "aoi.gpkg", tile=128, margin=32, chunk=64
    )
    assert (cost.request.tiles, list(cost.request.chunks), cost.disk) == (
        2,
        [4 * 15 + 7, 4 * 15 + 8],
        2 * 2 * 64**2,
    )


def test_the_manifest_tells_and_verifies(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    made = geoseg.predict(scene_file(make_pixels(150, 150)), model=linear, out=tmp_path / "out")
    manifest = json.loads(made.manifest.read_text())
    assert sum(manifest["pixels"].values()) == 150 * 150
    assert manifest["legend"][0]["name"] == "forest"
    assert manifest["chunks"] == {"total": 1, "failed": {}}
    assert all(fault is None for _, fault in verify_files(tmp_path / "out"))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "classes.tif",
        "classes.qml",
        "confidence.tif",
        "confidence.qml",
        "manifest.json",
        "run.yaml",
        "log.jsonl",
    }


def test_the_same_command_again_only_checks(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    scene, out = scene_file(make_pixels(100, 100)), tmp_path / "out"
    first = geoseg.predict(scene, model=linear, out=out)
    stamp = first.classes.stat().st_mtime_ns
    (out / ".work" / "store").mkdir(parents=True)  # of a run that was killed when all but that was done
    again = geoseg.predict(scene, model=linear, out=out)
    assert first.fresh
    assert not again.fresh and not (out / ".work").exists()
    assert again.pixels == first.pixels
    assert first.classes.stat().st_mtime_ns == stamp

    with pytest.raises(OutputConflictError, match=r"tiling\.stitch: 'crop' -> 'blend'"):
        geoseg.predict(scene, model=linear, out=out, stitch="blend")
    assert geoseg.predict(scene, model=linear, out=out, stitch="blend", overwrite=True).fresh

    (out / "classes.tif").write_bytes(b"harm")
    with pytest.raises(OutputConflictError, match="was changed"):
        geoseg.predict(scene, model=linear, out=out, stitch="blend")


def test_an_older_map_stays_until_the_new_one_is_whole(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, out = scene_file(make_pixels(100, 300)), tmp_path / "out"
    options = {"model": linear, "out": out, "tile": 128, "chunk": 64}
    older = geoseg.predict(scene, **options).classes.read_bytes()

    original = WorkStore.write

    def full(self: WorkStore, layer: str, window: Window, array: np.ndarray) -> str:
        if window.col >= 192:
            raise ResourceError("the disk is full")
        return original(self, layer, window, array)

    with monkeypatch.context() as patch:
        patch.setattr(WorkStore, "write", full)
        with pytest.raises(ResourceError):
            geoseg.predict(scene, **options, stitch="blend", overwrite=True)
    assert (out / "classes.tif").read_bytes() == older
    assert not [fault for _, fault in verify_files(out) if fault]
    again = geoseg.predict(scene, **options, stitch="blend", overwrite=True)
    assert again.fresh and not [fault for _, fault in verify_files(out) if fault]
    assert sum('"resume"' in line for line in (out / "log.jsonl").read_text().splitlines()) == 1


def test_files_of_others_are_never_replaced(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "classes.tif").write_bytes(b"somebody's work")
    with pytest.raises(OutputConflictError, match="without a manifest"):
        geoseg.predict(scene_file(make_pixels(64, 64)), model=linear, out=out)
    assert (out / "classes.tif").read_bytes() == b"somebody's work"


def test_a_changed_scene_is_not_resumed(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, out = scene_file(make_pixels(200, 200)), tmp_path / "out"
    _interrupt(monkeypatch, after=1)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model=linear, out=out, tile=128, chunk=64)
    monkeypatch.undo()
    scene_file(make_pixels(200, 200, seed=1))
    with pytest.raises(OutputConflictError, match="sha256"):
        geoseg.predict(scene, model=linear, out=out, tile=128, chunk=64)


def _interrupt(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Let Ctrl-C arrive after some chunks."""
    from geoseg.prediction import product as module

    real, calls = module.predict_chunk, [0]

    def interrupted(request: object, index: int) -> object:
        if calls[0] == after:
            raise KeyboardInterrupt
        calls[0] += 1
        return real(request, index)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "predict_chunk", interrupted)


def test_resume_computes_only_what_is_missing_and_what_was_harmed(
    scene_file: SceneFile, unet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, out = scene_file(make_pixels(400, 400)), tmp_path / "out"
    options = {"model": unet, "tile": 192, "chunk": 128, "threads": 1}
    expected = labels_of(geoseg.predict(scene, out=tmp_path / "clean", **options))
    _interrupt(monkeypatch, after=6)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, out=out, **options)
    monkeypatch.undo()
    assert not (out / "classes.tif").exists()
    chunks = sorted((out / ".work" / "store.zarr" / "classes" / "c").rglob("*"))
    chunks = [c for c in chunks if c.is_file()]
    assert len(chunks) == 6
    harmed = bytearray(chunks[0].read_bytes())
    harmed[len(harmed) // 2] ^= 4
    chunks[0].write_bytes(harmed)
    chunks[1].unlink()
    made = geoseg.predict(scene, out=out, **options)
    np.testing.assert_array_equal(labels_of(made), expected)
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    second = events[[i for i, e in enumerate(events) if e["event"] == "start"][1] :]
    assert len([e for e in second if e["event"] == "stale"]) == 2
    assert len([e for e in second if e["event"] == "chunk"]) == 16 - 4


@pytest.mark.parametrize("moment", ["write_cog", "write_manifest", "replace_products"])
def test_stopped_before_the_files_of_a_publication_have_their_names_there_are_none(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from geoseg.prediction import product, run

    scene, out = scene_file(make_pixels(150, 150)), tmp_path / "out"
    expected = labels_of(geoseg.predict(scene, model=linear, out=tmp_path / "clean"))
    module = product if moment == "write_cog" else run
    real = getattr(module, moment)

    def stop(*args: object, **kwargs: object) -> object:
        if moment == "write_cog" and Path(str(args[0])).name == "classes.tif":
            return real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, moment, stop)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model=linear, out=out)
    monkeypatch.undo()
    assert {p.name for p in out.iterdir()} == {".work", "log.jsonl"}
    np.testing.assert_array_equal(labels_of(geoseg.predict(scene, model=linear, out=out)), expected)


@pytest.mark.parametrize("names", range(6))
def test_stopped_between_the_names_every_file_is_whole_and_the_manifest_last(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    scene, out = scene_file(make_pixels(150, 150)), tmp_path / "out"
    clean = geoseg.predict(scene, model=linear, out=tmp_path / "clean")
    order = ["run.yaml", "confidence.qml", "confidence.tif", "classes.qml", "classes.tif", "manifest.json"]
    replace, given = Path.replace, []

    def stopped(self: Path, target: Path) -> Path:
        if Path(target).parent == out and Path(target).name in order:
            if len(given) == names:
                raise KeyboardInterrupt
            given.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(scene, model=linear, out=out)
    monkeypatch.undo()
    assert given == order[:names]
    for name in set(given) - {"run.yaml"}:
        assert (out / name).read_bytes() == (clean.classes.parent / name).read_bytes()
    np.testing.assert_array_equal(labels_of(geoseg.predict(scene, model=linear, out=out)), labels_of(clean))
    assert all(fault is None for _, fault in verify_files(out))


def test_a_scene_that_is_replaced_during_the_run_is_not_published(
    scene_file: SceneFile, linear: Path, tmp_path: Path
) -> None:
    scene, out = scene_file(make_pixels(150, 150)), tmp_path / "out"
    other = scene_file(make_pixels(150, 150, seed=5), name="other.tif")

    def replaced(progress: object) -> None:
        if other.exists():
            other.replace(scene)

    with pytest.raises(InputError, match="the scene changed during the run"):
        geoseg.predict(scene, model=linear, out=out, tile=128, chunk=64, progress=replaced)
    assert not (out / "classes.tif").exists()


def _corrupt_block(scene: Path) -> None:
    """Destroy the head of one compressed block in the middle of a file."""
    with rasterio.open(scene) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with scene.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x00" * 64)


def test_a_corrupt_block_costs_the_map_or_a_named_hole(
    scene_file: SceneFile, linear: Path, tmp_path: Path
) -> None:
    scene, out = scene_file(make_pixels(1500, 1500)), tmp_path / "out"
    _corrupt_block(scene)
    options = {"model": linear, "tile": 320, "chunk": 256, "out": out, "force": True}
    with pytest.raises(ChunksFailedError, match=r"chunks failed, no map was published.*rows") as caught:
        geoseg.predict(scene, **options)
    assert caught.value.exit_code == 4
    assert not (out / "classes.tif").exists()
    made = geoseg.predict(scene, allow_missing=True, **options)
    events = [json.loads(line)["event"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert "resume" in events  # what was done was kept
    with pytest.raises(OutputConflictError, match="an incomplete map is here"):
        geoseg.predict(scene, **options)
    assert not geoseg.predict(scene, allow_missing=True, **options).fresh
    manifest = json.loads(made.manifest.read_text())
    assert 0 < len(manifest["chunks"]["failed"]) < manifest["chunks"]["total"]
    assert 0 < made.pixels["nodata"] < 1500 * 1500
    with rasterio.open(made.classes) as file:
        assert file.tags()["GEOSEG_MISSING_CHUNKS"] == str(len(manifest["chunks"]["failed"]))


def test_a_plan_that_does_not_fit_is_refused_before_anything_is_written(
    scene_file: SceneFile, linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geoseg.prediction import plan

    class Small:
        available = 1000

    monkeypatch.setattr(plan.psutil, "virtual_memory", Small)
    with pytest.raises(ResourceError, match="does not fit the memory") as caught:
        geoseg.predict(scene_file(make_pixels(100, 100)), model=linear, out=tmp_path / "out")
    assert caught.value.exit_code == 5


def test_the_forecast_counts_what_the_run_does(scene_file: SceneFile, linear: Path, tmp_path: Path) -> None:
    scene = scene_file(make_pixels(700, 300))
    for stitch in ("crop", "blend"):
        cost = geoseg.plan(scene, model=linear, tile=192, chunk=256, stitch=stitch)
        made = geoseg.predict(scene, model=linear, tile=192, chunk=256, stitch=stitch, out=tmp_path / stitch)
        tiles = json.loads(made.manifest.read_text())["tiles"]
        assert cost.request.tiling.forward_tiles == tiles["run"] + tiles["skipped"]
        assert cost.seconds is not None
        assert cost.seconds > 0


@pytest.mark.parametrize("harm", ["keys", "classes", "nan"])
def test_weights_that_do_not_fit_are_refused_before_any_work(
    scene_file: SceneFile, linear: Path, tmp_path: Path, harm: str
) -> None:
    from safetensors.numpy import save_file

    model = shutil.copytree(linear, tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    name = sorted(weights)[0]
    if harm == "keys":
        weights["other"] = weights.pop(name)
    elif harm == "classes":
        weights[name] = np.concatenate([weights[name]] * 2)
    else:
        weights[name] = np.full_like(weights[name], np.nan)
    save_file(weights, model / "model.safetensors")
    described = json.loads((model / "bundle.json").read_text())
    described["weights"]["sha256"] = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    (model / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"do not fit|another shape|not finite") as caught:
        geoseg.predict(scene_file(make_pixels(64, 64)), model=model, out=tmp_path / "out")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out" / "log.jsonl").exists()
    assert not (tmp_path / "out" / ".work" / "ledger.sqlite").exists()
