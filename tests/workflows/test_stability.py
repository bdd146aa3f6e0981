"""Flips between dates: counted where both references agree, and away from their edges."""

from __future__ import annotations

import numpy as np

from tests.workflows.scripts import load_script

stability = load_script("stability")


def halves(height: int, width: int, at: int) -> np.ndarray:
    """Class 1 to the left of a column, 2 from it on."""
    return np.repeat((1 + (np.arange(width) >= at))[None], height, axis=0).astype(np.uint8)


def test_only_what_the_references_agree_on_is_compared() -> None:
    before, after = halves(20, 30, 10), halves(20, 30, 14)  # classes change in columns 10 to 13
    maps = before.copy(), before.copy()
    maps[1][:, 2] = 2  # flips: one column in what stays, one in what changes, one near an edge
    maps[1][:, [11, 15]] = 1
    compared, flipped = stability.flips(maps, (before, after), away=2)
    # two pixels from the border of either date: columns 0 to 7, and 16 to 29
    assert (compared, flipped) == (20 * 22, 20)


def test_what_has_no_class_is_left_out() -> None:
    reference = np.full((12, 12), 1, np.uint8)
    reference[:4] = 255
    maps = np.full((12, 12), 1, np.uint8), np.full((12, 12), 2, np.uint8)
    maps[1][:, 0] = 255
    assert stability.flips(maps, (reference, reference), away=0) == (8 * 11, 8 * 11)


def test_rows_have_accuracy_flips_and_means() -> None:
    reference = np.full((10, 10), 1, np.uint8)
    wrong = reference.copy()
    wrong[:5] = 2
    rows = stability.rows_of([("a", reference, reference), ("b", wrong, reference)], away=1)
    assert rows == [["a", 100.0, "", ""], ["b", 50.0, 100, 50.0], ["mean", 75.0, "", 50.0]]
