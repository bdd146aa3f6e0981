"""Train buildings-rgb: buildings as objects in true colour of about 0.3 m.

    GEOSEG_DATA=/path/to/data python workflows/train_buildings.py configs/train_buildings.yaml

The data are drone scenes of OpenAerialMap (pixels CC BY 4.0) and buildings of OpenStreetMap (ODbL,
attribution), in the folder ``oam_buildings_five_places`` of GEOSEG_DATA. The scenes have pixels of 0.075 m;
before, each 4 x 4 of them become one. A training that was stopped goes on.
"""

from __future__ import annotations

from pathlib import Path

import click
import rasterio
from rasterio.enums import Resampling
from training_options import data_folder, training_command

FOLDER = "oam_buildings_five_places"
COARSER = 4


@training_command("configs/train_buildings.yaml")
@click.option(
    "--work", type=click.Path(path_type=Path), default="runs/buildings", help="For the coarser scenes."
)
def main(work: Path) -> Path:
    """Train, score on held-out places, and write the bundle with its card."""
    lay_out(data_folder() / FOLDER, work)
    return work


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
