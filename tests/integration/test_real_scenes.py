"""The chain on real imagery: fit, predict, vectorize, evaluate, and check all with others' tools."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
from rasterio.windows import Window
from sklearn.metrics import confusion_matrix, jaccard_score

import geoseg

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fit_linear() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_linear", _ROOT / "workflows" / "fit_linear.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_linear"] = module  # pydantic resolves annotations there
    spec.loader.exec_module(module)
    return module


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def _part(path: Path, out: Path, window: Window) -> Path:
    """A window of a map, as a file of its own."""
    with rasterio.open(path) as file:
        profile = {"driver": "GTiff", "height": window.height, "width": window.width}
        profile |= {"transform": file.window_transform(window)}
        with rasterio.open(out, "w", **{**file.profile, **profile}) as part:
            part.write(file.read(window=window))
    return out


def _check_polygons(polygons: Path, classes: Path) -> None:
    """Burned back by rasterio, the polygons are the map again; their areas are the pixels' areas."""
    frame = gpd.read_file(polygons, layer="landcover")
    with rasterio.open(classes) as file:
        labels, transform = file.read(1), file.transform
    assert frame.geometry.is_valid.all()
    assert frame.crs == rasterio.open(classes).crs
    assert frame.n_pix.sum() == np.count_nonzero(labels != 255)
    back = rasterio.features.rasterize(
        zip(frame.geometry, frame.class_id, strict=True),
        out_shape=labels.shape,
        transform=transform,
        fill=255,
        dtype="uint8",
    )
    np.testing.assert_array_equal(back, labels)
    pixel = abs(transform.a * transform.e)
    np.testing.assert_allclose(frame.geometry.area, frame.n_pix * pixel, rtol=1e-6)


def test_landsat_scene_against_its_reference_raster(
    shared_data: Path, fit_linear: ModuleType, tmp_path: Path
) -> None:
    folder = shared_data / "gewata_landsat7_ethiopia"
    scene, reference = folder / "gewata_landsat7_sr.tif", folder / "gewata_lulc_reference.tif"
    names = ("cropland", "bamboo", "bare soil", "coffee plantation", "forest", "wetland")
    bundle = fit_linear.fit(
        fit_linear.FitLinear(
            scene=str(scene),
            labels=reference,
            classes=dict(enumerate(names, start=1)),
            fit_columns=(0.0, 0.5),
            out=tmp_path / "linear",
        )
    )
    made = geoseg.predict(scene, model=bundle.path, out=tmp_path / "out", chunk=1024)
    scores = geoseg.evaluate(made.classes, reference, out=tmp_path / "scores.json")
    labels, truth = _read(made.classes), _read(reference)
    known = (truth != 0) & (labels != 255)
    expected = confusion_matrix(truth[known], labels[known], labels=list(range(1, 7)))
    np.testing.assert_array_equal(scores.counts, expected)
    written = json.loads((tmp_path / "scores.json").read_text())
    iou = jaccard_score(truth[known], labels[known], labels=list(range(1, 7)), average=None)
    np.testing.assert_allclose([c["iou"] for c in written["classes"]], iou, atol=1e-6)
    part = _part(made.classes, tmp_path / "part.tif", Window(300, 300, 500, 500))
    polygons = geoseg.vectorize(part, out=tmp_path / "classes.gpkg")
    _check_polygons(tmp_path / "classes.gpkg", part)
    assert polygons.pixels == np.count_nonzero(_read(part) != 255) > 0


