"""What each pixel of a series went through: one walk over its dates.

Dates at which a pixel is unknown are skipped: a change is counted between two known dates, however many lie
between, and belongs to the later of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from geoseg.kernels import kernel

DEFINITIONS = ("A", "A2", "B")
"""Of the first loss: from forest to something else; the same, of forest at every date until then; after two
dates of forest, and for two dates at least."""

NEVER, NO_DATA = 254, 255
"""In the place of a date's number: it did not happen, and the pixel is known at no date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Layers (n,) uint8 of n pixels; 255 where a pixel is known at no date.

    Attributes
    ----------
    loss
        Number of the date of the first loss, `NEVER` without one.
    gap
        Dates skipped as unknown just before it; 0 without a loss.
    after
        Position of the class at that date.
    last_change
        Number of the date of the last change of class, or `NEVER`.
    changes
        Changes of class.
    stable
        Position of the class that a pixel known twice never left; K, as of no class, where it changed.
    first, last
        Positions of the classes at the first and last known date.
    first_seen, last_seen
        Numbers of these dates.
    """

    loss: NDArray[np.uint8]
    gap: NDArray[np.uint8]
    after: NDArray[np.uint8]
    last_change: NDArray[np.uint8]
    changes: NDArray[np.uint8]
    stable: NDArray[np.uint8]
    first: NDArray[np.uint8]
    last: NDArray[np.uint8]
    first_seen: NDArray[np.uint8]
    last_seen: NDArray[np.uint8]


LAYERS = tuple(f.name for f in fields(Paths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums over pixels; the second axis of three is pixels, units of area, pixels dated across a gap.

    Attributes
    ----------
    classes
        (2, T, K + 1) int64: pixels and units of area by date and class, the last class is unknown.
    transitions
        (2, T, K + 1, K + 1) int64: from the class of date t to that of date t + 1; the last one is from the
        first date to the last.
    losses
        (3, definitions, T) int64: pixels, units and pixels across a gap, by definition and date.
    changes, forest_changes
        (T,) int64: pixels by number of changes of class, and of changes between forest and the rest.
    known
        (1,) int64: units of area of the pixels that are known at some date.
    undone
        (2, 2) int64: pixels with forest, other, forest at three known dates in a row, and with other, forest,
        other; then the losses and the gains between known dates, counted once for each change.
    """

    classes: NDArray[np.int64]
    transitions: NDArray[np.int64]
    losses: NDArray[np.int64]
    changes: NDArray[np.int64]
    forest_changes: NDArray[np.int64]
    known: NDArray[np.int64]
    undone: NDArray[np.int64]

    @classmethod
    def zero(cls, dates: int, classes: int) -> Tally:
        """Nothing counted."""
        k = classes + 1
        return cls(
            classes=np.zeros((2, dates, k), np.int64),
            transitions=np.zeros((2, dates, k, k), np.int64),
            losses=np.zeros((3, len(DEFINITIONS), dates), np.int64),
            changes=np.zeros(dates, np.int64),
            forest_changes=np.zeros(dates, np.int64),
            known=np.zeros(1, np.int64),
            undone=np.zeros((2, 2), np.int64),
        )

    def add(self, other: Tally) -> None:
        """Add another one's sums to these."""
        for field in fields(self):
            getattr(self, field.name)[...] += getattr(other, field.name)


def walk(
    classes: NDArray[np.uint8],
    areas: NDArray[np.int64],
    is_forest: NDArray[np.bool_],
    definition: str,
) -> tuple[Paths, Tally]:
    """(layers, sums) of n pixels.

    Parameters
    ----------
    classes
        (T, n) uint8: position of the class at each date, K for unknown.
    areas
        (n,) int64: area of each pixel, in units.
    is_forest
        (K + 1,) bool: the classes whose loss is sought.
    definition
        Which of `DEFINITIONS` the layer `loss` follows.
    """
    dates, n = classes.shape
    paths = Paths(**{name: np.full(n, NO_DATA, np.uint8) for name in LAYERS})
    tally = Tally.zero(dates, len(is_forest) - 1)
    _count(classes, areas, tally.classes, tally.transitions)
    layers = tuple(getattr(paths, name) for name in LAYERS)
    sums = tally.losses, tally.changes, tally.forest_changes, tally.known, tally.undone
    _walk(classes, areas, is_forest, DEFINITIONS.index(definition), layers, sums)
    return paths, tally


