"""The cases: small scenes through the whole chain by the public functions, in fp32 on one thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window, transform

import geoseg
from geoseg.demo.files import reference_file, scene_file, write_scenes
from geoseg.demo.frontier import DEMO_SEED, make_frontier
from tests.golden.content import Content, bundle, change, class_map, polygons, prediction, scores

_FIXED = {"device": "cpu", "precision": "fp32", "threads": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One chain.

    Attributes
    ----------
    run
        (empty folder, folder of real imagery) to the content of everything made.
    real
        Reads real imagery.
    floats
        Goes through a network or scikit-learn: another machine may round otherwise.
    """

    run: Callable[[Path, Path], Content]
    real: bool
    floats: bool


def demo(folder: Path, _: Path) -> Content:
    """The demo's own landscape, smaller: both dates predicted, scored, compared, traced and cleaned."""
    write_scenes(folder, make_frontier(DEMO_SEED, (193, 227)))
    found: Content = {}
    for date in ("before", "after"):
        made = geoseg.predict(
            scene_file(folder, date), model="demo-frontier", out=folder / date, chunk=128, **_FIXED
        )
        geoseg.evaluate(
            made.classes, reference_file(folder, date), out=folder / date / "scores.json", boundary=2
        )
        found[f"prediction {date}"] = prediction(folder / date)
        found[f"scores {date}"] = scores(folder / date / "scores.json")
    geoseg.change(*(folder / d / "classes.tif" for d in ("before", "after")), out=folder / "change")
    found["change"] = change(folder / "change")
    classes = folder / "after" / "classes.tif"
    geoseg.vectorize(classes, out=folder / "plain.gpkg", conf_min=True, neighbours=True)
    found["plain.gpkg"] = polygons(folder / "plain.gpkg", "landcover")
    geoseg.vectorize(classes, out=folder / "clean.geojson", majority=3, min_area=0.5, fill_holes=9)
    found["clean.geojson"] = polygons(folder / "clean.geojson")
    geoseg.vectorize(classes, out=folder / "thin.fgb", min_pixels=4, simplify=15.0, smooth=1, crs="EPSG:4326")
    found["thin.fgb"] = polygons(folder / "thin.fgb")
    geoseg.vectorize(
        classes, out=folder / "square.parquet", min_pixels=9, opening=3, simplify=12.0, square=("built-up",)
    )
    found["square.parquet"] = polygons(folder / "square.parquet")
    after = scene_file(folder, "after")
    again = geoseg.fit("model", after, model="demo-frontier", regions="watershed", out=folder / "again")
    found["bundle saved again"] = bundle(again.path)
    geoseg.predict(after, model=again.path, out=folder / "regions", **_FIXED)
    found["prediction of regions"] = prediction(folder / "regions")
    return found


def references(folder: Path, _: Path) -> Content:
    """Exact maps of the demo's landscape, where no network rounds: tracing, cleaning, change in integers."""
    write_scenes(folder, make_frontier(DEMO_SEED, (331, 397)))
    before, after = (reference_file(folder, d) for d in ("before", "after"))
    geoseg.change(before, after, out=folder / "change")
    geoseg.evaluate(before, after, out=folder / "scores.json")
    geoseg.vectorize(after, out=folder / "plain.shp", chunk=100)
    geoseg.vectorize(after, out=folder / "clean.gpkg", majority=3, closing={"road": 3}, min_area=0.3)
    geoseg.vectorize(
        after, out=folder / "thin.gpkg", simplify=20.0, method="douglas-peucker", fractions=before
    )
    return {
        "reference": class_map(after),
        "change": change(folder / "change"),
        "scores": scores(folder / "scores.json"),
        "plain.shp": polygons(folder / "plain.shp"),
        "clean.gpkg": polygons(folder / "clean.gpkg", "landcover"),
        "thin.gpkg": polygons(folder / "thin.gpkg", "landcover"),
    }


