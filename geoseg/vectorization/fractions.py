"""Class fractions of another raster within each polygon, by exact coverage of its pixels (exactextract)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from geoseg.errors import InputError
from geoseg.geometry import Window, pixel_index
from geoseg.legend import NODATA
from geoseg.raster.classmap import ClassMap
from geoseg.raster.reading import called
from geoseg.vectorization.job import FRACTIONS_NAMES
from geoseg.writers.layer import GEOMETRY

if TYPE_CHECKING:
    from exactextract.feature import FeatureSource
    from exactextract.raster import RasterSource

_BLOCK = 1024
_BLOCKS_KEPT = 64
_ROUNDINGS = 2.0**-48
"""Sixteen roundings of a coordinate, relative to it."""

_MOST_COLUMNS = 200
"""A Shapefile has room for 255 fields."""


@dataclass(frozen=True, kw_only=True)
class Fractions:
    """Adds a column ``frac_V`` for every class V of a raster: the share of each polygon's area that has it.

    Attributes
    ----------
    raster
        The other class map; its grid and CRS may differ from the polygons'.
    values
        Class numbers to report.
    crs
        Of the polygons.
    """

    raster: ClassMap
    values: tuple[int, ...]
    crs: CRS

    @classmethod
    def of(cls, raster: ClassMap, crs: CRS) -> Fractions:
        """Fractions of every class that the raster's legend has, or of those that occur where it has none.

        Raises
        ------
        InputError
            More classes than a layer should have columns.
        """
        values = raster.values() if raster.declared is None else tuple(c.id for c in raster.declared.classes)
        if not 0 < len(values) <= _MOST_COLUMNS:
            raise InputError(
                f"{len(values)} classes to report fractions of",
                where=raster.path,
                why=f"each becomes a column; 1 to {_MOST_COLUMNS} are possible",
            )
        return cls(raster=raster, values=values, crs=crs)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns, with names of at most 8 characters."""
        return [pa.field(f"frac_{v}", pa.float64(), nullable=False) for v in self.values]

    def schema(self, before: pa.Schema) -> pa.Schema:
        """A schema with the columns in front of the geometry."""
        fields = list(before)
        place = before.names.index(GEOMETRY)
        return pa.schema([*fields[:place], *self.fields, *fields[place:]])

    def added(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches with the columns.

        What a polygon's fractions lack to 1 is nodata of the raster or lies outside it. Shares are of the
        area in the raster's own CRS, where polygons of another CRS are moved corner by corner.
        """
        cells = _Cells(self.raster)
        for batch in batches:
            shares = self._of(batch[GEOMETRY].to_numpy(zero_copy_only=False), cells)
            place = batch.schema.names.index(GEOMETRY)
            columns = batch.columns
            new = [pa.array(np.ascontiguousarray(column)) for column in shares.T]
            yield pa.RecordBatch.from_arrays(
                [*columns[:place], *new, *columns[place:]], schema=self.schema(batch.schema)
            )

    def _of(self, wkb: NDArray[np.object_], cells: _Cells) -> NDArray[np.float64]:
        """(polygons, values) float64."""
        from exactextract import exact_extract

        shapes = shapely.transform(shapely.from_wkb(wkb), self._in_cells)
        wkb = shapely.to_wkb(shapes)
        out = np.zeros((len(wkb), len(self.values)))
        if not len(wkb):
            return out
        column = np.full(256, -1)
        column[list(self.values)] = np.arange(len(self.values))
        found = exact_extract(_raster_source(cells), _features(wkb), ["unique", "frac", "count"])
        whole = shapely.area(shapes)
        for k, feature in enumerate(found):
            facts = feature["properties"]
            if facts["count"]:
                places = column[np.asarray(facts["unique"], np.int64)]
                self._require_named(np.asarray(facts["unique"]))
                known = places >= 0
                shares = np.asarray(facts["frac"])[known] * (facts["count"] / whole[k])
                # sums of the same areas in another order may pass 1 by a rounding
                out[k, places[known]] = np.minimum(shares, 1.0)
        return out

    def _require_named(self, values: NDArray[np.float64]) -> None:
        """InputError for a value that is neither nodata nor a class of the legend."""
        strange = sorted({int(v) for v in values} - {*self.values, NODATA})
        if strange:
            raise InputError(
                f"holds class {', '.join(map(str, strange))}, which is not in its legend",
                where=self.raster.path,
                hint=f"`fractions_crosswalk` with a line for every value, like '{strange[0]}: other'",
            )

    def _in_cells(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in columns and rows of the raster, rows counted from the south.

        What lies beside a cell's edge by roundings alone is put on it: so come back polygons that were drawn
        along the edges of cells, and exactextract would then miscount whole cells.
        """
        grid = self.raster.grid
        x, y = xy.T
        if not self.crs.equals(grid.crs, ignore_axis_order=True):
            x, y = Transformer.from_crs(self.crs, grid.crs, always_xy=True).transform(x, y)
        row, col = pixel_index(grid, x, y)
        cells = np.column_stack([col, grid.height - row if grid.transform.e < 0 else row])
        near = np.rint(cells)
        t = grid.transform
        slack = _ROUNDINGS * max(map(abs, grid.bounds)) / min(abs(t.a), abs(t.e))
        return np.where(np.abs(cells - near) < slack, near, cells)


class _Cells:
    """Windows of a class map, through a bounded number of blocks kept in memory."""

    def __init__(self, raster: ClassMap) -> None:
        self.raster = raster
        self.grid = raster.grid
        self.is_north_up = self.grid.transform.e < 0
        self._blocks: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()

    def read(self, x0: int, y0: int, nx: int, ny: int) -> NDArray[np.uint8]:
        """Class numbers (ny, nx) from column x0 and row y0 counted from the north."""
        row = y0 if self.is_north_up else self.grid.height - y0 - ny
        wanted = Window(row, x0, ny, nx)
        out = np.empty((ny, nx), np.uint8)
        for i in range(row // _BLOCK, -(-(row + ny) // _BLOCK)):
            for j in range(x0 // _BLOCK, -(-(x0 + nx) // _BLOCK)):
                block = Window(i * _BLOCK, j * _BLOCK, _BLOCK, _BLOCK).clip(*self.grid.shape)
                common = block.intersect(wanted)
                out[common.slices_in(wanted)] = self._block(i, j, block)[common.slices_in(block)]
        return out if self.is_north_up else out[::-1].copy()

    def _block(self, i: int, j: int, window: Window) -> NDArray[np.uint8]:
        if (i, j) not in self._blocks:
            if len(self._blocks) == _BLOCKS_KEPT:
                self._blocks.popitem(last=False)
            with called(FRACTIONS_NAMES):
                self._blocks[i, j] = self.raster.read(window)
        self._blocks.move_to_end((i, j))
        return self._blocks[i, j]


def _raster_source(cells: _Cells) -> RasterSource:
    from exactextract.raster import RasterSource

    class Source(RasterSource):  # type: ignore[misc]
        def res(self) -> tuple[float, float]:
            return 1.0, 1.0

        def extent(self) -> tuple[float, float, float, float]:
            return 0.0, 0.0, float(cells.grid.width), float(cells.grid.height)

        def srs_wkt(self) -> None:
            return

        def nodata_value(self) -> None:
            """None: 255 is counted like a class and left out of the result."""
            return

        def read_window(self, x0: int, y0: int, nx: int, ny: int) -> NDArray[Any]:
            return cells.read(x0, y0, nx, ny)

    return Source()


def _features(wkb: NDArray[np.object_]) -> FeatureSource:
    from exactextract.feature import Feature, FeatureSource

    class Shape(Feature):  # type: ignore[misc]
        def __init__(self, geometry: bytes) -> None:
            super().__init__()
            self._geometry = geometry

        def geometry(self) -> bytes:
            return self._geometry

        def fields(self) -> list[str]:
            return []

    class Source(FeatureSource):  # type: ignore[misc]
        def count(self) -> int:
            return len(wkb)

        def __iter__(self) -> Iterator[Shape]:
            return (Shape(geometry) for geometry in wkb)

        def srs_wkt(self) -> None:
            return

    return Source()