def test_aerial_images_against_polygons(shared_data: Path, fit_linear: ModuleType, tmp_path: Path) -> None:
    """Fitted on one image from polygons with text codes, scored on the other by the same layer."""
    folder = shared_data / "nrcan_aerial_vectors" / "new_brunswick"
    layer = folder / "BakerLake_2017_clipped.gpkg"
    crosswalk = {"1": "vegetation", "2": "hydro", "3": "road", "4": "building", "255": "ignore"}
    bundle = fit_linear.fit(
        fit_linear.FitLinear(
            scene=str(folder / "23322E759967N_clipped_1of2.tif"),
            labels=layer,
            field="Quatreclasses",
            classes={1: "vegetation", 2: "hydro", 3: "road", 4: "building"},
            crosswalk=crosswalk,
            out=tmp_path / "linear",
        )
    )
    scene = folder / "23322E759967N_clipped_2of2.tif"
    made = geoseg.predict(scene, model=bundle.path, out=tmp_path / "out", force=True)
    table = tmp_path / "map.yaml"
    table.write_text("\n".join(f'"{k}": {v}' for k, v in crosswalk.items()))
    scores = geoseg.evaluate(made.classes, layer, field="Quatreclasses", crosswalk=table, overlap="last")
    # the same by hand: rasterise the layer whole, compare
    frame = gpd.read_file(layer)
    frame = frame[frame.Quatreclasses != "255"].sort_values("Quatreclasses")  # the last class wins
    with rasterio.open(made.classes) as file:
        labels, transform = file.read(1), file.transform
    truth = rasterio.features.rasterize(
        zip(frame.geometry, frame.Quatreclasses.astype(int), strict=True),
        out_shape=labels.shape,
        transform=transform,
        fill=255,
        dtype="uint8",
    )
    known = (truth != 255) & (labels != 255)
    assert known.sum() > 10_000
    expected = confusion_matrix(truth[known], labels[known], labels=[1, 2, 3, 4])
    # GDAL decides edges that run through pixel centres differently for shifted coordinates: a few pixels
    assert np.abs(scores.counts - expected).sum() <= 0.0005 * expected.sum()
    geoseg.vectorize(made.classes, out=tmp_path / "classes.fgb")
    _check_polygons(tmp_path / "classes.fgb", made.classes)


def test_landsat8_against_points(shared_data: Path, fit_linear: ModuleType, tmp_path: Path) -> None:
    folder = shared_data / "landsat8_porto_velho"
    scene, points = folder / "LC08_232066_20190727_utm.tif", folder / "endmembers" / "endmembers.shp"
    crosswalk = {"0": "water", "1": "urban", "2": "forest", "3": "cleared"}
    bundle = fit_linear.fit(
        fit_linear.FitLinear(
            scene=str(scene),
            labels=points,
            field="class",
            classes={1: "water", 2: "urban", 3: "forest", 4: "cleared"},
            crosswalk=crosswalk,
            out=tmp_path / "linear",
        )
    )
    made = geoseg.predict(scene, model=bundle.path, out=tmp_path / "out")
    table = tmp_path / "map.yaml"
    table.write_text("\n".join(f'"{k}": {v}' for k, v in crosswalk.items()))
    scores = geoseg.evaluate(made.classes, points, field="class", crosswalk=table)
    frame = gpd.read_file(points).to_crs(rasterio.open(made.classes).crs)
    with rasterio.open(made.classes) as file:
        sampled = np.array([v[0] for v in file.sample(zip(frame.geometry.x, frame.geometry.y, strict=True))])
    expected = confusion_matrix(frame["class"].astype(int) + 1, sampled, labels=[1, 2, 3, 4])
    np.testing.assert_array_equal(scores.counts, expected)
    assert scores.overall["overall_accuracy"] > 0.9  # fitted on these very points


@pytest.mark.slow
def test_a_large_aerial_mosaic_has_no_seams_where_tiles_are_blended(
    shared_data: Path, tmp_path: Path
) -> None:
    """28.6 Mpx, a model for such pictures: class changes are not likelier along tiles than elsewhere."""
    made = geoseg.predict(
        shared_data / "dubai_hitl_aerial" / "tile_8_images.vrt",
        model="urban-rgb",
        out=tmp_path / "out",
        allow_vrt=True,
        assume_crs="EPSG:32640",
        assume_transform="0.3,0,300000,0,-0.3,2800000",
        tile=512,
        margin=64,
        stitch="blend",
    )
    labels = _read(made.classes)
    changes = (labels[1:] != labels[:-1]).mean(axis=1)
    edges = np.arange(384 - 1, len(changes), 384)
    assert changes[edges].mean() < 1.10 * changes.mean()
    geoseg.vectorize(made.classes, out=tmp_path / "classes.gpkg")
    _check_polygons(tmp_path / "classes.gpkg", made.classes)
