"""How far to trust a map: how unlike the training a scene looks, and how unsure the model is of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.geometry import Grid, Window
from geoseg.models.bundle import Bundle
from geoseg.models.experience import Experience, doubt_of, look
from geoseg.prediction.stitch import NO_CONFIDENCE
from geoseg.raster.cog import RasterLayer, write_cog
from geoseg.raster.scene import Scene

ReadConfidence = Callable[[Window], NDArray[np.uint8]]
"""Confidence in percent (h, w) of a window; `NO_CONFIDENCE` where there is no class."""


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


def doubt_facts(
    confidence: ReadConfidence, whole: Window, bundles: Sequence[Bundle]
) -> tuple[dict[str, float], str | None]:
    """What a manifest says of how sure a model is, by at most 25 squares of the scene, and a note or None.

    Mean confidence, and the share of the windows that it was scored on of which it was surer, in the median
    of the squares. Nothing of several models, whose common confidence was never scored, and of one that does
    not say how sure it was.
    """
    known = _scored(bundles)
    if known is None:
        return {}, None
    squares = np.array([_mean(confidence(square)) for square in whole.spread(known.side)])
    squares = squares[np.isfinite(squares)]
    if not squares.size:
        return {}, None
    ranks = doubt_of(squares, known.sureness)
    facts = {"confidence": float(squares.mean()), "less_sure_than": float(np.median(ranks))}
    return {name: round(value, 4) for name, value in facts.items()}, known.misgiving(squares)


def write_novelty(
    partial: Path,
    target: Path,
    scene: Scene,
    bundles: Sequence[Bundle],
    confidence: ReadConfidence,
    tags: Mapping[str, str],
) -> None:
    """Write one pixel per square of the scene, in %: the larger of two measures.

    The one is how far it lies beyond what the training looked like, to the model to which it is the most
    unusual; the other, of one model, the share of the windows that it was scored on of which it was surer.
    Squares are as wide as the widest training windows; 255 where no pixel is valid or the file cannot be
    read.
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
    percent = np.array([_percent(scene, bundles, confidence, square) for square in squares], np.uint8)
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


def _scored(bundles: Sequence[Bundle]) -> Experience | None:
    """Experience of a lone model that says how sure it was where it was scored."""
    own = bundles[0].experience if len(bundles) == 1 else None
    return None if own is None or own.sureness is None else own


def _mean(percent: NDArray[np.uint8]) -> float:
    """Mean confidence, 0 to 1; NaN where there is none."""
    known = percent[percent != NO_CONFIDENCE]
    return float(known.mean()) / 100 if known.size else np.nan


def _percent(scene: Scene, bundles: Sequence[Bundle], confidence: ReadConfidence, square: Window) -> int:
    """The larger measure of a square."""
    square = square.clip(*scene.grid.shape)
    try:
        pixels, valid = scene.read(square)
    except InputError:
        return NO_CONFIDENCE
    if not valid.any():
        return NO_CONFIDENCE
    shares = [
        float(b.experience.beyond(look(pixels, valid, b.contract)[None])[0])
        for b in bundles
        if b.experience is not None
    ]
    if (scored := _scored(bundles)) is not None and np.isfinite(mean := _mean(confidence(square))):
        shares.append(float(doubt_of(np.array([mean]), scored.sureness)[0]))
    return int(100 * max(shares))
