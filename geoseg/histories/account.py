"""A series in numbers, and the tables of them that are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.geometry import HECTARE
from geoseg.histories.estimates import COLUMNS, Interval
from geoseg.histories.pixels import DEFINITIONS, Tally
from geoseg.histories.trajectories import Trajectories, bits_of, unpack
from geoseg.legend import Legend
from geoseg.tables import csv_text

UNKNOWN = "unknown"
_DIGITS = 6
Rows = list[list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All sums of a series.

    Attributes
    ----------
    legend, names
        Its classes, and its dates as tables call them.
    unit
        Square metres of a unit of area.
    tally
        Sums over pixels.
    estimates
        (estimate, low, high) hectares by position of the date and of the class, where a sample told them.
    edits
        (2, T, K, K): what the filter altered; see `geoseg.histories.chunk.Found`.
    common
        The trajectories with most area.
    distinct
        Number of distinct trajectories.
    """

    legend: Legend
    names: tuple[str, ...]
    unit: float
    tally: Tally
    estimates: Mapping[tuple[int, int], Interval]
    edits: NDArray[np.int64]
    common: Trajectories
    distinct: int

    def tables(self) -> dict[str, str]:
        """File name to CSV text."""
        found = {
            "areas.csv": self.areas(),
            "transitions.csv": self.transitions(),
            "trajectories.csv": self.trajectories(),
        }
        if self.tally.losses.any():
            found["losses.csv"] = self.losses()
        if self.edits.any():
            found["filter.csv"] = self.edited()
        return {name: csv_text(rows) for name, rows in found.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, and last what pixels without one are called."""
        return (*self.legend.names, UNKNOWN)

    @property
    def known(self) -> int:
        """Pixels that are known at some date."""
        return int(self.tally.changes.sum())

    def hectares(self, units: int | np.integer[Any]) -> float:
        """Hectares of units of area."""
        return round(float(units) * self.unit / HECTARE, _DIGITS)

    def areas(self) -> Rows:
        """Class by date."""
        ids = [*self.legend.ids, None]
        pixels, units = self.tally.classes
        nothing = [None] * len(COLUMNS) if self.estimates else []
        return [
            ["date", "class_id", "class", "pixels", "hectares", *(COLUMNS if self.estimates else ())],
            *(
                [
                    *(date, ids[k], name, int(pixels[t, k]), self.hectares(units[t, k])),
                    *self.estimates.get((t, k), nothing),
                ]
                for t, date in enumerate(self.names)
                for k, name in enumerate(self.classes)
                if pixels[:, k].any()
            ),
        ]

    def transitions(self) -> Rows:
        """From each date to the next, and from the first to the last."""
        head = ["from_date", "to_date", "from", "to", "kind", "pixels", "hectares"]
        return [head, *(row for t in range(len(self.names)) for row in self._transitions(t))]

    def _transitions(self, t: int) -> Iterator[list[Any]]:
        last = len(self.names) - 1
        dates = (self.names[t], self.names[t + 1]) if t < last else (self.names[0], self.names[last])
        if t == last == 1:
            return  # of two dates the first step is the whole
        pixels, units = self.tally.transitions[:, t]
        unknown = len(self.legend)
        for i, j in np.argwhere(pixels).tolist():
            kind = UNKNOWN if unknown in (i, j) else "unchanged" if i == j else "changed"
            yield [
                *dates, self.classes[i], self.classes[j], kind, int(pixels[i, j]), self.hectares(units[i, j])
            ]  # fmt: skip

    def losses(self) -> Rows:
        """First loss by date under every definition."""
        head = ["definition", "date", "pixels", "hectares", "pixels_dated_across_a_gap"]
        pixels, units, gaps = self.tally.losses
        return [
            head,
            *(
                [definition, date, int(pixels[d, t]), self.hectares(units[d, t]), int(gaps[d, t])]
                for d, definition in enumerate(DEFINITIONS)
                for t, date in enumerate(self.names)
                if t
            ),
        ]

    def trajectories(self) -> Rows:
        """The trajectories with most area, one column for each date; the rest in one row."""
        sequences = self.sequences()
        rest = self.known - int(self.common.pixels.sum())
        area = int(self.common.units.sum())
        rows: Rows = [["rank", "pixels", "hectares", "share", *self.names]]
        for rank, (pixels, units, sequence) in enumerate(
            zip(self.common.pixels, self.common.units, sequences, strict=True), 1
        ):
            share = round(int(pixels) / self.known, _DIGITS)
            rows.append([rank, int(pixels), self.hectares(units), share, *sequence])
        if rest:
            others = self.distinct - len(sequences)
            left = self.hectares(self.tally.known[0] - area)
            rows.append([f"{others} others", rest, left, round(rest / self.known, _DIGITS)])
        return rows

    def sequences(self) -> list[tuple[str, ...]]:
        """Class names of the trajectories in `common`, date by date."""
        classes = unpack(self.common.keys, len(self.names), bits_of(len(self.legend)))
        return [tuple(self.classes[k] for k in column) for column in classes.T]

    def edited(self) -> Rows:
        """What the filter altered: by date, class before and class after."""
        names = self.legend.names
        return [
            ["date", "from", "to", "pixels", "hectares"],
            *(
                [self.names[t], names[i], names[j], int(n), self.hectares(self.edits[1, t, i, j])]
                for (t, i, j), n in np.ndenumerate(self.edits[0])
                if n
            ),
        ]

    def to_json(self, definition: str, forests: Sequence[str]) -> dict[str, Any]:
        """What the report says of the numbers."""
        pixels, units, gaps = self.tally.losses[:, DEFINITIONS.index(definition)]
        (dips, spikes), (lost, gained) = self.tally.undone.tolist()
        return {
            "known_pixels": self.known,
            "trajectories": self.distinct,
            "stable_pixels": int(self.tally.changes[0]),
            "changes_per_pixel": self.tally.changes.tolist(),
            "forest_changes_per_pixel": self.tally.forest_changes.tolist(),
            "loss": {
                "of": list(forests),
                "definition": definition,
                "pixels": int(pixels.sum()),
                "hectares": self.hectares(units.sum()),
                "pixels_dated_across_a_gap": int(gaps.sum()),
                "pixels_by_definition": {
                    name: int(n)
                    for name, n in zip(DEFINITIONS, self.tally.losses[0].sum(axis=1), strict=True)
                },
            },
            "steps": {"losses": lost, "gains": gained, "undone_losses": dips, "undone_gains": spikes},
            "filtered_pixels": int(self.edits[0].sum()),
            "filtered_hectares": self.hectares(self.edits[1].sum()),
        }
