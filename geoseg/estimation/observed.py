"""A labelled sample of whatever origin, brought into the one form that is estimated from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from geoseg.accuracy.design_based import Sample, Strata, TwoStageSample
from geoseg.accuracy.estimates import Bounds, Labelled, bounds
from geoseg.errors import InputError
from geoseg.legend import Legend
from geoseg.sampling.layout import State, state_of

Drawing = Literal["simple", "stratified", "post-stratified", "two-stage", "clusters", "clusters in strata"]

SYSTEMATIC = "a systematic sample is estimated as a simple random one: its intervals are rather too wide"
"""No variance can be told of one lattice; that of a simple random sample is larger where near is alike."""

_EQUAL = 1e-9
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One unit of a sample.

    Attributes
    ----------
    id
        Unique.
    stratum
        Position of its stratum.
    map_class, label
        Class numbers in the map and in the reference; None where there is none.
    label_2, share
        The class of the rest of a plot, of which `label` covers a share; without a share, the class that it
        may be as well.
    unknown
        Why nothing could be said.
    order
        Place in the order of labelling.
    area
        Of the unit, in any unit of area.
    tile, tile_size
        The tile or cluster that it was drawn in, and how many units that has; all that are labelled, if None.
    """

    id: str
    stratum: int = 0
    map_class: int | None = None
    label: int | None = None
    label_2: int | None = None
    share: float | None = None
    unknown: str | None = None
    order: int | None = None
    area: float | None = None
    tile: int | None = None
    tile_size: float | None = None

    @property
    def state(self) -> State:
        """``labelled``, ``unknown``, or ``left`` where nothing has been said yet."""
        return state_of(self.label, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumSize:
    """A stratum: its name, how many units it has (infinity if not known), its hectares (None likewise)."""

    name: str
    units: float
    hectares: float | None = None


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A sample with its design.

    Attributes
    ----------
    rows
        Units, in the order of labelling where there is one.
    strata
        What they were drawn from; one of them for simple random sampling.
    drawing
        How.
    legend
        Classes of map and reference.
    tiles
        Tiles in each stratum, in two stages; infinity for clusters of which that is not known.
    mapped
        Hectares of each class on the map, by number, where these are known.
    notes
        What the user should know.
    origin
        Facts on the design for the output, JSON-ready.
    """

    rows: tuple[Row, ...]
    strata: tuple[StratumSize, ...]
    drawing: Drawing
    legend: Legend
    tiles: float | None = None
    mapped: Mapping[int, float] | None = None
    notes: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hectares(self) -> float | None:
        """Area of the population."""
        areas = [s.hectares for s in self.strata]
        return None if any(a is None for a in areas) else float(sum(a for a in areas if a is not None))


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What of a sample is estimated from.

    Attributes
    ----------
    labelled
        Units with a label.
    limits
        What the estimates would be over all that the unknown ones may be; None where there is none.
    states
        (labelled, unknown, left) units of each stratum; those left blank among labelled ones are unknown.
    either
        (n,) whether map and reference agree by either of two labels; None where no unit has two.
    notes
        What the user should know.
    """

    labelled: Labelled
    limits: Bounds | None
    states: tuple[tuple[int, int, int], ...]
    either: np.ndarray | None
    notes: tuple[str, ...]


def answered(observed: Observed, *, fpc: bool = True) -> Answered:
    """The part of a sample that has been labelled, itself a probability sample.

    Labelling goes by a random order, so what was labelled first is one; blanks before the last labelled unit
    are taken for non-response. Units without an order are non-response where they are blank.

    Raises
    ------
    InputError
        Nothing labelled, or a stratum with too few labels to say anything of it.
    """
    rows, notes = _asked(observed)
    known = [r for r in rows if r.state == "labelled"]
    if not known:
        raise InputError("no unit has a label", hint="label some, in the order of the column order")
    _require_enough(observed, known)
    silent = Counter(r.unknown or "left blank" for r in rows if r.state != "labelled")
    if silent:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in silent.most_common(_MOST_NAMED))
        notes.append(
            f"{sum(silent.values()):,} of {len(rows):,} units could not be labelled ({reasons}): they are "
            "left out as if missing at random; lowest and highest say what they could change at most"
        )
    positions = observed.legend.index_of()
    labelled = _labelled(observed, known, positions, fpc)
    limits = None
    if silent:
        everything = _labelled(observed, rows, positions, fpc)
        limits = bounds(everything, np.array([r.state != "labelled" for r in rows]))
    asked = Counter((r.stratum, "unknown" if r.state == "left" else r.state) for r in rows)
    drawn = Counter(r.stratum for r in observed.rows)
    states = tuple(
        (a := asked[h, "labelled"], b := asked[h, "unknown"], drawn[h] - a - b)
        for h in range(len(observed.strata))
    )
    two = any(r.label_2 is not None and r.share is None for r in known)
    either = np.array(
        [
            r.map_class is not None and r.map_class in {r.label, r.label_2 if r.share is None else None}
            for r in known
        ],
        float,
    )
    return Answered(
        labelled=labelled, limits=limits, states=states, either=either if two else None, notes=tuple(notes)
    )


