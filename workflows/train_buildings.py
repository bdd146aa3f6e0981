"""Train buildings-rgb: buildings as objects in true colour of about 0.3 m.

    GEOSEG_DATA=/path/to/data python workflows/train_buildings.py configs/train_buildings.yaml

The data are drone scenes of OpenAerialMap (pixels CC BY 4.0) and buildings of OpenStreetMap (ODbL,
attribution), in the folders ``oam_buildings_five_places`` and ``oam_kampala_buildings`` of GEOSEG_DATA, and
two parts of mosaics of Dubai (CC0; ``dubai_hitl_aerial``) whose land cover shows buildings one by one.
Drones' pixels are of 0.075 m; before, each 4 x 4 of them become one. A training that was stopped goes on.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import click
import geopandas as gpd
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import shapes
from rasterio.transform import Affine
from rasterio.windows import Window
from scipy.ndimage import label
from shapely.geometry import shape
from training_options import data_folder, training_command

FOLDER = "oam_buildings_five_places"
MORE = "oam_kampala_buildings"
DUBAI = "dubai_hitl_aerial"
COARSER = 4

_COVER = {
    "dubai_2": (2, Window(0, 0, 1528, 1632)),
    "dubai_8": (8, Window(300, 300, 1500, 1200)),
}
_BUILDING, _UNKNOWN = (0x3C, 0x10, 0x98), ((0x9B, 0x9B, 0x9B), (0, 0, 0))
_LEAST, _MOST = 9.0, 700.0  # square metres of a region that is one building
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
    for name, (tile, window) in _COVER.items():
        lay_out_cover(data_folder() / DUBAI, tile, window, work / name)
    return work


def lay_out(data: Path, work: Path) -> None:
    """Write every scene of a folder with coarser pixels, and its buildings beside it."""
    for path in _some(data, "*.vrt"):
        target = work / f"{path.stem}.tif"
        _link(data / f"{path.stem}_buildings.geojson", target)
        if not target.exists():
            with rasterio.open(path) as file:
                coarsen(file.read(), file.transform, target)


def lay_out_tiles(data: Path, target: Path) -> None:
    """Write the tiles of a web map as one scene with coarser pixels, and its buildings beside it."""
    _link(data / "labels.geojson", target)
    if target.with_suffix(".tif").exists():
        return
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
    coarsen(pixels, Affine(size, 0, west, 0, -size, north), target.with_suffix(".tif"))


def lay_out_cover(data: Path, tile: int, window: Window, target: Path) -> None:
    """Write a part of a mosaic, and beside it the buildings that its land cover shows apart from each other.

    Regions too large for one building are blocks of them; what is in them, and where there are no labels, is
    unknown. Mosaics lie in rows, 10 km apart, as in the configuration of urban-rgb.
    """
    if target.with_suffix(".tif").exists():
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        pixels, cover = (_read(data / f"tile_{tile}_{kind}.vrt", window) for kind in ("images", "masks"))
    place = Affine(0.3, 0, 1e4 * (tile - 1), 0, -0.3, 1e7) * Affine.translation(
        window.col_off, window.row_off
    )
    regions, count = label(_is(cover, _BUILDING))
    area = np.bincount(regions.ravel(), minlength=count + 1)[regions] * 0.09
    unknown = np.any([_is(cover, colour) for colour in _UNKNOWN], axis=0)
    unknown |= (regions > 0) & ((area < _LEAST) | (area >= _MOST))
    regions[unknown] = 0
    drawn = [("building", s) for s, _ in shapes(regions.astype(np.int32), mask=regions > 0, transform=place)]
    drawn += [("unknown", s) for s, _ in shapes(unknown.astype(np.uint8), mask=unknown, transform=place)]
    kinds, outlines = zip(*drawn, strict=True)
    layer = gpd.GeoDataFrame({"kind": kinds}, geometry=[shape(o) for o in outlines], crs="EPSG:32640")
    target.parent.mkdir(parents=True, exist_ok=True)
    layer.to_file(target.with_suffix(".gpkg"))
    write(pixels, "EPSG:32640", place, target.with_suffix(".tif"))


def _read(path: Path, window: Window) -> NDArray[np.uint8]:
    with rasterio.open(path) as file:
        pixels: NDArray[np.uint8] = file.read((1, 2, 3), window=window)
    return pixels


def _is(cover: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (cover == np.array(colour, np.uint8)[:, None, None]).all(axis=0)


def coarsen(pixels: NDArray[np.uint8], transform: Affine, target: Path) -> None:
    """Write a scene (3, H, W) in Web Mercator of which each pixel is the mean of 4 x 4."""
    height, width = (side // COARSER for side in pixels.shape[1:])
    cut = pixels[:, : height * COARSER, : width * COARSER]
    mean = cut.reshape(3, height, COARSER, width, COARSER).mean((2, 4), dtype=np.float32)
    place = transform * Affine.scale(COARSER)
    write(mean.round().astype(np.uint8), "EPSG:3857", place, target)


def write(pixels: NDArray[np.uint8], crs: str, place: Affine, target: Path) -> None:
    """Write a scene (3, H, W)."""
    profile = {
        "driver": "GTiff",
        "count": 3,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": "uint8",
        "crs": crs,
        "transform": place,
        "photometric": "RGB",
        "compress": "deflate",
    }
    with rasterio.open(target, "w", **profile) as file:
        file.write(pixels)


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