def amazon(folder: Path, data: Path) -> Content:
    """Sentinel-2 with the shipped forest model in four views, in degrees, scored by a raster."""
    source = data / "amazon_s2_forest" / "training"
    image = min((source / "images").iterdir())
    scene = _cut(image, folder / "scene.tif", Window(60, 40, 240, 208))
    with rasterio.open(scene) as file, rasterio.open(source / "masks" / f"{image.stem}.png") as mask:
        profile = {**file.profile, "count": 1, "nodata": 0}
        labels = mask.read(1, window=Window(60, 40, 240, 208))
    with rasterio.open(folder / "labels.tif", "w", **profile) as file:
        file.write(labels, 1)
    made = geoseg.predict(scene, model="forest-s2-rgb", out=folder / "out", tile=256, tta="flips", **_FIXED)
    geoseg.evaluate(
        made.classes,
        folder / "labels.tif",
        crosswalk={1: "forest", 2: "non-forest"},
        out=folder / "scores.json",
    )
    geoseg.vectorize(made.classes, out=folder / "forest.fgb", only=("forest",), min_area=0.5)
    geoseg.vectorize(made.classes, out=folder / "all.gpkg", majority=5, simplify=12.0)
    return {
        "prediction": prediction(folder / "out"),
        "scores": scores(folder / "scores.json"),
        "forest.fgb": polygons(folder / "forest.fgb"),
        "all.gpkg": polygons(folder / "all.gpkg", "landcover"),
    }


def dubai(folder: Path, data: Path) -> Content:
    """Aerial image without georeference, blended tiles, an assumed grid."""
    image = data / "dubai_hitl_aerial" / "Tile_8" / "images" / "image_part_002.jpg"
    with rasterio.open(image) as file:
        pixels = file.read(window=Window(400, 300, 208, 176))
    scene = folder / "scene.tif"
    with rasterio.open(scene, "w", driver="GTiff", count=3, height=176, width=208, dtype="uint8") as file:
        file.write(pixels)
    made = geoseg.predict(
        scene,
        model="urban-rgb",
        out=folder / "out",
        assume_crs="EPSG:32640",
        assume_transform="0.3,0,300000,0,-0.3,2800000",
        tile=160,
        margin=32,
        chunk=128,
        stitch="blend",
        **_FIXED,
    )
    geoseg.vectorize(made.classes, out=folder / "classes.gpkg", min_pixels=20, simplify=0.4)
    return {
        "prediction": prediction(folder / "out"),
        "classes.gpkg": polygons(folder / "classes.gpkg", "landcover"),
    }


def new_brunswick(folder: Path, data: Path) -> Content:
    """Forest fitted to polygons with text codes on one image, scored by the same layer on the other."""
    source = data / "nrcan_aerial_vectors" / "new_brunswick"
    layer = source / "BakerLake_2017_clipped.gpkg"
    crosswalk = {"1": "vegetation", "2": "hydro", "3": "road", "4": "building", "255": "ignore"}
    one, two = (source / f"23322E759967N_clipped_{i}of2.tif" for i in (1, 2))
    fitted = geoseg.fit(
        "forest",
        one,
        out=folder / "forest",
        labels=layer,
        field="Quatreclasses",
        classes=["vegetation", "hydro", "road", "building"],
        crosswalk=crosswalk,
        trees=12,
        depth=8,
    )
    made = geoseg.predict(two, model=fitted.path, out=folder / "out", force=True, **_FIXED)
    geoseg.evaluate(
        made.classes,
        layer,
        field="Quatreclasses",
        crosswalk=crosswalk,
        overlap="last",
        out=folder / "scores.json",
    )
    return {
        "bundle": bundle(fitted.path),
        "prediction": prediction(folder / "out"),
        "scores": scores(folder / "scores.json"),
    }


