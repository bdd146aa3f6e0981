"""Columns that came with a layer and go on with its answers: names that are free, types every format has."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from geoseg.writers.layer import GEOMETRY

_TAKEN = ("fid", "geom", GEOMETRY, "ogc_fid")


def free_names(*lists: Iterable[str]) -> list[dict[str, str]]:
    """For each list its names, each with one that no format and none before it uses."""
    taken = {name.casefold() for name in _TAKEN}
    found = []
    for names in lists:
        free: dict[str, str] = {}
        for name in names:
            free[name] = name
            while free[name].casefold() in taken:
                free[name] += "_"
            taken.add(free[name].casefold())
        found.append(free)
    return found


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Type in which a column that came along is written: numbers and texts, which every format has."""
    if pa.types.is_boolean(kind):
        return pa.int32()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.string()


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column in that type; as text where it cannot be cast."""
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
