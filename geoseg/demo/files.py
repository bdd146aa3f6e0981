"""A frontier scene as files: what a user would have on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.demo.frontier import Frontier
from geoseg.geometry import Window
from geoseg.raster.cog import RasterLayer, publish_cog
from geoseg.raster.write import write_geotiff

DATES = ("before", "after")


def scene_file(folder: Path, date: str) -> Path:
    """Path of a date's image."""
    return folder / f"scene_{date}.tif"


def reference_file(folder: Path, date: str) -> Path:
    """Path of a date's exact reference."""
    return folder / f"reference_{date}.tif"


def write_scenes(folder: Path, frontier: Frontier) -> tuple[tuple[str, Path], ...]:
    """(what it is, path) of the four files written: the scene and its exact reference at both dates."""
    tags = {"GEOSEG_SYNTHETIC": f"geoseg.demo.frontier, seed {frontier.seed}: not real imagery"}
    dated: tuple[tuple[str, NDArray[np.uint16], NDArray[np.uint8]], ...] = (
        ("before", frontier.before, frontier.reference_before),
        ("after", frontier.after, frontier.reference_after),
    )
    files: list[tuple[str, Path]] = []
    for date, image, labels in dated:
        path, target = scene_file(folder, date), reference_file(folder, date)
        write_geotiff(path, frontier.grid, image, nodata=0, band_names=frontier.band_names, tags=tags)

        def read(window: Window, labels: NDArray[np.uint8] = labels) -> NDArray[np.uint8]:
            return labels[window.slices_in(frontier.grid.window)]

        windows = list(frontier.grid.window.blocks(512, 512))
        layer = RasterLayer(legend=frontier.legend, tags=tags)
        publish_cog(target, frontier.grid, read, windows, layer, overwrite=True)
        files += [(f"scene {date}, 4 bands", path), (f"exact reference {date}", target)]
    return tuple(files)
