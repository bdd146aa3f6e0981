"""Tables of labelled units: CSV, Excel, and the attributes of points or polygons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.estimation.job import EstimateJob
from geoseg.raster.georeference import parse_crs
from geoseg.raster.open import local_file
from geoseg.raster.vectors import read_vector
from geoseg.sampling.sheet import EXCEL, TABLES, rows_of
from geoseg.tables import plain_cell

_METRES = (("x", "y"), ("easting", "northing"), ("pl_x", "pl_y"))
_DEGREES = (("lon", "lat"), ("center_lon", "center_lat"), ("longitude", "latitude"), ("pl_lon", "pl_lat"))


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table: names of columns, and rows of cells; with the places of its units where it is a layer.

    Attributes
    ----------
    names
        Columns.
    rows
        Cells of each row, as many as columns.
    xy, crs
        (n, 2) places of a vector layer, and their CRS.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    xy: NDArray[np.float64] | None = None
    crs: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[Any]:
        """Cells of a column."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]

    def places(self, job: EstimateJob) -> tuple[NDArray[np.float64], Any]:
        """(n, 2) places of the units, and their CRS; InputError for a table without."""
        if self.xy is not None:
            return self.xy, self.crs
        by_name = {name.casefold(): name for name in self.names}
        pair = next((p for p in (*_DEGREES, *_METRES) if all(n in by_name for n in p)), None)
        if pair is None or (pair in _METRES and job.assume_crs is None):
            raise InputError(
                "a table without coordinates"
                if pair is None
                else "x and y of no coordinate reference system",
                where=job.sample,
                why=f"columns are {', '.join(self.names)}",
                hint="`assume_crs=EPSG:...` for columns x and y; lon and lat are in degrees",
            )
        try:
            x, y = ([float(str(v).replace(",", ".")) for v in self.column(by_name[n])] for n in pair)
        except ValueError as error:
            raise InputError("a row without coordinates", where=job.sample, why=str(error)) from None
        return np.stack([x, y], 1), "EPSG:4326" if pair in _DEGREES else parse_crs(job.assume_crs)


def read_sheet(job: EstimateJob) -> Sheet:
    """Table of the job's sample."""
    file = local_file(job.sample)
    suffix = file.suffix.casefold()
    sheet = read_table(file, job.encoding) if suffix in (*EXCEL, *TABLES) else _layer(job)
    if not len(sheet):
        raise InputError("no units", where=file)
    return sheet


def read_table(path: Path, encoding: str | None = None) -> Sheet:
    """Table of a CSV or Excel file, its first row the header; empty rows are passed over."""
    rows = rows_of(path, encoding)
    if not rows:
        raise InputError("an empty table", where=path)
    names = tuple(str(name if name is not None else "").strip() for name in rows[0])
    body = [row for row in rows[1:] if any(c is not None and str(c).strip() for c in row)]
    width = len(names)
    cells = tuple(tuple(map(plain_cell, (*row, *(None,) * width)[:width])) for row in body)
    return Sheet(names=names, rows=cells)


def _layer(job: EstimateJob) -> Sheet:
    import shapely

    frame = read_vector(
        job.sample,
        layer=job.layer,
        points=True,
        assume_crs=job.assume_crs,
        crs_option="assume_crs",
        encoding=job.encoding,
    )
    fields = frame.drop(columns=frame.geometry.name)
    places = shapely.get_coordinates(shapely.centroid(np.asarray(frame.geometry.array)))
    return Sheet(
        names=tuple(map(str, fields.columns)),
        rows=tuple(fields.itertuples(index=False, name=None)),
        xy=np.asarray(places),
        crs=frame.crs,
    )