@kernel("u1[:,:], i8[:], i8[:,:,:], i8[:,:,:,:]")
def _count(classes, areas, by_class, transitions):  # type: ignore[no-untyped-def]
    """Add to the sums by class, and to those by the classes of two dates; see `Tally`."""
    dates, n = classes.shape
    for i in range(n):
        area = areas[i]
        for t in range(dates):
            here = classes[t, i]
            by_class[0, t, here] += 1
            by_class[1, t, here] += area
            before, after = (here, classes[t + 1, i]) if t + 1 < dates else (classes[0, i], here)
            transitions[0, t, before, after] += 1
            transitions[1, t, before, after] += area


@kernel(
    "u1[:,:], i8[:], b1[:], i8, (u1[:], u1[:], u1[:], u1[:], u1[:], u1[:], u1[:], u1[:], u1[:], u1[:]), "
    "(i8[:,:,:], i8[:], i8[:], i8[:], i8[:,:])",
)
def _walk(classes, areas, is_forest, definition, layers, sums):  # type: ignore[no-untyped-def]
    """Fill in the layers of `Paths`, in their order, and add to the sums of `Tally` that ask for the path."""
    loss, gap, after, last_change, changes, stable, first, last, first_seen, last_seen = layers
    losses, by_changes, by_forest_changes, known_units, undone = sums
    dates, n = classes.shape
    unknown = is_forest.shape[0] - 1
    when, skipped, became = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3, np.int64)
    for i in range(n):
        area = areas[i]
        when[:] = -1
        known = count = forest_count = np.int64(0)
        here = before = pending_class = np.int64(-1)
        here_at, pending, pending_gap = -1, -1, 0
        latest = -1
        always = True
        for t in range(dates):
            c = np.int64(classes[t, i])
            if c == unknown:
                continue
            known += 1
            forest = is_forest[c]
            if known == 1:
                first[i], first_seen[i] = c, t
            else:
                was_forest = is_forest[here]
                if c != here:
                    count += 1
                    latest = t
                if forest != was_forest:
                    forest_count += 1
                    undone[1, 0 if was_forest else 1] += 1
                if known > 2 and forest != was_forest and is_forest[before] == forest:
                    undone[0, 0 if forest else 1] += 1
                lost = was_forest and not forest
                missed = t - here_at - 1
                if lost and when[0] < 0:
                    when[0], skipped[0], became[0] = t, missed, c
                if lost and always and when[1] < 0:
                    when[1], skipped[1], became[1] = t, missed, c
                if pending >= 0 and not forest and when[2] < 0:
                    when[2], skipped[2], became[2] = pending, pending_gap, pending_class
                pending = -1
                if lost and known > 2 and is_forest[before]:
                    pending, pending_gap, pending_class = t, missed, c
            always = always and forest
            before, here, here_at = here, c, t
        if known == 0:
            continue
        known_units[0] += area
        by_changes[count] += 1
        by_forest_changes[forest_count] += 1
        for d in range(3):
            if when[d] >= 0:
                losses[0, d, when[d]] += 1
                losses[1, d, when[d]] += area
                losses[2, d, when[d]] += skipped[d] > 0
        last[i], last_seen[i] = here, here_at
        changes[i] = count
        last_change[i] = NEVER if latest < 0 else latest
        if known > 1:
            stable[i] = here if count == 0 else unknown
        gap[i] = 0
        loss[i] = NEVER
        if when[definition] >= 0:
            loss[i], gap[i], after[i] = when[definition], skipped[definition], became[definition]
