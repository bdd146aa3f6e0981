"""Steps against plain definitions, and the same for every cut into chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.ndimage import label as scipy_label

from geoseg.cleaning.steps import Steps
from geoseg.regions.sieve import Seams, Sieve, SieveJoin
from tests.outlines.maps import class_maps


def sieved(
    a: np.ndarray, sieve: Sieve, rows: int = 99, cols: int = 99, areas: np.ndarray | None = None
) -> np.ndarray:
    """A map sieved in chunks; what each makes of the pixels around it has to fit its neighbours."""
    height, width = a.shape
    rows, cols = max(rows, -(-height // 9)), max(cols, -(-width // 9))  # each chunk takes a millisecond
    padded = np.pad(a, 1, constant_values=255)
    chunks = []
    for r in range(0, height, rows):
        for c in range(0, width, cols):
            h, w = min(rows, height - r), min(cols, width - c)
            seams = Seams(top=r > 0, bottom=r + h < height, left=c > 0, right=c + w < width)
            part = padded[r : r + h + 2, c : c + w + 2]
            chunks.append((r, c, seams, sieve.sift(part, seams, None if areas is None else areas[r : r + h])))
    join, across = SieveJoin(sieve), -(-width // cols)
    for k in range(0, len(chunks), across):
        join.add_row([sifted.undecided(seams) for _, _, seams, sifted in chunks[k : k + across]])
    out = np.full_like(padded, 255)
    painted = []
    for (r, c, _, sifted), patch in zip(chunks, join.patches(), strict=True):
        made = sifted.painted(patch)
        painted.append((r, c, made))
        out[r + 1 : r + made.shape[0] - 1, c + 1 : c + made.shape[1] - 1] = made[1:-1, 1:-1]
    for r, c, made in painted:
        assert np.array_equal(made, out[r : r + made.shape[0], c : c + made.shape[1]])
    return out[1:-1, 1:-1]


def regions(a: np.ndarray) -> list[np.ndarray]:
    """Mask of every 4-connected region."""
    masks = []
    for v in np.unique(a[a != 255]):
        labels, count = scipy_label(a == v)
        masks += [labels == k + 1 for k in range(count)]
    return masks


def borders(regions: np.ndarray, count: int) -> np.ndarray:
    """(count, count) pixel edges between regions numbered from 0; -1 is none."""
    found = np.zeros((count + 1, count + 1), int)
    for one, other in ((regions[:, 1:], regions[:, :-1]), (regions[1:], regions[:-1])):
        np.add.at(found, (one, other), 1)
        np.add.at(found, (other, one), 1)
    return found[:count, :count]


def sieve_by_definition(a: np.ndarray, least: int, small: str) -> np.ndarray:
    """The definition, slowly."""
    masks = regions(a)
    numbered = np.full(a.shape, -1)
    for i, mask in enumerate(masks):
        numbered[mask] = i
    target = np.array([a[m][0] for m in masks], int)
    settled = np.array([m.sum() >= least for m in masks], bool)
    if small == "drop":
        target[~settled] = 255
    else:
        shared = borders(numbered, len(masks))
        for _ in range(16):
            now = settled.copy()
            for i in np.flatnonzero(~settled):
                votes = np.bincount(target[settled], shared[i][settled], minlength=256)
                if votes.any():
                    target[i], now[i] = int(votes.argmax()), True
            settled = now
    out = np.full_like(a, 255)
    for mask, t in zip(masks, target, strict=True):
        out[mask] = t
    return out


CHUNKS = {"rows": st.integers(1, 15), "cols": st.integers(1, 15)}


@st.composite
def crowded_maps(draw: st.DrawFn) -> np.ndarray:
    """Maps of many small regions, where what becomes of one depends on others far away."""
    wide = st.tuples(st.integers(1, 3), st.just(60))
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)) | wide)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    a = rng.choice(np.array([0, 1, 2, 3, 1, 1], np.uint8), shape)
    a[rng.random(shape) < draw(st.sampled_from([0.0, 0.1]))] = 255
    return np.kron(a, np.ones((2, 3), np.uint8)) if draw(st.booleans()) else a


@settings(max_examples=100)
@given(
    a=class_maps() | crowded_maps(),
    least=st.integers(1, 40),
    small=st.sampled_from(["merge", "drop"]),
    **CHUNKS,
)
def test_small_regions_against_the_definition(
    a: np.ndarray, least: int, small: str, rows: int, cols: int
) -> None:
    made = sieved(a, Sieve(kind=small, least=least), rows, cols)  # type: ignore[arg-type]
    assert np.array_equal(made, sieve_by_definition(a, least, small))


@settings(max_examples=100)
@given(a=class_maps(), side=st.sampled_from([3, 5, 7]))
def test_majority_against_the_definition(a: np.ndarray, side: int) -> None:
    expected = a.copy()
    for r, c in np.argwhere(a != 255):
        k = side // 2
        part = a[max(r - k, 0) : r + k + 1, max(c - k, 0) : c + k + 1]
        votes = np.bincount(part[part != 255], minlength=255)
        expected[r, c] = a[r, c] if votes[a[r, c]] == votes.max() else votes.argmax()
    assert np.array_equal(Steps(majority=side).filtered(a), expected)


@settings(max_examples=150)
@given(a=class_maps(), fewer=st.integers(1, 30), **CHUNKS)
def test_holes_against_the_definition(a: np.ndarray, fewer: int, rows: int, cols: int) -> None:
    expected = a.copy()
    labels, count = scipy_label(a == 255)
    for k in range(count):
        hole = labels == k + 1
        at_edge = hole[[0, -1]].any() or hole[:, [0, -1]].any()
        if hole.sum() < fewer and not at_edge:
            sides = [np.roll(hole, step, axis) & ~hole for step in (1, -1) for axis in (0, 1)]
            votes = sum(np.bincount(a[side], minlength=255) for side in sides)
            expected[hole] = int(np.argmax(votes))
    assert np.array_equal(sieved(a, Sieve(kind="fill", least=fewer), rows, cols), expected)


def fits(mask: np.ndarray, unknown: np.ndarray, side: int) -> np.ndarray:
    """scipy's opening of a mask in a plane where all that is unknown may belong to it."""
    square = np.ones((side, side), bool)
    plane = np.pad(mask | unknown, 2 * side, constant_values=True)
    opened = binary_dilation(binary_erosion(plane, square, border_value=1), square)
    return opened[2 * side : -2 * side, 2 * side : -2 * side]


