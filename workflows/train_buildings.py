"""Train buildings-rgb: buildings as objects in true colour of about 0.3 m.

    GEOSEG_DATA=/path/to/data python workflows/train_buildings.py configs/train_buildings.yaml

The data are drone scenes of OpenAerialMap (pixels CC BY 4.0) and buildings of OpenStreetMap (ODbL,
attribution), in the folders ``oam_buildings_five_places`` and ``oam_kampala_buildings`` of GEOSEG_DATA. The
scenes have pixels of 0.075 m; before, each 4 x 4 of them become one. A training that was stopped goes on.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import click
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine
from training_options import data_folder, training_command

FOLDER = "oam_buildings_five_places"
MORE = "oam_kampala_buildings"
COARSER = 4


_TILE = 256  # pixels along a side of a web map's tile
_HALF = 20_037_508.342789244  # metres from the middle of Web Mercator to its edge


@training_command("configs/train_buildings.yaml")
@click.option(
    "--work", type=click.Path(path_type=Path), default="runs/buildings", help="For the coarser scenes."
)
def main(work: Path) -> Path:
    """Train, score on held-out places, and write the bundle with its card."""
    lay_out(data_folder() / FOLDER, work)
    lay_out_tiles(data_folder() / MORE, work / "kampala_1")
    return work


def lay_out(data: Path, work: Path) -> None:
    """Write every scene of a folder with coarser pixels, and its buildings beside it."""
    for path in _some(data, "*.vrt"):
        _link(data / f"{path.stem}_buildings.geojson", work / path.stem)
        with rasterio.open(path) as file:
            coarsen(file.read(), file.transform, work / f"{path.stem}.tif")


def lay_out_tiles(data: Path, target: Path) -> None:
    """Write the tiles of a web map as one scene with coarser pixels, and its buildings beside it."""
    tiles = {tuple(map(int, path.stem.split("-")[1:])): path for path in _some(data, "tiles_z21/*.png")}
    columns, rows, (zoom, *_) = (sorted({number[axis] for number in tiles}) for axis in range(3))
    pixels = np.zeros((3, len(rows) * _TILE, len(columns) * _TILE), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a tile's place is its name
        for (column, row, _), path in tiles.items():
            top, left = (row - rows[0]) * _TILE, (column - columns[0]) * _TILE
            with rasterio.open(path) as file:
                pixels[:, top : top + _TILE, left : left + _TILE] = file.read((1, 2, 3))
    size = 2 * _HALF / (_TILE << zoom)
    west, north = columns[0] * _TILE * size - _HALF, _HALF - rows[0] * _TILE * size
    _link(data / "labels.geojson", target)
    coarsen(pixels, Affine(size, 0, west, 0, -size, north), target.with_suffix(".tif"))


def coarsen(pixels: NDArray[np.uint8], transform: Affine, target: Path) -> None:
    """Write a scene (3, H, W) in Web Mercator of which each pixel is the mean of 4 x 4."""
    if target.exists():
        return
    height, width = (side // COARSER for side in pixels.shape[1:])
    cut = pixels[:, : height * COARSER, : width * COARSER]
    mean = cut.reshape(3, height, COARSER, width, COARSER).mean((2, 4), dtype=np.float32)
    profile = {
        "driver": "GTiff",
        "count": 3,
        "height": height,
        "width": width,
        "dtype": "uint8",
        "crs": "EPSG:3857",
        "transform": transform * Affine.scale(COARSER),
        "photometric": "RGB",
        "compress": "deflate",
    }
    with rasterio.open(target, "w", **profile) as file:
        file.write(mean.round().astype(np.uint8))


def _some(data: Path, pattern: str) -> list[Path]:
    found = sorted(data.glob(pattern))
    if not found:
        raise click.ClickException(f"no {pattern} in {data.absolute()} (set GEOSEG_DATA)")
    return found


def _link(labels: Path, target: Path) -> None:
    """Have a scene's labels beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.with_suffix(".geojson").exists():
        target.with_suffix(".geojson").symlink_to(labels.absolute())


if __name__ == "__main__":
    main()
