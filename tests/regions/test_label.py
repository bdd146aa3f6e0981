"""Labels and measures of regions against scikit-image, and joins over seams."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as skimage_label
from skimage.measure import regionprops

from geoseg.regions.join import OpenRegions, RegionJoin
from geoseg.regions.label import borders_of, label_chunk
from tests.outlines.maps import class_maps


def expand(runs: object, height: int, width: int) -> np.ndarray:
    """Label of every pixel, from runs."""
    out = np.empty((height, width), np.int64)
    for r in range(height):
        first, end = runs.row_start[r], runs.row_start[r + 1]  # type: ignore[attr-defined]
        stops = [*runs.start[first + 1 : end], width]  # type: ignore[attr-defined]
        for k, stop in zip(range(first, end), stops, strict=True):
            out[r, runs.start[k] : stop] = runs.label[k]  # type: ignore[attr-defined]
    return out


def oracle(a: np.ndarray) -> np.ndarray:
    """scikit-image's 4-connected labels from 1, in order of first pixel; 0 for nodata."""
    return skimage_label(a.astype(np.int32) + 1, background=256, connectivity=1)


@settings(max_examples=150)
@given(a=class_maps())
def test_labels_equal_scikit_image(a: np.ndarray) -> None:
    runs, _ = label_chunk(np.pad(a, 1, constant_values=255), row=0, col=0, scene_width=a.shape[1])
    assert np.array_equal(expand(runs, *a.shape) + 1, oracle(a))


@settings(max_examples=100)
@given(a=class_maps(), seed=st.integers(0, 99), by_row=st.booleans())
def test_measures_equal_scikit_image(a: np.ndarray, seed: int, by_row: bool) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 101, a.shape).astype(np.uint8)
    confidence[rng.random(a.shape) < 0.2] = 255
    areas = rng.integers(1, 1000, (a.shape[0], 1 if by_row else a.shape[1]))
    _, regions = label_chunk(
        np.pad(a, 1, constant_values=255),
        row=7,
        col=3,
        scene_width=50,
        areas=areas,
        confidence=confidence,
    )
    labels = oracle(a)
    for region, props in zip(regions, regionprops(labels), strict=True):
        mask = labels == props.label
        known = confidence[mask & (confidence != 255)]
        _, c0, r1, c1 = props.bbox
        first = props.coords[0]
        assert region["pixels"] == props.num_pixels
        assert region["class_id"] == a[mask][0]
        assert region["area"] == np.broadcast_to(areas, a.shape)[mask].sum()
        assert region["first"] == (first[0] + 7) * 50 + first[1] + 3
        assert (region["row_end"], region["col"], region["col_end"]) == (r1 + 7, c0 + 3, c1 + 3)
        assert (region["confident"], region["confidence"]) == (known.size, known.sum())
        assert region["least"] == (known.min() if known.size else 255)
        assert not region["is_open"]


@settings(max_examples=80)
@given(a=class_maps(), rows=st.integers(1, 9), cols=st.integers(1, 9))
def test_joined_regions_are_those_of_the_whole(a: np.ndarray, rows: int, cols: int) -> None:
    height, width = a.shape
    padded = np.pad(a, 1, constant_values=255)
    join, found = RegionJoin(), []
    for r in range(0, height, rows):
        row = []
        for c in range(0, width, cols):
            h, w = min(rows, height - r), min(cols, width - c)
            part = padded[r : r + h + 2, c : c + w + 2].copy()
            runs, regions = label_chunk(part, row=r, col=c, scene_width=width)
            is_open = regions["is_open"]
            rank = np.where(is_open, np.cumsum(is_open) - 1, -1).astype(np.int32)
            row.append(OpenRegions(regions=regions[is_open], borders=borders_of(part, runs, rank)))
            found.append(regions[~is_open])
        joined = join.add_row(row)
        found.append(joined.finished)
    assert joined.still_open == 0
    made = np.sort(np.concatenate(found), order="first")
    _, expected = label_chunk(padded, row=0, col=0, scene_width=width)
    assert np.array_equal(made, expected)


def test_a_region_stays_open_only_while_it_reaches_over_the_seam() -> None:
    a = np.array([[1, 0], [1, 0], [0, 0]], np.uint8)
    padded = np.pad(a, 1, constant_values=255)
    join = RegionJoin()
    open_after = []
    for r in range(3):
        runs, regions = label_chunk(padded[r : r + 3], row=r, col=0, scene_width=2)
        is_open = regions["is_open"]
        rank = np.where(is_open, np.cumsum(is_open) - 1, -1).astype(np.int32)
        borders = borders_of(padded[r : r + 3], runs, rank)
        open_after.append(join.add_row([OpenRegions(regions=regions[is_open], borders=borders)]).still_open)
    assert open_after == [2, 1, 0]