def most_frequent(a: np.ndarray, usable: np.ndarray, r: int, c: int, side: int) -> int | None:
    """Class that occurs most among usable pixels of the window around (r, c)."""
    k = side // 2
    window = np.s_[max(r - k, 0) : r + k + 1, max(c - k, 0) : c + k + 1]
    votes = np.bincount(a[window][usable[window]], minlength=256)
    return int(votes.argmax()) if votes.any() else None


SIDES = st.dictionaries(st.integers(0, 2), st.sampled_from([1, 3, 5]), max_size=3)


@settings(max_examples=200)
@given(a=class_maps(), sides=SIDES)
def test_opening_against_scipy(a: np.ndarray, sides: dict[int, int]) -> None:
    taken = np.zeros(a.shape, bool)
    for v, side in sides.items():
        taken |= (a == v) & ~fits(a == v, a == 255, side)
    expected = a.copy()
    for r, c in np.argwhere(taken):
        best = most_frequent(a, ~taken & (a != 255) & (a != a[r, c]), r, c, sides[a[r, c]])
        expected[r, c] = a[r, c] if best is None else best
    assert np.array_equal(Steps(opening=tuple(sides.items())).filtered(a), expected)


@settings(max_examples=200)
@given(a=class_maps(), sides=SIDES)
def test_closing_against_scipy(a: np.ndarray, sides: dict[int, int]) -> None:
    # closing is opening of the complement (duality); the unknown belongs to that
    claims = {
        v: (a != v) & (a != 255) & ~np.isin(a, list(sides)) & ~fits((a != v) & (a != 255), a == 255, side)
        for v, side in sides.items()
    }
    expected = a.copy()
    for r, c in np.argwhere(np.any([*claims.values(), np.zeros(a.shape, bool)], axis=0)):
        claimants = [v for v, claim in claims.items() if claim[r, c]]
        expected[r, c] = most_frequent(a, np.isin(a, claimants), r, c, max(sides.values()))
    assert np.array_equal(Steps(closing=tuple(sides.items())).filtered(a), expected)


