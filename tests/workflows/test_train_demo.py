"""Scenes that workflows/train_demo.py draws: each seed on ground of its own, never the demo's."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio

from geoseg.demo.frontier import DEMO_SEED, make_frontier
from tests.workflows.scripts import load_script

SHAPE = (96, 128)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("train_demo")


def test_seeds_have_ground_of_their_own_and_both_dates(script: ModuleType, tmp_path: Path) -> None:
    for seed in (100, 101):
        script.draw(seed, tmp_path, SHAPE)
    names = sorted(p.name for p in (tmp_path / "scenes").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "labels").iterdir())
    assert names == ["100_after.tif", "100_before.tif", "101_after.tif", "101_before.tif"]
    with (
        rasterio.open(tmp_path / "scenes/100_after.tif") as one,
        rasterio.open(tmp_path / "scenes/101_before.tif") as other,
    ):
        assert np.array_equal(one.read(), make_frontier(100, SHAPE).after)
        assert one.bounds.right < other.bounds.left or other.bounds.right < one.bounds.left
    with rasterio.open(tmp_path / "labels/100_after.tif") as labels:
        assert np.array_equal(labels.read(1), make_frontier(100, SHAPE).reference_after)


def test_the_demo_s_own_scene_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="demo's own"):
        script.draw(DEMO_SEED, tmp_path, SHAPE)
    assert not any(tmp_path.iterdir())
