"""Counting and drawing do not depend on how the map is read; a larger sample extends a smaller one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from geoseg.geometry import HECTARE, pixel_areas
from geoseg.raster.classmap import open_class_map
from geoseg.sampling.classes import unmerged
from geoseg.sampling.draw import permutation_prefix, places, unit_id
from geoseg.sampling.population import Buffer, Population, count_pixels
from tests.raster.makers import write

NAMES = {1: "forest", 2: "other", 3: "loss"}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    found = rng.choice([1, 2, 255], (90, 130), p=[0.6, 0.35, 0.05]).astype(np.uint8)
    found[20:24, 30:33] = found[89, 129] = found[60, 0] = 3
    return found


@pytest.fixture(scope="module")
def population(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Population:
    path = write(tmp_path_factory.mktemp("map") / "m.tif", pixels, nodata=255)
    opened = open_class_map(path, NAMES)
    return Population(map=opened, merged=unmerged(opened.legend), buffer=Buffer(pixels=5, around=3, within=1))


def by_hand(pixels: np.ndarray) -> np.ndarray:
    """Cells: classes less one, 3 for forest within 5 pixels of loss."""
    rows, cols = np.nonzero(pixels == 3)
    r, c = np.indices(pixels.shape)
    near = ((r[..., None] - rows) ** 2 + (c[..., None] - cols) ** 2 <= 25).any(-1)
    cells = pixels.astype(int) - 1
    cells[near & (pixels == 1)] = 3
    cells[pixels == 255] = 65_535
    return cells


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(7, 100), width=st.integers(7, 140))
def test_any_chunks_count_and_draw_alike(
    population: Population, pixels: np.ndarray, height: int, width: int
) -> None:
    truth = by_hand(pixels)
    whole = population.grid.window
    census = count_pixels(population, list(whole.blocks(height, width)), block=32)
    assert census.pixels.tolist() == [int((truth == c).sum()) for c in range(4)]
    one = count_pixels(population, [whole], block=32)
    for name in ("blocks", "cells", "counts", "units", "left_out"):
        assert np.array_equal(getattr(census, name), getattr(one, name))
    assert census.left_out[0].tolist() == [0, 0, int((truth == 65_535).sum())]
    areas = np.broadcast_to(pixel_areas(population.grid, whole), pixels.shape)
    for c in range(4):
        assert census.hectares[c] == pytest.approx(areas[truth == c].sum() / HECTARE, rel=1e-9)


def test_every_number_is_a_pixel_of_its_own(population: Population, pixels: np.ndarray) -> None:
    truth = by_hand(pixels)
    census = count_pixels(population, block=32)
    for cells in ([3], [2], [0, 1]):
        count = int(np.isin(truth, cells).sum())
        found = places(population, census, cells, range(count))
        assert {(p.row, p.col) for p in found} == set(
            zip(*(v.tolist() for v in np.nonzero(np.isin(truth, cells))), strict=True)
        )
        assert all(truth[p.row, p.col] == p.cell for p in found)
        backwards = places(population, census, cells, range(count)[::-1])
        assert backwards == found[::-1]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**40), population=st.integers(1, 10**12), data=st.data())
def test_a_larger_sample_extends_a_smaller_one(seed: int, population: int, data: st.DataObject) -> None:
    large = data.draw(st.integers(0, min(population, 300)))
    small = data.draw(st.integers(0, large))
    numbers = permutation_prefix(seed, "s", population, large)
    assert permutation_prefix(seed, "s", population, small) == numbers[:small]
    assert len(set(numbers)) == large
    assert all(0 <= n < population for n in numbers)


@pytest.mark.parametrize("population", [1, 7, 5000])
def test_a_stratum_taken_whole_keeps_its_order(population: int) -> None:
    numbers = permutation_prefix(5, "s", population, population)
    assert sorted(numbers) == list(range(population))
    assert permutation_prefix(5, "s", population, population // 2) == numbers[: population // 2]


def test_all_samples_are_as_likely() -> None:
    counts = np.zeros((5, 5, 5))
    for seed in range(3000):
        counts[tuple(permutation_prefix(seed, "s", 5, 3))] += 1
    assert (counts > 0).sum() == 60
    assert chisquare(counts[counts > 0]).pvalue > 1e-3


def test_streams_and_ids_differ_and_stay() -> None:
    assert permutation_prefix(1, "a", 1000, 5) != permutation_prefix(1, "b", 1000, 5)
    # numbers that must never change: a sample that was drawn has to be extended by later versions
    assert permutation_prefix(81, "loss", 10**6, 4) == GOLDEN
    assert unit_id(81, "loss", 0) == GOLDEN_ID
    assert len({unit_id(1, "a", r) for r in range(5000)}) == 5000


GOLDEN = [302323, 266466, 294372, 116595]
GOLDEN_ID = "tckdlwkbdrzx"
