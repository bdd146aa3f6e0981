"""Classes made of what a layer says, where nobody named them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from geoseg.errors import InputError
from geoseg.legend import NODATA, Legend, as_compared, is_ignored
from geoseg.truth.layer import TruthFile
from geoseg.raster.rules import is_null, read_crosswalk


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
        names = list(dict.fromkeys(str(t).strip() for t in crosswalk.values() if not is_ignored(t)))
        return _numbered(names, file)
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
    return _numbered(sorted(first for first, *_ in spellings.values()), file)


def _numbered(names: Sequence[str], file: TruthFile) -> Legend:
    if len(names) >= NODATA:
        raise InputError(
            f"{len(names)} classes are too many",
            where=file.path,
            why=f"a map holds {NODATA - 1}",
            hint="another field, or a crosswalk that merges them",
        )
    return Legend.of(dict(enumerate(names, start=1)))
