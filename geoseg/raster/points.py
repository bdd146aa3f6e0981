"""Points in tables: CSV with columns of coordinates."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError, UsageError
from geoseg.tables import read_csv

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_DEGREES = (("lon", "lat"), ("longitude", "latitude"), ("lng", "lat"), ("long", "lat"))
_METRES = (("x", "y"), ("easting", "northing"))
_MOST_DEGREES = (360.0, 90.0)
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")


def read_table(file: Path, columns: Sequence[str] | None, encoding: str | None) -> GeoDataFrame:
    """Points of a table with columns lon and lat (degrees, WGS 84) or x and y (a CRS has to be given).

    The header's delimiter is a comma, a semicolon or a tab; beside semicolons a decimal comma will do.
    Columns of whole numbers are numbers, all others text; a code with a leading zero is text.

    Raises
    ------
    InputError
        No columns of coordinates, a row without them, degrees that are none, two columns of one name, text
        that cannot be decoded.
    UsageError
        An unknown column.
    """
    import geopandas
    import shapely

    rows, delimiter = _rows(file, encoding)
    header = [name.strip() for name in rows[0]] if rows else []
    pairs = {name.casefold(): i for i, name in enumerate(header)}
    found = next((p for p in (*_DEGREES, *_METRES) if p[0] in pairs and p[1] in pairs), None)
    if found is None:
        raise InputError(
            "a table without coordinates",
            where=file,
            why=f"columns are {', '.join(header[:20]) or 'none'}",
            hint="name them lon and lat, or x and y",
        )
    lines = [(i, row) for i, row in enumerate(rows[1:], 2) if any(cell.strip() for cell in row)]
    xy = np.array([_place(row, [pairs[n] for n in found], file, delimiter, i) for i, row in lines])
    body = [row for _, row in lines]
    if found in _DEGREES:
        _check_degrees(xy.reshape(-1, 2), file)
    missing = next((c for c in columns or () if c not in header), None)
    if missing is not None:
        raise UsageError(f"no field {missing!r}", where=file, why=f"fields are {', '.join(header)}")
    wanted = [n for n in header if n.casefold() not in found] if columns is None else list(columns)
    twice = next((name for name in wanted if name and header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}", where=file, hint="another name for one of them")
    values = {name: _typed([_cell(row, header.index(name)) for row in body]) for name in wanted}
    crs = "EPSG:4326" if found in _DEGREES else None
    return geopandas.GeoDataFrame(values, geometry=list(shapely.points(xy.reshape(-1, 2))), crs=crs)


def undecodable(file: Path, error: UnicodeDecodeError) -> InputError:
    """Error for text in another encoding than the file says."""
    return InputError(
        "text is not in the encoding that the file names",
        where=file,
        why=str(error),
        hint="`encoding=cp1252`, or whatever it was written in",
    )


def _rows(file: Path, encoding: str | None) -> tuple[list[list[str]], str]:
    try:
        text = file.read_text(encoding=encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        raise undecodable(file, error) from None
    try:
        return read_csv(text)
    except csv.Error as error:
        raise InputError("not a table", where=file, why=str(error)) from None


def _place(row: Sequence[str], at: Sequence[int], file: Path, delimiter: str, line: int) -> list[float]:
    texts = [_cell(row, i) or "" for i in at]
    try:
        place = [float(t.replace(",", ".") if delimiter != "," else t) for t in texts]
    except ValueError:
        place = [np.nan]
    if not np.isfinite(place).all():
        raise InputError(
            "a row without coordinates", where=file, why=f"row {line} holds {', '.join(texts)!r}"
        )
    return place


def _check_degrees(lonlat: NDArray[np.float64], file: Path) -> None:
    far = (np.abs(lonlat) > _MOST_DEGREES).any(axis=1)
    if far.any():
        lon, lat = lonlat[far][0]
        swapped = (np.abs(lonlat[:, ::-1]) <= _MOST_DEGREES).all()
        raise InputError(
            "columns of degrees hold something else",
            where=file,
            why=f"the first is lon {lon:g}, lat {lat:g}",
            hint="lon and lat the other way round" if swapped else "metres in columns called x and y",
        )


def _cell(row: Sequence[str], at: int) -> str | None:
    return row[at].strip() or None if at < len(row) else None


def _typed(cells: list[str | None]) -> list[Any]:
    if all(c is None or _WHOLE.fullmatch(c) for c in cells):
        return [None if c is None else int(c) for c in cells]
    return list(cells)
