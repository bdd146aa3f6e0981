"""What a sample's file holds: one frozen dataclass per layer, whose fields are the layer's columns.

The layers of a sample ``NAME.gpkg``:

``sample``
    What the interpreter sees and fills in: the squares of `Unit`.
``labels``
    What several interpreters say of one unit: `Label`; only where there are several.
``design``
    How each unit was drawn: `Drawn`. It is a table of its own, so that the form of ``sample`` cannot show it.
``strata``
    `Stratum`, among whose pixels the units were drawn.
``design_info``
    `DesignInfo`, as rows of name and value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from geoseg.legend import Legend

SAMPLE, LABELS, DESIGN, STRATA, INFO = "sample", "labels", "design", "strata", "design_info"
"""Names of the layers."""

UNKNOWN = ("no image", "cloud", "mixed", "cannot tell")
"""Reasons for which a unit has no label, as the form offers them; any other text will do as well."""

Method = Literal["stratified", "simple", "systematic", "two-stage"]
State = Literal["labelled", "unknown", "left"]


def state_of(label: int | None, unknown: str | None) -> State:
    """``labelled``, ``unknown`` where a reason is given, or ``left``, of a label and that reason."""
    if unknown is not None:
        return "unknown"
    return "left" if label is None else "labelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one interpreter says of one unit; None where nothing was said.

    Attributes
    ----------
    label
        Class number in the legend.
    label_2
        The class that it may be as well; with `share`, the class of the rest.
    share
        Of the plot that `label` covers, 0 to 1; None for all of it.
    unknown
        Why nothing can be said (`UNKNOWN`); it then is non-response, whatever `label` holds.
    edge
        ``y`` where the unit lies on the border of two classes, else ``n``.
    date_seen, image
        Of the picture that was looked at.
    confidence
        1 (a guess) to 3 (certain).
    interpreter
        Who says it; for several, who is to say it.
    when
        Date or time of the answer.
    comment
        Free text.
    """

    label: int | None = None
    label_2: int | None = None
    share: float | None = None
    unknown: str | None = None
    edge: str | None = None
    date_seen: str | None = None
    image: str | None = None
    confidence: int | None = None
    interpreter: str | None = None
    when: str | None = None
    comment: str | None = None

    @property
    def state(self) -> State:
        """``labelled``, ``unknown``, or ``left`` where nothing has been said yet."""
        return state_of(self.label, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A sampled pixel or plot: a row of ``sample``.

    Attributes
    ----------
    id
        Stable when the sample grows, and without a word of the stratum.
    order
        From 1, random over all strata: labelled in this order, the first units are a probability sample.
    psu
        Tile of the first stage; None without one.
    lon, lat
        Centre in degrees on WGS 84.
    geometry
        The outline, well-known binary in the map's CRS.
    answer
        The label, one for all interpreters.
    """

    id: str
    order: int
    psu: int | None = None
    lon: float
    lat: float
    geometry: bytes = field(repr=False)
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one of several interpreters says of a unit: a row of ``labels``."""

    id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """How a unit was drawn: a row of ``design``.

    Attributes
    ----------
    id
        Of the unit.
    stratum, rank
        Number of the stratum, and place from 0 in its random order: the first n ranks are a sample of n.
    map_class
        Class number of the pixel in the map, after merging by a strata file.
    p_inclusion
        Probability with which the unit is in the sample: n_h / N_h, or the product of both stages.
    weight
        1 / `p_inclusion`: pixels that the unit stands for.
    area_m2
        Geodesic area of its pixel.
    stage1_p, stage2_p
        Inclusion probabilities of its tile, and of the unit within it; None with one stage.
    """

    id: str
    stratum: int
    rank: int
    map_class: int
    p_inclusion: float
    weight: float
    area_m2: float
    stage1_p: float | None = None
    stage2_p: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Pixels among which units were drawn at random: a row of ``strata``.

    Attributes
    ----------
    stratum
        Number, from 1.
    name
        In words.
    pixels, hectares
        All of it: N_h, and its geodesic area A_h.
    n
        Units drawn.
    allocation
        How `n` was chosen.
    expected_share
        Expected share that the reference finds to be the stratum's own map class; None if nothing was
        expected.
    """

    stratum: int
    name: str
    pixels: int
    hectares: float
    n: int
    allocation: str
    expected_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapClass:
    """A class of the map among the population: number, N_k in pixels, geodesic hectares."""

    id: int
    pixels: int
    hectares: float


@dataclass(frozen=True, kw_only=True)
class DesignInfo:
    """The design as a whole: the rows of ``design_info``.

    Attributes
    ----------
    seed
        Of all random streams.
    method
        ``stratified``; ``simple``: at random from the whole population, one stratum; ``two-stage``: tiles at
        random, then units within them.
    unit
        ``pixel``, ``square K`` or ``circle K``: a plot around the drawn pixel, K pixels across.
    map, map_digest
        Name of the map, and what `map_digest` made of its content.
    grid
        `Grid.to_json` of the map.
    legend
        Classes of labels and of the map (after merging).
    classes
        Pixels and hectares of each of them in the population.
    version, date, command
        Of geoseg, of the drawing (ISO 8601), and the call that repeats it.
    notes
        What the reader of an estimate should know, like what was left out of the population.
    further
        Method-dependent facts, JSON-ready.
    """

    seed: int
    method: Method
    unit: str
    map: str
    map_digest: str
    grid: Mapping[str, Any]
    legend: Legend
    classes: tuple[MapClass, ...]
    version: str
    date: str
    command: str
    notes: tuple[str, ...] = ()
    further: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample: what was drawn, how, and what has been said of it.

    Attributes
    ----------
    units
        By `Unit.order`.
    labels
        Of several interpreters; empty where there is one.
    design
        Of the units, in the same order.
    strata
        By number.
    info
        The design as a whole.
    crs_wkt
        CRS of the geometries.
    """

    units: tuple[Unit, ...]
    labels: tuple[Label, ...] = ()
    design: tuple[Drawn, ...]
    strata: tuple[Stratum, ...]
    info: DesignInfo
    crs_wkt: str

    @property
    def legend(self) -> Legend:
        """Classes of labels and of the map."""
        return self.info.legend

    @cached_property
    def rows(self) -> tuple[tuple[Unit, Drawn], ...]:
        """Each unit beside how it was drawn."""
        return tuple(zip(self.units, self.design, strict=True))

    def in_stratum(self, stratum: int) -> Iterator[tuple[Unit, Drawn]]:
        """Units of one stratum."""
        return (row for row in self.rows if row[1].stratum == stratum)


def consensus(answers: list[Answer]) -> Answer:
    """What more than half of the interpreters say of a unit.

    It has no label where they do not agree, or while one of them has still to answer.
    """
    names = ", ".join(a.interpreter for a in answers if a.interpreter)
    open_ = Answer(interpreter=names or None)
    if any(a.state == "left" for a in answers):
        return open_
    votes = Counter((a.state, a.label if a.state == "labelled" else None) for a in answers)
    (winner, count), *_ = votes.most_common(1)
    if 2 * count <= len(answers):
        return open_
    state, label = winner
    if state == "unknown":
        return Answer(unknown=next(a.unknown for a in answers if a.unknown is not None), interpreter=names)
    agreeing = [a for a in answers if a.state == "labelled" and a.label == label]
    shares = [1.0 if a.share is None else a.share for a in agreeing]
    share = sum(shares) / len(shares)
    second = Counter(a.label_2 for a in agreeing).most_common(1)[0][0]
    return Answer(label=label, label_2=second, share=share if share < 1 else None, interpreter=names or None)
