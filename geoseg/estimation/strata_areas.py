"""Sizes of strata from a file or mapping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.errors import InputError
from geoseg.estimation.observed import StratumSize
from geoseg.estimation.sheets import read_table
from geoseg.raster.rules import is_null
from geoseg.strict_yaml import read_yaml

_PIXELS = ("pixels", "units", "n", "count")
_AREAS = {
    "hectares": 1.0,
    "ha": 1.0,
    "area_ha": 1.0,
    "m2": 1e-4,
    "area_m2": 1e-4,
    "km2": 100.0,
    "area_km2": 100.0,
}


def read_strata_areas(source: Path | Mapping[Any, Any]) -> list[StratumSize]:
    """Strata of a YAML or mapping ``{name: hectares}`` or ``{name: {pixels: N, hectares: A}}``, or of a CSV.

    A CSV or Excel file has the name in its first column, and columns pixels or hectares (m2, km2) or both.

    Raises
    ------
    InputError
        A size that is no positive number, or none at all.
    """
    where = source if isinstance(source, Path) else None
    if isinstance(source, Path) and source.suffix.casefold() not in {".yaml", ".yml", ".json"}:
        sheet = read_table(source)
        nameless = sum(is_null(row[0]) for row in sheet.rows)
        if nameless:
            why = f"the first column, {sheet.names[0]!r}, is empty in {nameless} of {len(sheet)} rows"
            raise InputError("strata without a name", where=source, why=why)
        records: dict[str, Any] = {
            str(row[0]).strip(): dict(zip(sheet.names[1:], row[1:], strict=True)) for row in sheet.rows
        }
    else:
        records = {str(k): v for k, v in (read_yaml(source) if isinstance(source, Path) else source).items()}
    sizes = [_size(name, value, where) for name, value in records.items()]
    without = [s.name for s in sizes if s.hectares is None]
    if 0 < len(without) < len(sizes):
        raise InputError(f"no hectares of stratum {without[0]!r}", where=where, why="others have some")
    return sizes


def _size(name: str, value: Any, where: object) -> StratumSize:
    if not isinstance(value, Mapping):
        return StratumSize(name=name, units=math.inf, hectares=_positive(name, value, where))
    cells = {str(k).strip().casefold(): v for k, v in value.items() if not is_null(v)}
    pixels = next((cells[k] for k in _PIXELS if k in cells), None)
    area = next(((cells[k], factor) for k, factor in _AREAS.items() if k in cells), None)
    if pixels is None and area is None:
        raise InputError(
            f"no size of stratum {name!r}",
            where=where,
            why=f"found {', '.join(cells) or 'nothing'}",
            hint="pixels or hectares",
        )
    return StratumSize(
        name=name,
        units=math.inf if pixels is None else _positive(name, pixels, where),
        hectares=None if area is None else _positive(name, area[0], where) * area[1],
    )


def _positive(name: str, value: Any, where: object) -> float:
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"size {value!r} of stratum {name!r} is no positive number", where=where)
    return number
