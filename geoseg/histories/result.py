"""What a series gives back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.legend import Legend

REPORT = "series.json"

RULES = {
    "unknown": "dates at which a pixel has no class are skipped: a change is counted between two known dates "
    "and belongs to the later one; gap says how many dates were skipped",
    "A": "first loss: the first date at which a pixel is no forest after a known date at which it was",
    "A2": "first loss of what was forest at every known date until then",
    "B": "first loss after two known dates of forest, and followed by another known date without forest",
    "first_loss.tif, last_change.tif": "the year, or the day as 20210715 where years have several; 0: never",
    "stable.tif": "the class of pixels that have one class at all known dates, two at least",
    "transitions": "of pixels known at both dates by class; kind unknown where one date has no class",
    "hectares": "geodesic area of every pixel on the ellipsoid of the maps' CRS, summed",
}
"""The rules in words, as they stand in every series.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A finished series.

    Attributes
    ----------
    out
        Folder with its files.
    content
        What series.json says.
    files
        Names of the files in the folder.
    fresh
        False where everything was already there and only checked.
    notes
        What the user should know.
    """

    out: Path
    content: Mapping[str, Any]
    files: tuple[str, ...]
    fresh: bool
    notes: tuple[str, ...]

    @classmethod
    def read(cls, out: Path, files: tuple[str, ...], *, fresh: bool) -> Series:
        """The series in a folder."""
        content = json.loads((out / REPORT).read_text(encoding="utf-8"))
        return cls(out=out, content=content, files=files, fresh=fresh, notes=tuple(content["notes"]))

    @property
    def dates(self) -> tuple[str, ...]:
        """Dates of the maps, as tables call them."""
        return tuple(date["name"] for date in self.content["dates"])

    @property
    def legend(self) -> Legend:
        """Classes of all dates."""
        return Legend.from_json(self.content["legend"])

    @property
    def loss(self) -> Mapping[str, Any]:
        """First loss in pixels and hectares."""
        found: Mapping[str, Any] = self.content["loss"]
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-ready."""
        return {**self.content, "out": str(self.out), "files": list(self.files), "fresh": self.fresh}
