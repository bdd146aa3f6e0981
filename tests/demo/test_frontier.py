from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from geoseg.demo.frontier import DEMO_SEED, DEMO_SHAPE, Frontier, make_frontier
from geoseg.demo.landscape import BARE, BUILT_UP, CROPLAND, FOREST, PASTURE, ROAD, WATER
from geoseg.errors import UsageError
from geoseg.legend import NODATA


@pytest.fixture(scope="module")
def frontier() -> Frontier:
    return make_frontier(11, (601, 701))


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(frontier: Frontier) -> None:
    again, other = make_frontier(11, (601, 701)), make_frontier(12, (601, 701))
    for name in ("before", "after", "reference_before", "reference_after"):
        assert np.array_equal(getattr(frontier, name), getattr(again, name))
        assert not np.array_equal(getattr(frontier, name), getattr(other, name))


@settings(max_examples=12)
@given(seed=st.integers(0, 2**40), height=st.integers(64, 300), width=st.integers(64, 300))
def test_every_scene_is_whole(seed: int, height: int, width: int) -> None:
    f = make_frontier(seed, (height, width))
    assert f.grid.shape == (height, width)
    for image, reference in ((f.before, f.reference_before), (f.after, f.reference_after)):
        assert image.shape == (4, height, width) and image.dtype == np.uint16
        assert reference.shape == (height, width) and reference.dtype == np.uint8
        assert set(np.unique(reference)) <= {*f.legend.ids, NODATA}
        collar = reference == NODATA
        assert (image[:, collar] == 0).all(), "the collar is zero in every band"
        assert (image[:, ~collar] > 0).all(), "zero means nodata and nothing else"
        assert collar[0, 0] and collar[-1, -1] and not collar[height // 2, width // 2]
        assert image.max() <= 10_000


def test_every_class_is_there_in_plausible_shares(frontier: Frontier) -> None:
    for reference in (frontier.reference_before, frontier.reference_after):
        shares = np.bincount(reference.ravel(), minlength=256) / (reference != NODATA).sum()
        assert (shares[list(frontier.legend.ids)] > 0.001).all()
        assert 0.3 < shares[FOREST] < 0.85
        assert shares[ROAD] < 0.04 and shares[BUILT_UP] < 0.05 and shares[WATER] < 0.08
    assert sum(np.bincount(frontier.reference_after.ravel(), minlength=256)[[PASTURE, CROPLAND]]) > 0


def test_forest_is_lost_along_roads_and_does_not_come_back(frontier: Frontier) -> None:
    before, after = frontier.reference_before, frontier.reference_after
    known = (before != NODATA) & (after != NODATA)
    forest = known & (before == FOREST)
    lost = forest & (after != FOREST)
    regrown = known & (before != FOREST) & (after == FOREST)
    assert 0.02 < lost.sum() / forest.sum() < 0.3
    assert regrown.sum() < 0.001 * known.sum()
    from_cleared = ndimage.distance_transform_edt(forest)
    assert from_cleared[lost].mean() < 0.5 * from_cleared[forest & ~lost].mean()


def test_spectra_are_those_of_the_classes(frontier: Frontier) -> None:
    image, reference = frontier.after.astype(float) / 10_000, frontier.reference_after
    ndvi = (image[3] - image[2]) / (image[3] + image[2] + 1e-9)
    assert 0.7 < np.median(ndvi[reference == FOREST]) < 0.95
    assert np.median(ndvi[reference == WATER]) < 0
    assert np.median(ndvi[reference == BARE]) < np.median(ndvi[reference == PASTURE])
    assert np.median(image[2][reference == FOREST]) < 0.06


def test_the_reference_lies_exactly_on_the_image(frontier: Frontier) -> None:
    """A pixel-wise classifier agrees best with the reference as it is, worse with one moved by a pixel."""
    pixels, reference = frontier.before, frontier.reference_before
    inner = (slice(60, -60), slice(60, -60))
    x = pixels[:, *inner].reshape(4, -1).T[::3].astype(float)

    def agreement(rows: int, cols: int) -> float:
        moved = np.roll(reference, (rows, cols), (0, 1))[inner].ravel()[::3]
        return QuadraticDiscriminantAnalysis(reg_param=1e-3).fit(x, moved).score(x, moved)

    here = agreement(0, 0)
    assert here > 0.8
    assert all(agreement(r, c) < here for r, c in ((0, 1), (0, -1), (1, 0), (-1, 0)))


def test_the_dates_differ_in_light_and_share_the_land(frontier: Frontier) -> None:
    same = (frontier.reference_before == FOREST) & (frontier.reference_after == FOREST)
    before, after = (np.median(i[:, same], axis=1) for i in (frontier.before, frontier.after))
    assert (np.abs(before - after) > 2).any(), "haze or sun differ"
    assert (np.abs(before - after) < 0.35 * before).all()


def test_grid_is_utm_in_rondonia() -> None:
    grid = make_frontier(1, (64, 80)).grid
    assert grid.crs.to_epsg() == 32720
    assert (grid.transform.a, grid.transform.e) == (10.0, -10.0)
    west, south, east, north = grid.bounds
    assert 166_000 < west < east < 834_000 and 8_400_000 < south < north < 9_200_000


def test_demo_scene_has_prime_sides_and_no_training_seed() -> None:
    assert all(n % p for n in DEMO_SHAPE for p in range(2, int(n**0.5) + 1))
    assert DEMO_SEED == 2024


@pytest.mark.parametrize(("seed", "shape"), [(1, (63, 200)), (1, (200, 10)), (-1, (100, 100))])
def test_impossible_scenes_are_refused(seed: int, shape: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        make_frontier(seed, shape)


def test_frontier_is_a_plain_value(frontier: Frontier) -> None:
    assert replace(frontier, seed=5).seed == 5
