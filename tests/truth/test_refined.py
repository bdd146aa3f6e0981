"""Finer references under coarser pixels, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from geoseg.evaluation.verb import evaluate
from geoseg.geometry import Grid, Window
from geoseg.legend import Legend
from geoseg.raster.write import write_geotiff
from geoseg.truth.layer import TruthFile
from geoseg.truth.refined import open_refined

LEGEND = Legend.of({1: "forest", 2: "pasture", 3: "water"})
TRANSFORM = Affine(32, 0, 400_000, 0, -32, 9_000_000)


def write(path, labels, times=1):
    transform = TRANSFORM * Affine.scale(1 / times)
    grid = Grid(crs=CRS.from_epsg(32720), transform=transform, height=labels.shape[0], width=labels.shape[1])
    tags = {f"CLASS_{c.id}": c.name for c in LEGEND.classes}
    return write_geotiff(path, grid, labels, nodata=255, tags=tags)


def majority(fine, times):
    h, w = fine.shape[0] // times, fine.shape[1] // times
    parts = fine.reshape(h, times, w, times).transpose(0, 2, 1, 3).reshape(h, w, -1)
    votes = np.stack([(parts == v).sum(axis=-1) for v in (1, 2, 3)], axis=-1)
    return np.where(2 * votes.sum(-1) >= times**2, votes.argmax(-1) + 1, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    rng = np.random.default_rng(3)
    labels = rng.choice(np.array([1, 2, 3, 255], np.uint8), (96, 128), p=[0.4, 0.25, 0.2, 0.15])
    return labels, write(tmp_path_factory.mktemp("fine") / "fine.tif", labels, 8)


@given(st.integers(1, 7), st.integers(1, 9))
def test_majority_is_numpys_for_any_windows(fine, height, width):
    labels, path = fine
    grid = Grid(crs=CRS.from_epsg(32720), transform=TRANSFORM, height=12, width=16)
    truth = open_refined(TruthFile(path=path), grid, LEGEND)
    found = np.zeros(grid.shape, np.uint8)
    for window in grid.window.blocks(height, width):
        found[window.slices_in(grid.window)] = truth.read(window)
    assert truth.times == 8
    assert np.array_equal(found, majority(labels, 8))


def test_a_perfect_coarse_map_scores_all_by_majority_and_its_share_by_fraction(fine, tmp_path):
    labels, path = fine
    coarse = write(tmp_path / "map.tif", majority(labels, 8))
    assert evaluate(coarse, path, resample="majority").overall["overall_accuracy"] == 1
    assert evaluate(coarse, path).overall["overall_accuracy"] < 0.8
    found = evaluate(coarse, path, resample="fraction")
    mapped = np.kron(majority(labels, 8), np.ones((8, 8), np.uint8))
    known = (labels != 255) & (mapped != 255)
    assert found.counts.sum() == known.sum()
    assert found.overall["overall_accuracy"] == pytest.approx((labels == mapped)[known].mean())
    assert any("8 x 8 points" in note for note in found.notes)


def test_a_coarser_reference_is_read_as_ever(fine, tmp_path):
    rng = np.random.default_rng(5)
    coarse = write(tmp_path / "coarse.tif", rng.choice(np.array([1, 2], np.uint8), (12, 16)))
    finer = write(tmp_path / "finer.tif", rng.choice(np.array([1, 2], np.uint8), (48, 64)), 4)
    nearest, by_majority = (evaluate(finer, coarse, resample=r) for r in ("nearest", "majority"))
    assert np.array_equal(nearest.counts, by_majority.counts)


def test_of_points_that_do_not_fit_two_lie_in_every_pixel_of_the_reference(tmp_path):
    grid = Grid(crs=CRS.from_epsg(32720), transform=TRANSFORM, height=4, width=4)
    path = write(tmp_path / "odd.tif", np.ones((13, 13), np.uint8), 13 / 4)
    truth = open_refined(TruthFile(path=path), grid, LEGEND)
    assert truth.times == 8
    assert (truth.read(Window(0, 0, 4, 4)) == 1).all()
