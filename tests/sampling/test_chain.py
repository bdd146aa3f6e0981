"""Every design, labelled from a reference that is known everywhere, estimates what is true of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

import geoseg
from geoseg.sampling.file import read_sample, update_answers
from tests.raster.makers import TRANSFORM, write

NAMES = {1: "stable forest", 2: "other", 3: "loss"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A map, its pixels, and a reference from which a tenth of them differ."""
    rng = np.random.default_rng(5)
    pixels = np.kron(rng.choice([1, 2], (20, 20), p=[0.7, 0.3]), np.ones((10, 10), int)).astype(np.uint8)
    pixels[40:70, 50:80] = 3
    pixels[:5] = 255
    reference = pixels.copy()
    wrong = rng.random(pixels.shape) < 0.1
    reference[wrong] = rng.choice([1, 2, 3], wrong.sum(), p=[0.5, 0.4, 0.1])
    tags = {f"CLASS_{i}": name for i, name in NAMES.items()}
    path = write(tmp_path_factory.mktemp("world") / "map.tif", pixels, nodata=255, tags=tags)
    return path, pixels, reference


@pytest.mark.parametrize(
    "options",
    [
        {"n": 500, "allocation": "equal"},
        {"n": 500, "buffer": 4},
        {"n": 500, "method": "simple"},
        {"n": 500, "method": "systematic"},
        {"n": 500, "method": "two-stage", "tile": 20, "tiles": 50},
    ],
    ids=["stratified", "buffer", "simple", "systematic", "two-stage"],
)
def test_designs_estimate_the_truth(
    world: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path, options: dict[str, Any]
) -> None:
    path, pixels, reference = world
    drawn = geoseg.sample_design(path, out=tmp_path / "s.gpkg", **options).path
    answers = {}
    for unit in read_sample(drawn).units:
        col, row = ~TRANSFORM @ shapely.from_wkb(unit.geometry).centroid.coords[0]
        answers[unit.id] = replace(unit.answer, label=int(reference[int(row), int(col)]))
    update_answers(drawn, answers, [])
    found = geoseg.sample_estimate(drawn)
    known = pixels != 255
    assert abs(found.overall["estimate"] - (pixels == reference)[known].mean()) < 3.5 * found.overall["se"]
    for row in found.per_class:
        number = next(i for i, name in NAMES.items() if name == row["class"])
        true = float((reference == number)[known].sum()) / 100
        half = (row["area_ha_high"] - row["area_ha_low"]) / 2
        assert abs(row["area_ha"] - true) < max(3.5 / 1.96 * half, 1e-6)
