"""Cleaning against plain definitions, and the same for every window that is wide enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as scipy_label

from geoseg.regions.clean import Cleaning
from tests.vectorization.maps import class_maps


def padded(a: np.ndarray) -> np.ndarray:
    return np.pad(a, 1, constant_values=255)


def cleaned(a: np.ndarray, cleaning: Cleaning) -> np.ndarray:
    return cleaning.apply(padded(a))[1:-1, 1:-1]


def regions(a: np.ndarray) -> list[np.ndarray]:
    """Mask of every 4-connected region."""
    masks = []
    for v in np.unique(a[a != 255]):
        labels, count = scipy_label(a == v)
        masks += [labels == k + 1 for k in range(count)]
    return masks


def border_with(mask: np.ndarray, other: np.ndarray) -> int:
    """Pixel edges between two masks."""
    edges = (mask[:, 1:] & other[:, :-1]).sum() + (mask[:, :-1] & other[:, 1:]).sum()
    return int(edges + (mask[1:] & other[:-1]).sum() + (mask[:-1] & other[1:]).sum())


def sieve(a: np.ndarray, least: int, small: str) -> np.ndarray:
    """The definition, slowly."""
    masks = regions(a)
    target = [int(a[m][0]) for m in masks]
    settled = [m.sum() >= least for m in masks]
    if small == "drop":
        target = [t if s else 255 for t, s in zip(target, settled, strict=True)]
    else:
        for _ in range(2):
            now = list(settled)
            for i, mask in enumerate(masks):
                if settled[i]:
                    continue
                votes = np.zeros(256, int)
                for j, other in enumerate(masks):
                    if settled[j]:
                        votes[target[j]] += border_with(mask, other)
                if votes.any():
                    target[i], now[i] = int(votes.argmax()), True
            settled = now
    out = np.full_like(a, 255)
    for mask, t in zip(masks, target, strict=True):
        out[mask] = t
    return out


@settings(max_examples=120)
@given(a=class_maps(), least=st.integers(1, 12), small=st.sampled_from(["merge", "drop"]))
def test_small_regions_against_the_definition(a: np.ndarray, least: int, small: str) -> None:
    made = cleaned(a, Cleaning(least_pixels=least, small=small))  # type: ignore[arg-type]
    assert np.array_equal(made, sieve(a, least, small))


@settings(max_examples=100)
@given(a=class_maps(), side=st.sampled_from([3, 5, 7]))
def test_majority_against_the_definition(a: np.ndarray, side: int) -> None:
    expected = a.copy()
    for r, c in np.argwhere(a != 255):
        k = side // 2
        part = a[max(r - k, 0) : r + k + 1, max(c - k, 0) : c + k + 1]
        votes = np.bincount(part[part != 255], minlength=255)
        expected[r, c] = a[r, c] if votes[a[r, c]] == votes.max() else votes.argmax()
    assert np.array_equal(cleaned(a, Cleaning(majority=side)), expected)


@settings(max_examples=100)
@given(a=class_maps(), fewer=st.integers(1, 9))
def test_holes_against_the_definition(a: np.ndarray, fewer: int) -> None:
    expected = a.copy()
    labels, count = scipy_label(a == 255)
    for k in range(count):
        hole = labels == k + 1
        at_edge = hole[[0, -1]].any() or hole[:, [0, -1]].any()
        if hole.sum() < fewer and not at_edge:
            votes = [border_with(hole, a == v) for v in range(255)]
            expected[hole] = int(np.argmax(votes))
    assert np.array_equal(cleaned(a, Cleaning(fill=fewer)), expected)


@settings(max_examples=150)
@given(
    a=class_maps(most=24),
    corner=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    cleaning=st.builds(
        Cleaning,
        majority=st.sampled_from([1, 3]),
        fill=st.integers(0, 3),
        least_pixels=st.integers(0, 4),
        small=st.sampled_from(["merge", "drop"]),
    ),
)
def test_a_window_with_its_reach_gives_what_the_whole_raster_gives(
    a: np.ndarray, corner: tuple[int, int], size: tuple[int, int], cleaning: Cleaning
) -> None:
    height, width = a.shape
    r0, c0 = min(corner[0], height - 1), min(corner[1], width - 1)
    r1, c1 = min(r0 + size[0], height), min(c0 + size[1], width)
    whole, n = cleaned(a, cleaning), cleaning.reach
    top, left = max(r0 - n, 0), max(c0 - n, 0)
    bottom, right = min(r1 + n, height), min(c1 + n, width)
    part = cleaning.apply(padded(a)[top : bottom + 2, left : right + 2])[1:-1, 1:-1]
    assert np.array_equal(part[r0 - top : r1 - top, c0 - left : c1 - left], whole[r0:r1, c0:c1])


def test_area_counts_instead_of_pixels() -> None:
    a = np.zeros((6, 6), np.uint8)
    a[1, 1:3] = 1
    a[4, 1:3] = 1
    areas = np.arange(1, 7).reshape(6, 1) * 10
    made = Cleaning(least_pixels=9, least_area=50).apply(padded(a), areas)[1:-1, 1:-1]
    assert not made[1].any()
    assert made[4].tolist() == [0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(("cleaning", "reach"), [(Cleaning(), 0), (Cleaning(majority=5, fill=4), 5)])
def test_reach(cleaning: Cleaning, reach: int) -> None:
    assert cleaning.reach == reach