def gewata(folder: Path, data: Path) -> Content:
    """Landsat with nodata: an index with given thresholds, k-means, a reference merged by a crosswalk."""
    source = data / "gewata_landsat7_ethiopia"
    window = Window(700, 300, 400, 360)
    scene = _cut(source / "gewata_landsat7_sr.tif", folder / "scene.tif", window)
    reference = _cut(source / "gewata_lulc_reference.tif", folder / "reference.tif", window)
    index = geoseg.fit(
        "ndvi",
        scene,
        out=folder / "ndvi",
        bands="red=3,nir=4",
        scale=0.0001,
        threshold=[0.55],
        classes=["open", "forest"],
    )
    clusters = geoseg.fit("kmeans", scene, out=folder / "kmeans", classes=4)
    made = geoseg.predict(scene, model=index.path, bands="3,4", out=folder / "out", **_FIXED)
    grouped = geoseg.predict(scene, model=clusters.path, out=folder / "grouped", **_FIXED)
    geoseg.evaluate(
        made.classes,
        reference,
        crosswalk={5: "forest", 1: "open", 3: "open", "*": "ignore"},
        out=folder / "scores.json",
        boundary=3,
    )
    geoseg.vectorize(grouped.classes, out=folder / "grouped.geojson", min_pixels=6, small="drop")
    return {
        "bundle ndvi": bundle(index.path),
        "bundle kmeans": bundle(clusters.path),
        "prediction ndvi": prediction(folder / "out"),
        "prediction kmeans": prediction(folder / "grouped"),
        "scores": scores(folder / "scores.json"),
        "grouped.geojson": polygons(folder / "grouped.geojson"),
    }


def guadeloupe(folder: Path, data: Path) -> Content:
    """Forest of two dates by others' codes: change with a legend, tracing of a map without names."""
    whole = _cut(
        data / "forest_change_guadeloupe" / "fcc123_GLP.tif", folder / "codes.tif", Window(900, 700, 500, 450)
    )
    with rasterio.open(whole) as file:
        codes, profile = file.read(1), file.profile
    for year, cleared in (("2010", (1,)), ("2020", (1, 2))):
        labels = np.where(codes == 0, 0, np.where(np.isin(codes, cleared), 2, 1)).astype(np.uint8)
        with rasterio.open(folder / f"{year}.tif", "w", **{**profile, "nodata": 0}) as file:
            file.write(labels, 1)
    geoseg.change(
        folder / "2010.tif", folder / "2020.tif", out=folder / "change", legend={1: "forest", 2: "cleared"}
    )
    geoseg.vectorize(folder / "2020.tif", out=folder / "2020.gpkg", fill_holes=5, min_area=0.3)
    geoseg.vectorize(folder / "2020.tif", out=folder / "2020.parquet", simplify=45.0, smooth=2)
    return {
        "change": change(folder / "change"),
        "2020.gpkg": polygons(folder / "2020.gpkg", "landcover"),
        "2020.parquet": polygons(folder / "2020.parquet"),
    }


def _cut(source: Path, target: Path, window: Window) -> Path:
    with rasterio.open(source) as file:
        profile = {
            **file.profile,
            "driver": "GTiff",
            "height": window.height,
            "width": window.width,
            "transform": transform(window, file.transform),
            "tiled": False,
        }
        for key in ("blockxsize", "blockysize", "photometric"):
            profile.pop(key, None)
        pixels = file.read(window=window)
    with rasterio.open(target, "w", **profile) as file:
        file.write(pixels)
    return target


CASES = {
    "demo": Case(run=demo, real=False, floats=True),
    "references": Case(run=references, real=False, floats=False),
    "amazon": Case(run=amazon, real=True, floats=True),
    "dubai": Case(run=dubai, real=True, floats=True),
    "new brunswick": Case(run=new_brunswick, real=True, floats=True),
    "gewata": Case(run=gewata, real=True, floats=True),
    "guadeloupe": Case(run=guadeloupe, real=True, floats=False),
}
