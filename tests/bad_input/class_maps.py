"""Class maps that no verb can read, or not so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.bad_input.case import NAMES, ONES, Case, cut, raster, text

VECTORIZE = "vectorize a.tif --out out.gpkg"


def class_maps() -> Iterator[Case]:
    """Class maps."""
    yield Case(
        what="255 that is a class or nodata",
        make=lambda: raster([[1, 255]] * 9),
        command=VECTORIZE,
        code=3,
        says=("255", "--nodata 255", "--crosswalk"),
    )
    yield Case(
        what="codes over 254",
        make=lambda: raster([[111, 311]] * 9, "uint16"),
        command=VECTORIZE,
        code=3,
        says=("311", "--crosswalk"),
    )
    yield Case(
        what="measurements instead of classes",
        make=lambda: raster([[0.25, 1]] * 9, "float32"),
        command=VECTORIZE,
        code=3,
        says=("0.25", "whole number"),
    )
    yield Case(
        what="several bands instead of one",
        make=lambda: raster(ONES),
        command=VECTORIZE,
        code=3,
        says=("--band 1",),
    )
    yield Case(
        what="a class map cut off",
        make=cut_blocks,
        command=VECTORIZE,
        code=3,
        says=("damaged", "a.tif"),
    )
    yield Case(
        what="a crosswalk without a value of the map",
        make=lambda: (raster([[111, 311]] * 9, "uint16"), text("w.yaml", "111: urban\n")),
        command=f"{VECTORIZE} --crosswalk w.yaml",
        code=3,
        says=("311 (9 pixels)",),
    )
    yield Case(
        what="a class that the map has not",
        command="vectorize BASE/map.tif --only forrest --out out.gpkg",
        code=3,
        says=("forrest", "forest"),
    )
    yield Case(
        what="maps on two grids",
        make=lambda: raster([[1, 2]] * 9),
        command="change BASE/map.tif a.tif --out out",
        code=3,
        says=("different grids", "--align nearest"),
    )
    yield Case(
        what="nothing to clean with",
        command="clean BASE/map.tif --out out.tif",
        code=2,
        says=("nothing to clean with",),
    )


def cut_blocks() -> None:
    raster(np.random.default_rng(1).integers(0, 9, (400, 400)), tags=NAMES)
    cut("a.tif", "a.tif", 0.5)
