"""The novelty layer: how unlike the training each square of a scene looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from affine import Affine

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.models.bundle import Bundle
from geoseg.models.experience import look
from geoseg.prediction.stitch import NO_CONFIDENCE
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.scene import Scene


def check_experience(bundles: Sequence[Bundle]) -> None:
    """Refuse bundles that do not say what their training looked like.

    Raises
    ------
    UsageError
        Naming the first one.
    """
    for bundle in bundles:
        if bundle.experience is None:
            raise UsageError(
                f"{bundle.name} {bundle.version} does not say what it has seen",
                hint="a bundle that `geoseg train` made, or no `novelty`",
            )


def write_novelty(
    partial: Path, target: Path, scene: Scene, bundles: Sequence[Bundle], tags: Mapping[str, str]
) -> None:
    """Write one pixel per square of the scene: the share in % of the training windows less unusual than it.

    Squares are as wide as the widest training windows, and the most unusual of several models counts; 255
    where no pixel is valid or the file cannot be read.
    """
    side = max(b.experience.side for b in bundles if b.experience is not None)
    t, grid = scene.grid.transform, scene.grid
    coarse = Grid(
        crs=grid.crs,
        transform=Affine(t.a * side, t.b * side, t.c, t.d * side, t.e * side, t.f),
        height=-(-grid.height // side),
        width=-(-grid.width // side),
    )

    squares = [
        Window(r * side, c * side, side, side) for r in range(coarse.height) for c in range(coarse.width)
    ]
    percent = np.array([_percent(scene, bundles, square) for square in squares], np.uint8)
    layer = percent.reshape(coarse.shape)  # a byte for `side` squared pixels: small for any scene
    write_cog(
        partial,
        coarse,
        lambda window: layer[window.slices_in(coarse.window)],
        [coarse.window],
        RasterLayer(
            nodata=NO_CONFIDENCE,
            crs_wkt=scene.crs_wkt,
            tags=tags,
            description="novelty in % (0-100)",
            resampling="average",
        ),
        target=target,
    )


def _percent(scene: Scene, bundles: Sequence[Bundle], square: Window) -> int:
    """Novelty of a square for the model to which it is the most unusual."""
    try:
        pixels, valid = scene.read(square.clip(*scene.grid.shape))
    except InputError:
        return NO_CONFIDENCE
    if not valid.any():
        return NO_CONFIDENCE
    shares = [
        float(b.experience.novelty(look(pixels, valid, b.contract)[None])[0])
        for b in bundles
        if b.experience is not None
    ]
    return int(100 * max(shares))