def _asked(observed: Observed) -> tuple[list[Row], list[str]]:
    """Units that somebody was asked about: all, or those up to the last labelled one by order."""
    rows = list(observed.rows)
    blank = [r for r in rows if r.state == "left"]
    if not blank or any(r.order is None for r in rows):
        return rows, []
    last = max((r.order or 0 for r in rows if r.state != "left"), default=0)
    asked = [r for r in rows if (r.order or 0) <= last]
    if len(asked) == len(rows):
        return rows, []
    return asked, [
        f"{len(asked):,} of {len(rows):,} units have been looked at; labelling goes in random order, so they "
        "are a probability sample themselves, and intervals narrow as more are labelled"
    ]


def _require_enough(observed: Observed, known: Sequence[Row]) -> None:
    counts = Counter(r.stratum for r in known)
    for h, stratum in enumerate(observed.strata):
        n = counts[h]
        if n and observed.tiles is not None and len({r.tile for r in known if r.stratum == h}) == 1:
            raise InputError(
                f"stratum {stratum.name!r} has labels in one cluster alone",
                why="of one cluster no variance can be told, and none is not zero",
                hint="labels in more clusters of it, or a design that merges it with another",
            )
        if n == 0:
            raise InputError(
                f"stratum {stratum.name!r} has no label",
                why="its area would count for nothing",
                hint="label units of it (they come by order), or a design that merges it with another",
            )
        if n == 1 and stratum.units > 1:
            raise InputError(
                f"stratum {stratum.name!r} has one label",
                why="of one unit no variance can be told, and none is not zero",
                hint="label more units of it, or a design that merges it with another",
            )


def _labelled(observed: Observed, rows: Sequence[Row], positions: np.ndarray, fpc: bool) -> Labelled:
    classes, n = len(observed.legend), len(rows)
    mapped, truth = np.zeros((classes, n)), np.zeros((classes, n))
    for i, row in enumerate(rows):
        if row.map_class is not None:
            mapped[positions[row.map_class], i] = 1.0
        if row.state != "labelled" or row.label is None:
            continue
        truth[positions[row.label], i] = 1.0 if row.share is None else row.share
        if row.share is not None and row.label_2 is not None:
            truth[positions[row.label_2], i] += 1.0 - row.share
    return Labelled(sample=_sample(observed, rows, fpc), mapped=mapped, truth=truth)


def _sample(observed: Observed, rows: Sequence[Row], fpc: bool) -> Sample | TwoStageSample:
    own = np.array([np.nan if r.area is None else r.area for r in rows])
    areas = None if np.isnan(own).any() or np.ptp(own) <= _EQUAL * own.max() else own
    units = [s.units for s in observed.strata]
    known = observed.hectares is not None
    strata = Strata.of(units, [s.hectares for s in observed.strata] if known else None)
    if len(units) == 1 and not known:
        strata = Strata.of(units, [1.0])
    if observed.tiles is not None:
        labelled = Counter(r.tile for r in rows)
        tiles = {r.tile: r for r in rows}
        position = {tile: i for i, tile in enumerate(tiles)}
        return TwoStageSample(
            tile=np.array([position[r.tile] for r in rows], np.int64),
            sizes=np.array([row.tile_size or labelled[tile] for tile, row in tiles.items()], np.float64),
            tiles=Strata.of(np.full(len(units), observed.tiles), strata.areas),
            stratum=np.array([row.stratum for row in tiles.values()], np.int64),
            pixel_areas=areas,
            fpc=fpc,
        )
    return Sample.of_units(
        strata,
        [r.stratum for r in rows],
        pixel_areas=areas,
        fpc=fpc,
        post_stratified=observed.drawing == "post-stratified",
    )
