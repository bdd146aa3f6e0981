"""Train buildings-rgb: buildings as objects in true colour of about 0.3 m.

    GEOSEG_DATA=/path/to/data python workflows/train_buildings.py configs/train_buildings.yaml

The data are drone scenes of OpenAerialMap (pixels CC BY 4.0) and buildings of OpenStreetMap (ODbL,
attribution), in the folder ``oam_buildings_five_places`` of GEOSEG_DATA. The scenes have pixels of 0.075 m;
before, each 4 x 4 of them become one. A training that was stopped goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import rasterio
from rasterio.enums import Resampling

from geoseg.cli.train import show_row
from geoseg.training.job import TrainJob
from geoseg.training.verb import run_train

FOLDER = "oam_buildings_five_places"
COARSER = 4


@click.command()
@click.argument("config", type=click.Path(exists=True), default="configs/train_buildings.yaml")
@click.option("--out", type=click.Path(path_type=Path), help="Bundle folder, not the configuration's.")
@click.option("--steps", type=int, help="Optimiser steps, instead of the configuration's.")
@click.option(
    "--work", type=click.Path(path_type=Path), default="runs/buildings", help="For the coarser scenes."
)
@click.option("--threads", type=int, default=1, show_default=True)
def main(config: str, out: Path | None, steps: int | None, work: Path, threads: int) -> None:
    """Train, score on held-out places, and write the bundle with its card."""
    job = TrainJob.load(config)
    given = {k: v for k, v in {"out": out, "steps": steps}.items() if v is not None}
    data = Path(os.environ.get("GEOSEG_DATA", "../shared/data")) / FOLDER
    lay_out(data, work)
    run_train(job.model_copy(update=given), root=work, threads=threads, progress=show_row)


def lay_out(data: Path, work: Path) -> None:
    """Write every scene with coarser pixels, and its buildings beside it."""
    scenes = sorted(data.glob("*.vrt"))
    if not scenes:
        raise click.ClickException(f"no scenes in {data.absolute()} (set GEOSEG_DATA)")
    work.mkdir(parents=True, exist_ok=True)
    for path in scenes:
        labels = work / f"{path.stem}.geojson"
        if not labels.exists():
            labels.symlink_to((data / f"{path.stem}_buildings.geojson").absolute())
        if not (work / f"{path.stem}.tif").exists():
            coarsen(path, work / f"{path.stem}.tif")


def coarsen(path: Path, target: Path) -> None:
    """Write a scene of which each pixel is the mean of 4 x 4."""
    with rasterio.open(path) as file:
        height, width = file.height // COARSER, file.width // COARSER
        pixels = file.read(out_shape=(file.count, height, width), resampling=Resampling.average)
        profile = {
            "driver": "GTiff",
            "count": file.count,
            "height": height,
            "width": width,
            "dtype": file.dtypes[0],
            "crs": file.crs,
            "transform": file.transform * file.transform.scale(COARSER),
            "photometric": "RGB",
            "compress": "deflate",
        }
    with rasterio.open(target, "w", **profile) as file:
        file.write(pixels)


if __name__ == "__main__":
    main()
