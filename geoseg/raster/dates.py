"""The date of a map: from what the user says, from its name, from its folder's name, or from its tags."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from geoseg.errors import InputError, UsageError
from geoseg.raster.open import open_raster, safe_gdal

_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)(?:([-_.:]?)(0[1-9]|1[0-2])(?:\2(0[1-9]|[12]\d|3[01]))?)?(?=$|\D|T\d)"
)
_LIKE_A_DAY = re.compile(r"(?<!\d)(?:19|20)\d\d([-_.:]?)\d\d\1\d\d(?!\d)")
"""A day or what looks like one, as 2019-13-40 does."""
_TAGS = (
    "GEOSEG_DATE",
    "DATE",
    "ACQUISITION_DATE",
    "ACQUISITIONDATETIME",
    "DATE_ACQUIRED",
    "TIFFTAG_DATETIME",
)
"""Metadata items that may hold a date, the most telling first; the last often says when the file was made."""

_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MapDate:
    """When a map shows the ground: a day, or a month or a year whose day is not known.

    Attributes
    ----------
    last, first
        The last and the first day that it may be. A year means its 31 December where one day is needed.
    text
        As it is written: ``2001``, ``2001-07`` or ``2001-07-15``.
    """

    last: date
    first: date
    text: str

    @classmethod
    def parse(cls, given: Any) -> MapDate:
        """Date from text, a number like 2001 or 20010715, or a day; UsageError for anything else."""
        text = given.isoformat() if isinstance(given, date) else str(given).strip()
        found = _DATE.match(text)
        if found is None or found.end() != len(text.partition("T")[0].partition(" ")[0]):
            raise UsageError(f"{text!r} is no date", hint="a year, like 2001, or a day, like 2001-07-15")
        return cls._of(found)

    @classmethod
    def found_in(cls, text: str) -> list[MapDate]:
        """Every date that stands in a text, like a file's name; once each.

        InputError for what looks like a day and is none: its year alone would be another date.
        """
        for like in _LIKE_A_DAY.finditer(text):
            found = _DATE.match(text, like.start())
            if found is None or found.end() != like.end() or not _is_day(found):
                raise InputError(
                    f"{like[0]} is no day of the calendar",
                    where=text[:_LONGEST],
                    why="expected year, month, day",
                    hint="another name, or `dates=FILE.yaml` with the date of every map",
                )
        return list(dict.fromkeys(cls._of(m) for m in _DATE.finditer(text)))

    @classmethod
    def _of(cls, found: re.Match[str]) -> MapDate:
        year, month, day = (None if found[k] is None else int(found[k]) for k in (1, 3, 4))
        assert year is not None
        if day is not None and month is not None and not _is_day(found):
            raise UsageError(f"{found[0]!r} is no day of the calendar")
        parts = [found[1], *(f"{n:02}" for n in (month, day) if n is not None)]
        end = month or 12
        return cls(
            first=date(year, month or 1, day or 1),
            last=date(year, end, day or calendar.monthrange(year, end)[1]),
            text="-".join(parts),
        )

    @property
    def is_year(self) -> bool:
        """Whether only the year is known."""
        return len(self.text) == 4

    @property
    def years(self) -> float:
        """Years since the year 0, so that differences are years: of equal days whole numbers."""
        start, end = date(self.last.year, 1, 1).toordinal(), date(self.last.year + 1, 1, 1).toordinal()
        return self.last.year + (self.last.toordinal() - start) / (end - start)

    @property
    def number(self) -> int:
        """The date as a pixel value: 20010715."""
        return self.last.year * 10_000 + self.last.month * 100 + self.last.day


def date_of(path: Path, given: Mapping[Any, Any] | None = None) -> tuple[MapDate, str]:
    """(date of a raster, where it was found: ``given``, ``name``, ``folder`` or a tag's name).

    Parameters
    ----------
    path
        The raster.
    given
        File name (with or without its suffix or folder) to date, from the user.

    Raises
    ------
    UsageError
        `given` leaves the file out.
    InputError
        No date, or several in one name.
    """
    if given is not None:
        for key in (str(path), path.name, path.stem, f"{path.parent.name}/{path.name}"):
            if key in given:
                return MapDate.parse(given[key]), "given"
        raise UsageError(
            "`dates` leaves this map out", where=path, why=f"it has {', '.join(map(str, given))[:300]}"
        )
    for text, where in ((path.stem, "name"), (path.absolute().parent.name, "folder")):
        found = MapDate.found_in(text)
        if len(found) > 1:
            raise InputError(
                "several dates in the name",
                where=path,
                why=", ".join(d.text for d in found),
                hint="`dates=FILE.yaml` with the date of every map",
            )
        if found:
            return found[0], where
    return _of_tags(path)


def _of_tags(path: Path) -> tuple[MapDate, str]:
    with safe_gdal():
        dataset = open_raster(path)
        tags = {key.upper(): text for ns in ("IMAGERY", None) for key, text in dataset.tags(ns=ns).items()}
    for name in _TAGS:
        found = MapDate.found_in(tags.get(name, ""))
        if found:
            return found[0], name
    raise InputError(
        "the date of this map is not known",
        where=path,
        why="its name, its folder's and its tags hold none",
        hint="`dates=FILE.yaml` with the date of every map, like classes_a.tif: 2001-07-15",
    )


def _is_day(found: re.Match[str]) -> bool:
    if found[4] is None:
        return True
    return int(found[4]) <= calendar.monthrange(int(found[1]), int(found[3]))[1]
