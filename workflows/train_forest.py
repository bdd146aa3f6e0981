"""Train the shipped model `forest-s2-rgb`: forest and non-forest in Sentinel-2 true colour.

    export GEOSEG_DATA=/path/to/data
    python workflows/encoder_weights.py runs/efficientnet_lite0.safetensors
    python workflows/train_forest.py configs/train_forest.yaml

The data are the 30 labelled images of Zenodo record 3233081 (Bragagnolo, da Silva & Grzybowski 2019), in the
folder ``amazon_s2_forest/training`` of GEOSEG_DATA, each of which is held out once; and in ``oscd_s2_pairs``
twelve images of six towns with what Dynamic World answered for them, which stands in for labels, teaches
every fold and is never scored: trees are forest; shrubs, flooded vegetation and doubtful answers are left
out; all else is not forest. The same configuration gives, on one machine, the same weights; a training that
was stopped goes on.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
import rasterio
from numpy.typing import NDArray
from training_options import data_folder, training_command

FOLDER = Path("amazon_s2_forest/training")
WIDTH = 512

ELSEWHERE = Path("oscd_s2_pairs")
WHITE = 4000
"""Reflectance x 10000 that is 255 in the labelled images, by the forest in both."""
TREES, DOUBTFUL_CLASSES, DOUBTFUL_PERCENT = 1, (3, 5), 45


@training_command("configs/train_forest.yaml")
@click.option("--work", type=click.Path(path_type=Path), default="runs/forest", help="For the masks.")
def main(work: Path) -> Path:
    """Train, score on held-out images, and write the bundle with its card."""
    lay_out(data_folder() / FOLDER, work)
    lay_out_answers(data_folder() / ELSEWHERE, work / "answers")
    return work


def lay_out(data: Path, work: Path) -> None:
    """Put images and masks under one folder; the one mask that is wider than its image is cut to it."""
    if not (data / "images").is_dir():
        raise click.ClickException(f"no images in {data.absolute()} (set GEOSEG_DATA)")
    (work / "masks").mkdir(parents=True, exist_ok=True)
    if not (work / "images").exists():
        (work / "images").symlink_to((data / "images").absolute(), target_is_directory=True)
    for path in sorted((data / "masks").glob("*.png")):
        target = work / "masks" / f"{path.name.removesuffix('.png')}.png"
        if not target.exists():
            cut_mask(path, target)


def cut_mask(path: Path, target: Path) -> None:
    """Copy a mask; columns 2 to 513 lie on the image where there are 515 of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)  # the image has the place
        with rasterio.open(path) as file:
            labels = file.read(1)
        labels = labels[:, 2 : 2 + WIDTH] if labels.shape[1] == WIDTH + 3 else labels
        if labels.shape != (WIDTH, WIDTH) or not np.isin(labels, (1, 2)).all():
            raise click.ClickException(f"{path}: {labels.shape} with {np.unique(labels)} is unexpected")
        profile = {"driver": "PNG", "height": WIDTH, "width": WIDTH, "count": 1, "dtype": "uint8"}
        with rasterio.open(target, "w", **profile) as file:
            file.write(labels, 1)


def lay_out_answers(data: Path, out: Path) -> None:
    """Put images of other places, stretched like the labelled ones, beside answers in those two classes."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(data.glob("*/*_10m.tif")):
        name = path.name.removesuffix("_10m.tif")
        with rasterio.open(path) as file:
            reflectance, profile = file.read([3, 2, 1]).astype(np.float64), file.profile
        with rasterio.open(path.with_name(f"{name}_dw.tif")) as file:
            answer, percent = file.read([1, 2])
        image = np.clip(np.round(reflectance * 255 / WHITE), 0, 255).astype(np.uint8)
        labels = np.where(answer == TREES, 1, 2).astype(np.uint8)
        labels[np.isin(answer, DOUBTFUL_CLASSES) | (percent < DOUBTFUL_PERCENT)] = 0
        profile |= {"dtype": "uint8", "compress": "deflate"}
        write_new(out / f"{name}.tif", image, **profile | {"count": 3, "photometric": "rgb"})
        write_new(out / f"{name}_forest.tif", labels[None], **profile | {"count": 1, "nodata": 0})


def write_new(path: Path, pixels: NDArray[np.uint8], **profile: Any) -> None:
    """Write a raster where none is yet."""
    if not path.exists():
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)


if __name__ == "__main__":
    main()
