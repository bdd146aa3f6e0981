"""Classes made of what a layer says, where nobody named them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from geoseg.legend import NODATA, Legend, as_compared
from geoseg.raster.rules import is_null, legend_of_targets, numbered, read_crosswalk
from geoseg.truth.layer import TruthFile


def legend_of(values: Sequence[Any], file: TruthFile, notes: list[str]) -> Legend:
    """Legend of the crosswalk's targets, else of the values that occur.

    Whole numbers from 0 to 254 keep their number; other values are counted from 1 in order. Texts that differ
    in case or spaces alone are one class, named as most of them are, and a note says so.

    Raises
    ------
    InputError
        More classes than a map can hold.
    """
    crosswalk = read_crosswalk(file.crosswalk)
    if crosswalk is not None:
        return legend_of_targets(crosswalk, None, where=file.path)
    values = [str(v).lower() if isinstance(v, bool) else v for v in values]
    present = {v for v in values if not is_null(v)}
    if all(isinstance(v, (int, float)) and float(v).is_integer() and 0 <= v < NODATA for v in present):
        return Legend.of({int(v): f"class {int(v)}" for v in present})
    counted = Counter(str(v).strip() for v in values if not is_null(v))
    spellings: dict[str, list[str]] = {}
    for name in sorted(counted, key=lambda n: (-counted[n], n)):
        spellings.setdefault(as_compared(name), []).append(name)
    for first, *others in spellings.values():
        if others:
            notes.append(f"{', '.join(map(repr, others))} of {file.path.name} counted as {first!r}")
    return numbered(sorted(first for first, *_ in spellings.values()), where=file.path)