def test_what_opening_and_closing_are_for() -> None:
    a = np.zeros((9, 12), np.uint8)
    a[2:7, 2:7] = 1  # a building
    a[4, 7:11] = 1  # with a spur
    made = Steps(opening=((1, 3),)).filtered(a)
    assert made.sum() == 25
    assert not made[4, 7:11].any()
    road = np.zeros((9, 12), np.uint8)
    road[4] = 2
    road[4, 5] = 0
    assert (Steps(closing=((2, 3),)).filtered(road)[4] == 2).all()


@settings(max_examples=150)
@given(
    a=class_maps(most=24),
    corner=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    cleaning=st.builds(
        Steps,
        majority=st.sampled_from([1, 3]),
        opening=st.sampled_from([(), ((0, 3),), ((0, 3), (1, 3), (2, 5))]),
        closing=st.sampled_from([(), ((1, 3),), ((0, 3), (2, 3))]),
    ),
)
def test_a_window_with_its_reach_gives_what_the_whole_raster_gives(
    a: np.ndarray, corner: tuple[int, int], size: tuple[int, int], cleaning: Steps
) -> None:
    height, width = a.shape
    r0, c0 = min(corner[0], height - 1), min(corner[1], width - 1)
    r1, c1 = min(r0 + size[0], height), min(c0 + size[1], width)
    whole, n = cleaning.filtered(a), cleaning.reach
    top, left = max(r0 - n, 0), max(c0 - n, 0)
    part = cleaning.filtered(a[top : min(r1 + n, height), left : min(c1 + n, width)])
    assert np.array_equal(part[r0 - top : r1 - top, c0 - left : c1 - left], whole[r0:r1, c0:c1])


@pytest.mark.parametrize("cols", [99, 7, 1])
def test_a_heap_of_small_regions_is_eaten_up_from_its_side(cols: int) -> None:
    heap = np.arange(12) % 2 + 1  # no two neighbours alike, none touching a large region but the first
    a = np.r_[np.zeros(9, int), heap][None].astype(np.uint8)
    assert not sieved(a, Sieve(kind="merge", least=5), 99, cols).any()
    alone = heap[None].astype(np.uint8)
    assert np.array_equal(sieved(alone, Sieve(kind="merge", least=5), 99, cols), alone)


@pytest.mark.parametrize("rows", [99, 2, 1])
def test_area_counts_instead_of_pixels(rows: int) -> None:
    a = np.zeros((6, 6), np.uint8)
    a[1, 1:3] = 1
    a[4, 1:3] = 1
    areas = np.arange(1, 7).reshape(6, 1) * 10
    made = sieved(a, Sieve(kind="merge", least=50, by_area=True), rows, 4, areas)
    assert not made[1].any()
    assert made[4].tolist() == [0, 1, 1, 0, 0, 0]


def test_a_chunk_hands_on_only_what_it_cannot_decide() -> None:
    rng = np.random.default_rng(0)
    a = np.zeros((402, 402), np.uint8)
    a[::4, ::4] = rng.integers(1, 4, a[::4, ::4].shape)
    seams = Seams(top=True, bottom=True, left=True, right=True)
    sieve = Sieve(kind="merge", least=5)
    sifted = sieve.sift(a, seams)
    assert len(sifted.since) > 10_000
    assert len(sifted.undecided(seams).label) < 500
    assert len(sieve.sift(a, Seams()).undecided(Seams()).label) == 0  # a scene of one chunk
