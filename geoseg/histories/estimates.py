"""Areas that samples estimated, at the dates and of the classes of a series."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.errors import InputError
from geoseg.legend import Legend, as_compared
from geoseg.raster.dates import MapDate

Interval = tuple[float, float, float]
COLUMNS = {"estimate_ha": "area_ha", "low_ha": "area_ha_low", "high_ha": "area_ha_high"}
"""Columns in tables, and what they are called in estimates.json."""


def read_estimates(
    paths: Iterable[Path], dates: Sequence[MapDate], legend: Legend
) -> dict[tuple[int, int], Interval]:
    """(estimate, low, high) hectares by position of the date and of the class.

    Parameters
    ----------
    paths
        Files estimates.json of samples of one date each, which stands in the name of the file or its folder.
    dates, legend
        Of the series.

    Raises
    ------
    InputError
        No estimates, a date that is not known or without a map, or no class of the series.
    """
    found: dict[tuple[int, int], Interval] = {}
    classes = {as_compared(name): k for k, name in enumerate(legend.names)}
    for path in paths:
        at = _date(path, dates)
        own = {
            (at, classes[as_compared(str(c["class"]))]): c
            for c in _classes(path)
            if as_compared(str(c["class"])) in classes and c.get("area_ha") is not None
        }
        if not own:
            raise InputError(
                "estimates no class of this series in hectares",
                where=path,
                why=f"classes are {', '.join(legend.names)}",
            )
        found |= {key: _interval(c) for key, c in own.items()}
    return found


def _interval(record: Mapping[str, Any]) -> Interval:
    estimate, low, high = (float(record[name]) for name in COLUMNS.values())
    return estimate, low, high


def _classes(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes: list[dict[str, Any]] = [dict(c) for c in content["classes"] if "class" in c]
        if "design" in content and all(name in c for c in classes for name in COLUMNS.values()):
            return classes
        why = "not what sample estimate writes"
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = str(error)[:200]
    raise InputError("no estimates of a sample", where=path, why=why)


def _date(path: Path, dates: Sequence[MapDate]) -> int:
    """Position of the date that a file or its folder is called by."""
    named = MapDate.found_in(path.stem) or MapDate.found_in(path.absolute().parent.name)
    at = [i for i, date in enumerate(dates) if len(named) == 1 and date.last == named[0].last]
    if not at:
        raise InputError(
            "estimates of a date without a map" if named else "the date of these estimates is not known",
            where=path,
            why=f"dates are {', '.join(d.text for d in dates)}",
            hint="the date in the name of the file or of its folder, like estimates_2016.json",
        )
    return at[0]
