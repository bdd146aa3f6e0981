"""Models without a network: scores of maps against references nobody fitted, margins of regions, and speed.

    GEOSEG_DATA=/path/to/data python -m benchmarks.baselines            # all four tables of docs/baselines.md
    GEOSEG_DATA=/path/to/data python -m benchmarks.baselines --table points --table speed

Every map is made by `geoseg.fit` and `geoseg.predict`, with one thread, and scored by `geoseg.evaluate`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

import geoseg
from geoseg.engines.choice import EngineChoice
from geoseg.engines.opening import open_engine
from geoseg.models.bundle import load_bundle

REGIONS = ("slic", "canny", "watershed", "felzenszwalb")
MARGINS = (0, 32, 64, 128, 256)
GEWATA = "gewata_landsat7_ethiopia"
PORTO_VELHO = "landsat8_porto_velho"
WETLANDS = "naip_series_north_dakota/m_4709963_se_14_1_20150926.tif"
_SIDE = 512


def data() -> Path:
    """Folder of the data."""
    return Path(os.environ.get("GEOSEG_DATA", "../shared/data"))


def overall(model: Path, scene: Path, reference: Path, work: Path, **options: Any) -> dict[str, float]:
    """Scores of a model's map of a scene against a reference."""
    run = geoseg.predict(scene, model=str(model), out=work / "map", threads=1, overwrite=True)
    scores = geoseg.evaluate(run.classes, reference, out=work / "s.json", overwrite=True, **options)
    return dict(scores.overall)


def areas(work: Path) -> None:
    """A forest from 16 polygons against a reference raster, by pixel and by region."""
    folder = data() / GEWATA
    names = {1: "cropland", 5: "forest", 6: "wetland"}
    print("| map | accuracy | mean IoU | kappa |\n|---|---|---|---|")
    for regions in (None, *REGIONS):
        model = work / f"forest-{regions}"
        geoseg.fit(
            "forest",
            folder / "gewata_landsat7_sr.tif",
            labels=folder / "training_polygons.gpkg",
            field="Class",
            classes=names,
            regions=regions,
            out=model,
        )
        found = overall(
            model,
            folder / "gewata_landsat7_sr.tif",
            folder / "gewata_lulc_reference.tif",
            work,
            crosswalk={**names, "*": "ignore"},
        )
        cells = " | ".join(f"{found[k]:.3f}" for k in ("overall_accuracy", "mean_iou", "kappa"))
        print(f"| {regions or 'pixels'} | {cells} |", flush=True)


def points(work: Path) -> None:
    """A forest from one collection of points, and an index, against another collection."""
    folder = data() / PORTO_VELHO
    scene, seen = folder / "LC08_232066_20190727.jp2", folder / "signatures/signatures.shp"
    unseen, names = folder / "endmembers/endmembers.shp", ["water", "urban", "forest", "cleared"]
    geoseg.fit(
        "forest",
        scene,
        labels=seen,
        field="name",
        crosswalk={str(float(k)): name for k, name in enumerate(names, start=1)},
        classes=names,
        out=work / "forest",
    )
    geoseg.fit("mndwi", scene, bands=["green=2", "swir1=5"], classes=["other", "water"], out=work / "mndwi")
    print("| map | accuracy | mean IoU |\n|---|---|---|")
    for name, classes in (("forest", names), ("mndwi", ["water", "other", "other", "other"])):
        crosswalk = {str(float(k)): label for k, label in enumerate(classes)}
        bands = {"bands": [2, 5]} if name == "mndwi" else {}
        run = geoseg.predict(
            scene, model=str(work / name), out=work / "map", threads=1, overwrite=True, **bands
        )
        found = geoseg.evaluate(
            run.classes, unseen, field="class", crosswalk=crosswalk, out=work / "s.json", overwrite=True
        ).overall
        print(f"| {name} | {found['overall_accuracy']:.3f} | {found['mean_iou']:.3f} |", flush=True)


def margins(work: Path) -> None:
    """Labels of regions that differ from those with the widest margin, tile by tile."""
    print(f"| margin | {' | '.join(REGIONS)} |\n|---|{'---|' * len(REGIONS)}")
    shares = {
        (scene, regions): _shares(data() / scene, regions, work)
        for scene in (WETLANDS, f"{GEWATA}/gewata_landsat7_sr.tif")
        for regions in REGIONS
    }
    for k, margin in enumerate(MARGINS[:-1]):
        cells = [
            ", ".join(f"{shares[scene, r][k]:.2%}" for scene in dict.fromkeys(s for s, _ in shares))
            for r in REGIONS
        ]
        print(f"| {margin} | {' | '.join(cells)} |", flush=True)


def _shares(scene: Path, regions: str, work: Path) -> list[float]:
    model = work / f"{scene.stem}-{regions}"
    geoseg.fit("kmeans", scene, classes=5, regions=regions, out=model)
    maps = []
    for margin in MARGINS:
        side = 384 + 2 * margin  # the lattice stays
        run = geoseg.predict(
            scene,
            model=str(model),
            out=work / "map",
            tile=side,
            margin=margin,
            chunk=384,
            threads=1,
            overwrite=True,
        )
        with rasterio.open(run.classes) as file:
            maps.append(file.read(1))
    return [float((one != maps[-1]).mean()) for one in maps[:-1]]


def speed(work: Path) -> None:
    """Pixels that a rule or its regions decide per CPU second, without reading."""
    scene = data() / PORTO_VELHO / "LC08_232066_20190727.jp2"
    geoseg.fit("ndvi", scene, bands=["red=3", "nir=4"], out=work / "ndvi")
    geoseg.fit("kmeans", scene, classes=6, out=work / "kmeans")
    geoseg.fit(
        "forest",
        scene,
        labels=data() / PORTO_VELHO / "signatures/signatures.shp",
        field="name",
        classes=["water", "urban", "forest", "cleared"],
        crosswalk={"1.0": "water", "2.0": "urban", "3.0": "forest", "4.0": "cleared"},
        out=work / "forest",
    )
    with rasterio.open(scene) as file:
        pixels = file.read()[:, :_SIDE, :_SIDE]
    print("| model | Mpx per CPU s |\n|---|---|")
    for name, bands in (("ndvi", [2, 3]), ("kmeans", slice(None)), ("forest", slice(None))):
        engine = open_engine(
            load_bundle(work / name), EngineChoice(device="cpu", precision="fp32", threads=1)
        )
        tile = np.ascontiguousarray(pixels[bands])[None]
        engine.classify(tile)
        started, runs = time.process_time(), 0
        while runs < 2 or time.process_time() - started < 2:
            engine.classify(tile)
            runs += 1
        print(f"| {name} | {runs * _SIDE**2 / (time.process_time() - started) / 1e6:.2f} |", flush=True)


TABLES = {"areas": areas, "points": points, "margins": margins, "speed": speed}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", choices=TABLES, action="append", help="Default: all.")
    for name in parser.parse_args().table or TABLES:
        print(f"\n{name}\n")
        with tempfile.TemporaryDirectory() as work:
            TABLES[name](Path(work))


if __name__ == "__main__":
    main()
