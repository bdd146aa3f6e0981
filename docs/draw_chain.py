"""Draws the README's picture from the demo's files: python docs/draw_chain.py demo-out docs/chain.png."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from geoseg import open_class_map, open_scene
from geoseg.geometry import Window
from geoseg.raster.burn import read_vector

VIEW = Window(560, 760, 420, 420)
"""Where the river crosses the highway, in pixels of the demo's scene."""


def draw(demo: Path, out: Path) -> None:
    """Write four panels of one place: scene, classes, polygons over the scene, change."""
    scene = open_scene(demo / "scene_after.tif")
    pixels, _ = scene.read(VIEW, bands=["red", "green", "blue"])
    low, high = np.percentile(pixels, (1, 99), axis=(1, 2), keepdims=True)
    picture = np.clip((pixels - low) / (high - low), 0, 1).transpose(1, 2, 0)
    before, after = (open_class_map(demo / date / "classes.tif") for date in ("before", "after"))
    colours = np.full((256, 3), 255, np.uint8)
    for c in after.legend.classes:
        colours[c.id] = c.rgb
    labels = after.read(VIEW)
    changed = np.where((labels != before.read(VIEW))[..., None], colours[labels], 230)

    figure = Figure(figsize=(12, 3.35), layout="constrained")
    titles = ("scene", "classes.tif", "classes.gpkg", "change since the first date")
    for axes, title, image in zip(
        figure.subplots(1, 4), titles, (picture, colours[labels], picture, changed), strict=True
    ):
        axes.imshow(image, interpolation="nearest")
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
        if title == "classes.gpkg":
            inverse = ~scene.grid.transform
            for polygon in read_vector(demo / "after" / "classes.gpkg").geometry.explode():
                for ring in (polygon.exterior, *polygon.interiors):
                    x, y = np.asarray(ring.coords).T
                    col = inverse.a * x + inverse.c - VIEW.col - 0.5
                    row = inverse.e * y + inverse.f - VIEW.row - 0.5
                    axes.plot(col, row, color="#FFE000", linewidth=0.8)
            axes.set_xlim(-0.5, VIEW.width - 0.5)
            axes.set_ylim(VIEW.height - 0.5, -0.5)
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
